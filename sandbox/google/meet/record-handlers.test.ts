import type { meet_v2 } from 'googleapis/build/src/apis/meet/index.js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'
import type { Conference } from './space.ts'

let google: GoogleSandbox
let records: meet_v2.Resource$Conferencerecords
const day = 24 * 3600_000
const bot = 'testigo@clinica.example'
const code = 'abc-mnop-xyz'

beforeAll(async () => {
  google = await openGoogle()
  records = (await officialClients(google, 'agenda@clinica.example')).meet.conferenceRecords
})
beforeEach(() => {
  google.state.conferences.length = 0
  google.state.spaces.set('spaces/S1', {
    name: 'spaces/S1',
    meetingCode: code,
    meetingUri: `https://meet.google.com/${code}`,
    owner: 'agenda@clinica.example',
    madeBy: 'calendar',
    config: undefined as never,
    members: [],
  })
})
afterAll(() => google.stop())

function ago(ms: number): string {
  return new Date(Date.now() - ms).toISOString()
}

function hold(id: string, startTime: string, endTime?: string): Conference {
  const name = `conferenceRecords/${id}`
  const conference: Conference = {
    name,
    space: 'spaces/S1',
    startTime,
    ...(endTime && { endTime }),
    participants: [
      {
        name: `${name}/participants/p1`,
        email: bot,
        displayName: 'Testigo',
        sessions: [{ startTime, ...(endTime && { endTime }) }],
      },
      {
        name: `${name}/participants/p2`,
        displayName: 'Paciente',
        sessions: [{ startTime: new Date(Date.parse(startTime) + 1000).toISOString(), endTime: ago(500) }],
      },
    ],
    recordings: [],
  }
  google.state.conferences.push(conference)
  return conference
}
const names = async (filter?: string) =>
  ((await records.list(filter ? { filter } : {})).data.conferenceRecords ?? []).map(record => record.name)

describe('conference records', () => {
  test('come newest first and in pages', async () => {
    for (const [at, id] of ['a', 'b', 'c'].entries()) hold(id, ago((3 - at) * 3600_000), ago(1000))
    const first = (await records.list({ pageSize: 2 })).data
    expect(first.conferenceRecords?.map(record => record.name)).toEqual([
      'conferenceRecords/c',
      'conferenceRecords/b',
    ])
    const second = (await records.list({ pageSize: 2, pageToken: first.nextPageToken ?? '' })).data
    expect(second.conferenceRecords?.map(record => record.name)).toEqual(['conferenceRecords/a'])
    expect(second.nextPageToken).toBeUndefined()
  })

  test.each([
    ['space.name = "spaces/S1"', ['on', 'over']],
    ['space.name = "spaces/S2"', []],
    [`space.meeting_code = "${code}"`, ['on', 'over']],
    ['end_time IS NULL', ['on']],
    [`space.meeting_code = "${code}" AND end_time IS NULL`, ['on']],
    [`start_time>="${ago(90 * 60_000)}"`, ['on']],
    [`start_time < "${ago(90 * 60_000)}"`, ['over']],
  ])('are found by %s', async (filter, ids) => {
    hold('over', ago(2 * 3600_000), ago(1000))
    hold('on', ago(3600_000))
    expect(await names(filter)).toEqual(ids.map(id => `conferenceRecords/${id}`))
  })

  test.each(['spaceName = "x"', 'space.name', 'space.name = "a" OR end_time IS NULL'])(
    'refuse the filter %s',
    async filter => {
      hold('one', ago(1000))
      expect(await failureOf(names(filter))).toMatchObject({ status: 400, reason: 'INVALID_ARGUMENT' })
    },
  )

  test('expire 30 days after the end, and then are gone', async () => {
    const old = hold('old', ago(31 * day), ago(30 * day + 1000))
    const kept = hold('kept', ago(30 * day), ago(29 * day))
    expect(await names()).toEqual([kept.name])
    expect((await failureOf(records.get({ name: old.name }))).status).toBe(404)
    const { data } = await records.get({ name: kept.name })
    expect(Date.parse(data.expireTime ?? '') - Date.parse(data.endTime ?? '')).toBe(30 * day)
  })

  test('are shown to the owner and who took part, and to nobody else', async () => {
    const { name } = hold('one', ago(1000))
    const taker = (await officialClients(google, bot)).meet.conferenceRecords
    expect((await taker.get({ name })).data.name).toBe(name)
    const other = (await officialClients(google, 'archivo@clinica.example')).meet.conferenceRecords
    expect((await failureOf(other.get({ name }))).status).toBe(403)
    expect((await other.list()).data.conferenceRecords).toBeUndefined()
  })
})

describe('participants', () => {
  test('are signed in or anonymous, newest first, without an end while they are in the call', async () => {
    const { name } = hold('one', ago(60_000))
    const { data } = await records.participants.list({ parent: name })
    expect(data.participants).toEqual([
      expect.objectContaining({
        anonymousUser: { displayName: 'Paciente' },
        latestEndTime: expect.any(String),
      }),
      expect.objectContaining({
        signedinUser: { user: expect.stringMatching(/^users\/\d+$/), displayName: 'Testigo' },
      }),
    ])
    expect(data.participants?.[1]?.latestEndTime).toBeUndefined()
  })

  test('in the call now are found by latest_end_time IS NULL', async () => {
    const { name } = hold('one', ago(60_000))
    const { data } = await records.participants.list({ parent: name, filter: 'latest_end_time IS NULL' })
    expect(data.participants?.map(person => person.name)).toEqual([`${name}/participants/p1`])
  })

  test('have sessions, one for each stay', async () => {
    const { name } = hold('one', ago(60_000))
    const person = `${name}/participants/p2`
    expect((await records.participants.get({ name: person })).data.anonymousUser?.displayName).toBe(
      'Paciente',
    )
    const { data } = await records.participants.participantSessions.list({ parent: person })
    expect(data.participantSessions?.map(session => session.name)).toEqual([
      `${person}/participantSessions/1`,
    ])
    expect((await failureOf(records.participants.get({ name: `${name}/participants/p9` }))).status).toBe(404)
  })
})

test('recordings go from STARTED to FILE_GENERATED, and only then name the file', async () => {
  const conference = hold('one', ago(60_000))
  const name = `${conference.name}/recordings/r1`
  conference.recordings.push({ name, state: 'STARTED', startTime: ago(50_000) })
  expect((await records.recordings.list({ parent: conference.name })).data.recordings).toEqual([
    { name, state: 'STARTED', startTime: expect.any(String) },
  ])
  Object.assign(conference.recordings[0] ?? {}, {
    state: 'FILE_GENERATED',
    endTime: ago(1000),
    fileId: '1abc',
  })
  const { data } = await records.recordings.get({ name })
  expect(data).toMatchObject({ state: 'FILE_GENERATED', driveDestination: { file: '1abc' } })
  expect(data.driveDestination?.exportUri).toContain('/file/d/1abc/view')
})
