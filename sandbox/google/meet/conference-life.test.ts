import { createHash } from 'node:crypto'
import type { meet_v2 } from 'googleapis/build/src/apis/meet/index.js'
import { expect, onTestFinished, test, vi } from 'vitest'
import { officialClients } from '../official-client.ts'
import type { GoogleOptions, GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'
import type { PersonInCall } from './conference-life.ts'
import { createSpace, type StoredSpace } from './space.ts'

const owner = 'agenda@clinica.example'
const bot: PersonInCall = { id: 'seat-1', displayName: 'Testigo', email: 'testigo@clinica.example' }
const ana: PersonInCall = { id: 'devices/1', displayName: 'Ana Torres' }
const quick = { endShowsAfterMs: 30, fileAfterMs: 30 }

async function openCall(options: GoogleOptions['conferences'] = {}, autoRecording = 'OFF') {
  const google = await openGoogle({ conferences: { ...quick, ...options } })
  onTestFinished(() => google.stop())
  const space = createSpace({ state: google.state } as never, owner, 'calendar')
  space.config.artifactConfig.recordingConfig = { autoRecordingGeneration: autoRecording }
  const { meet, drive } = await officialClients(google, owner)
  return { google, space, records: meet.conferenceRecords, drive }
}

/** The newest conference as Google's client reads it, with everybody's sessions. */
async function read(records: meet_v2.Resource$Conferencerecords) {
  const [conference] = (await records.list()).data.conferenceRecords ?? []
  const parent = conference?.name ?? ''
  const people = (await records.participants.list({ parent })).data.participants ?? []
  const sessions = await Promise.all(
    people.map(async ({ name }) => {
      const { data } = await records.participants.participantSessions.list({ parent: name ?? '' })
      return data.participantSessions ?? []
    }),
  )
  return { conference, people, sessions }
}

const isOver = (google: GoogleSandbox) =>
  vi.waitFor(() => expect(google.state.conferences[0]?.endTime).toBeDefined(), { timeout: 5000, interval: 5 })
const tell = (google: GoogleSandbox, space: StoredSpace, ...people: PersonInCall[]) =>
  google.peopleAre(space.meetingCode, people)

test('a conference begins with the first person and ends, a moment later, when the last one left', async () => {
  const { google, space, records } = await openCall()
  tell(google, space, ana)
  tell(google, space, ana, bot)
  const during = await read(records)
  expect(during.conference).toMatchObject({ space: space.name })
  expect(during.conference?.endTime).toBeUndefined()
  expect(during.people.map(person => person.latestEndTime)).toEqual([undefined, undefined])
  tell(google, space, bot)
  tell(google, space)
  expect((await read(records)).conference?.endTime).toBeUndefined()
  await isOver(google)
  const { conference, people, sessions } = await read(records)
  expect(people).toContainEqual(expect.objectContaining({ anonymousUser: { displayName: 'Ana Torres' } }))
  const user = expect.stringMatching(/^users\/\d+$/)
  expect(people).toContainEqual(expect.objectContaining({ signedinUser: { displayName: 'Testigo', user } }))
  expect(sessions.flat()).toHaveLength(2)
  const ends = people.map(person => Date.parse(person.latestEndTime ?? ''))
  expect(Date.parse(conference?.endTime ?? '')).toBe(Math.max(...ends))
})

test('an account that comes back is the same participant with another session, in the same conference', async () => {
  const { google, space, records } = await openCall({ endShowsAfterMs: 60 })
  tell(google, space, bot)
  tell(google, space)
  tell(google, space, { ...bot, id: 'seat-2' })
  tell(google, space)
  await isOver(google)
  const { people, sessions } = await read(records)
  expect(people).toHaveLength(1)
  expect(sessions[0]).toHaveLength(2)
  expect(google.state.conferences).toHaveLength(1)
})

test('who comes after the end is in another conference', async () => {
  const { google, space, records } = await openCall()
  tell(google, space, ana)
  tell(google, space)
  await isOver(google)
  tell(google, space, { ...ana, id: 'devices/2' })
  expect((await records.list()).data.conferenceRecords).toHaveLength(2)
})

test('a call at a code of no space leaves no record', async () => {
  const { google, records } = await openCall()
  google.peopleAre('zzz-zzzz-zzz', [ana])
  expect((await records.list()).data.conferenceRecords).toBeUndefined()
})

test("Google's own recording begins with somebody of the domain and becomes a file of the owner", async () => {
  const { google, space, records, drive } = await openCall({ nativeRecording: true }, 'ON')
  tell(google, space, ana)
  const parent = google.state.conferences[0]?.name ?? ''
  const list = async () => (await records.recordings.list({ parent })).data.recordings
  expect(await list()).toBeUndefined()
  tell(google, space, ana, bot)
  expect(await list()).toEqual([expect.objectContaining({ state: 'STARTED' })])
  tell(google, space)
  const made = await vi.waitFor(
    async () => {
      const [one] = (await list()) ?? []
      expect(one?.state).toBe('FILE_GENERATED')
      return one
    },
    { timeout: 15_000, interval: 50 },
  )
  const fileId = made?.driveDestination?.file ?? ''
  const { data: facts } = await drive.files.get({ fileId, fields: 'size,sha256Checksum,mimeType,owners' })
  expect(facts).toMatchObject({ mimeType: 'video/mp4', owners: [{ emailAddress: owner }] })
  const { data } = await drive.files.get({ fileId, alt: 'media' }, { responseType: 'arraybuffer' })
  const bytes = Buffer.from(data as ArrayBuffer)
  expect(bytes.subarray(4, 8).toString()).toBe('ftyp')
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(facts.sha256Checksum)
})

test.each([
  ['an edition without recording', { nativeRecording: false }, 'ON'],
  ['a space that does not ask for it', { nativeRecording: true }, 'OFF'],
])('there is no recording of Google in %s', async (_, options, asked) => {
  const { google, space } = await openCall(options, asked)
  tell(google, space, ana, bot)
  expect(google.state.conferences[0]?.recordings).toEqual([])
})
