import { expect, test } from 'vitest'
import { openTestGoogle, type TestGoogle } from './test-google.ts'

const organizer = 'agenda@clinica.example'
const spaceName = 'spaces/S1'
const meetingCode = 'abc-mnop-xyz'
const at = (minute: number) => new Date(Date.UTC(2031, 2, 5, 15, minute))

type Conference = TestGoogle['sandbox']['state']['conferences'][number]

/** Google as it remembers a conference of minutes 0 to 30, and another that still runs. */
async function openRecords() {
  // Google forgets records after 30 days: its clock has to fit.
  const google = await openTestGoogle({ nowMs: () => at(60).getTime() }, { clock: fixedClock })
  const { state } = google.sandbox
  const owner = { meetingCode, meetingUri: '', owner: organizer, madeBy: 'calendar' as const, members: [] }
  state.spaces.set(spaceName, { name: spaceName, ...owner, config: undefined as never })
  const conference = (id: string, from: number, to?: number): Conference => ({
    name: `conferenceRecords/${id}`,
    space: spaceName,
    startTime: at(from).toISOString(),
    ...(to !== undefined && { endTime: at(to).toISOString() }),
    participants: [],
    recordings: [],
  })
  const over = conference('over', 0, 30)
  const on = conference('on', 40)
  state.conferences.push(over, on)
  return { ...google, records: google.google.records, over, on }
}

const fixedClock = { now: () => at(60).getTime(), sleep: async () => {} }

function join(conference: Conference, id: string, displayName: string, ...stays: [number, number?][]) {
  conference.participants.push({
    name: `${conference.name}/participants/${id}`,
    displayName,
    ...(displayName === 'Testigo' && { email: 'testigo@clinica.example' }),
    sessions: stays.map(([from, to]) => ({
      startTime: at(from).toISOString(),
      ...(to !== undefined && { endTime: at(to).toISOString() }),
    })),
  })
}

test('conferences of a space are found by its name, by its code, by time, and by running now', async () => {
  const { records, over, on } = await openRecords()
  const all = [
    { name: on.name, space: spaceName, startedAt: at(40), endedAt: null },
    { name: over.name, space: spaceName, startedAt: at(0), endedAt: at(30) },
  ]
  expect(await records.listConferences(organizer, { spaceName })).toEqual(all)
  expect(await records.listConferences(organizer, { spaceName: null, meetingCode })).toEqual(all)
  expect(await records.listConferences(organizer, { spaceName, from: at(-5), to: at(20) })).toEqual([all[1]])
  expect(await records.listConferences(organizer, { spaceName, ongoing: true })).toEqual([all[0]])
  expect(await records.listConferences(organizer, { spaceName: 'spaces/other' })).toEqual([])
})

test('conferences cannot be looked for without a space, nor by a name that would end the filter', async () => {
  const { records } = await openRecords()
  await expect(records.listConferences(organizer, {})).rejects.toThrow('name of their space')
  await expect(records.listConferences(organizer, { spaceName: 'x" OR "' })).rejects.toThrow('does not fit')
})

test('participants are signed in with a number, or guests, and have one session for each stay', async () => {
  const { records, over } = await openRecords()
  join(over, 'p1', 'Ana Torres', [1, 10], [12, 30])
  join(over, 'p2', 'Testigo', [0, 30])
  const people = await records.listParticipants(organizer, over.name)
  expect(people).toEqual([
    {
      name: `${over.name}/participants/p1`,
      displayName: 'Ana Torres',
      userId: null,
      kind: 'anonymous',
      leftAt: at(30),
    },
    {
      name: `${over.name}/participants/p2`,
      displayName: 'Testigo',
      userId: expect.stringMatching(/^\d+$/),
      kind: 'signed_in',
      leftAt: at(30),
    },
  ])
  expect(await records.listSessions(organizer, `${over.name}/participants/p1`)).toEqual([
    { name: `${over.name}/participants/p1/participantSessions/1`, startedAt: at(1), endedAt: at(10) },
    { name: `${over.name}/participants/p1/participantSessions/2`, startedAt: at(12), endedAt: at(30) },
  ])
})

test('those who are there now can be asked for alone', async () => {
  const { records, on } = await openRecords()
  join(on, 'p1', 'Ana Torres', [40, 45])
  join(on, 'p2', 'Luis Gómez', [41])
  const present = await records.listParticipants(organizer, on.name, { presentOnly: true })
  expect(present).toEqual([expect.objectContaining({ displayName: 'Luis Gómez', leftAt: null })])
})

test('a conference of 600 people is read to its last page', async () => {
  const { records, over, asked } = await openRecords()
  for (let id = 0; id < 600; id++) join(over, `p${id}`, `Persona ${id}`, [id % 30, 30])
  expect(await records.listParticipants(organizer, over.name)).toHaveLength(600)
  expect(asked('participants.list')).toBe(3)
})

test("Google's own recordings come with their state, and with a file once there is one", async () => {
  const { records, over } = await openRecords()
  const startTime = at(1).toISOString()
  over.recordings.push({ name: `${over.name}/recordings/r1`, state: 'STARTED', startTime })
  over.recordings.push({
    name: `${over.name}/recordings/r2`,
    state: 'FILE_GENERATED',
    startTime: at(2).toISOString(),
    endTime: at(30).toISOString(),
    fileId: '1file',
  })
  expect(await records.listRecordings(organizer, over.name)).toEqual([
    {
      name: `${over.name}/recordings/r1`,
      state: 'STARTED',
      startedAt: at(1),
      endedAt: null,
      driveFileId: null,
    },
    {
      name: `${over.name}/recordings/r2`,
      state: 'FILE_GENERATED',
      startedAt: at(2),
      endedAt: at(30),
      driveFileId: '1file',
    },
  ])
})

test('the name of an account in calls is known to the account itself', async () => {
  const { records } = await openRecords()
  expect(await records.displayNameOf('testigo@clinica.example')).toBe('Testigo')
})

test('a record that expired and one that is not for the caller are faults of their kinds', async () => {
  const { records, over } = await openRecords()
  await expect(records.listParticipants(organizer, 'conferenceRecords/none')).rejects.toMatchObject({
    code: 'not_found',
    service: 'meet',
  })
  await expect(records.listParticipants('archivo@clinica.example', over.name)).rejects.toMatchObject({
    code: 'forbidden',
    retryable: false,
  })
})

test('a Meet that limits the rate is asked again, and one that is down is told as such', async () => {
  const { records, sandbox, asked } = await openRecords()
  const tooFast = { status: 429, reason: 'RESOURCE_EXHAUSTED', retryAfterSeconds: 1 }
  sandbox.faults.add({ kind: 'error', method: 'conferenceRecords.list', ...tooFast })
  expect(await records.listConferences(organizer, { spaceName })).toHaveLength(2)
  expect(asked('conferenceRecords.list')).toBe(2)
  sandbox.faults.add({ kind: 'down', service: 'meet' })
  await expect(records.listConferences(organizer, { spaceName })).rejects.toMatchObject({
    code: 'unavailable',
    retryable: true,
  })
})
