import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

let google: GoogleSandbox
let calendar: calendar_v3.Calendar
beforeAll(async () => {
  google = await openGoogle()
  calendar = (await officialClients(google, 'agenda@clinica.example')).calendar
})
beforeEach(() => google.state.events.clear())
afterAll(() => google.stop())

async function insert(id: string, hour: number, body: calendar_v3.Schema$Event = {}): Promise<void> {
  const at = (h: number) => ({ dateTime: `2026-12-01T${String(h).padStart(2, '0')}:00:00Z` })
  const requestBody = { id, summary: id, start: at(hour), end: at(hour + 1), ...body }
  await calendar.events.insert({ calendarId: 'primary', requestBody })
}
const list = async (query: calendar_v3.Params$Resource$Events$List = {}) =>
  (await calendar.events.list({ calendarId: 'primary', ...query })).data
const ids = async (query: calendar_v3.Params$Resource$Events$List = {}) =>
  ((await list(query)).items ?? []).map(event => event.id)
const remove = (eventId: string) => calendar.events.delete({ calendarId: 'primary', eventId })

describe('a list of events', () => {
  test('bounds the end by timeMin and the start by timeMax, both exclusive', async () => {
    await insert('li009', 9)
    await insert('li010', 10)
    await insert('li011', 11)
    expect(await ids({ timeMin: '2026-12-01T10:00:00Z', timeMax: '2026-12-01T11:00:00Z' })).toEqual(['li010'])
  })

  test('finds by private and shared property, iCalUID and words', async () => {
    await insert('li001', 9, { extendedProperties: { private: { key: 'a=b' }, shared: { s: '1' } } })
    await insert('li002', 9, { description: 'Control anual' })
    expect(await ids({ privateExtendedProperty: ['key=a=b'] })).toEqual(['li001'])
    expect(await ids({ privateExtendedProperty: ['key=a'] })).toEqual([])
    expect(await ids({ sharedExtendedProperty: ['s=1'] })).toEqual(['li001'])
    expect(await ids({ iCalUID: 'li002@google.com' })).toEqual(['li002'])
    expect(await ids({ q: 'ANUAL' })).toEqual(['li002'])
  })

  test('hides cancelled events unless they are asked for', async () => {
    await insert('li003', 9)
    await remove('li003')
    expect(await ids()).toEqual([])
    expect(await ids({ showDeleted: true })).toEqual(['li003'])
  })

  test('comes in pages, with the sync token on the last one only', async () => {
    for (const id of ['pg001', 'pg002', 'pg003']) await insert(id, 9)
    const first = await list({ maxResults: 2 })
    expect(first.items).toHaveLength(2)
    expect(first.nextSyncToken).toBeUndefined()
    const second = await list({ maxResults: 2, pageToken: first.nextPageToken ?? '' })
    expect(second.items?.map(event => event.id)).toEqual(['pg003'])
    expect(second.nextPageToken).toBeUndefined()
    expect(second.nextSyncToken).toBeDefined()
  })

  test('is ordered by time only for single events', async () => {
    await insert('or002', 12)
    await insert('or001', 9)
    expect(await ids({ orderBy: 'startTime', singleEvents: true })).toEqual(['or001', 'or002'])
    expect((await failureOf(list({ orderBy: 'startTime' }))).status).toBe(400)
  })

  test('shows a guest what they are invited to', async () => {
    await insert('in001', 9, { attendees: [{ email: 'testigo@clinica.example' }] })
    await insert('in002', 9)
    const guest = (await officialClients(google, 'testigo@clinica.example')).calendar
    const { data } = await guest.events.list({ calendarId: 'primary' })
    expect(data.items?.map(event => event.id)).toEqual(['in001'])
  })

  test('refuses a page token that is none', async () => {
    expect((await failureOf(list({ pageToken: 'zzz' }))).status).toBe(400)
  })
})

describe('a sync token', () => {
  test('brings only what changed since, the deleted as cancelled', async () => {
    await insert('sa001', 9)
    await insert('sa002', 9)
    const { nextSyncToken } = await list()
    const syncToken = nextSyncToken ?? ''
    expect(await ids({ syncToken })).toEqual([])
    await remove('sa001')
    await insert('sa003', 9)
    const next = await list({ syncToken })
    expect(next.items?.map(event => `${event.id} ${event.status}`)).toEqual([
      'sa001 cancelled',
      'sa003 confirmed',
    ])
    expect(await ids({ syncToken: next.nextSyncToken ?? '' })).toEqual([])
  })

  test('pages with the same token', async () => {
    const { nextSyncToken } = await list()
    const syncToken = nextSyncToken ?? ''
    for (const id of ['sp001', 'sp002']) await insert(id, 9)
    const first = await list({ syncToken, maxResults: 1 })
    const second = await list({ syncToken, maxResults: 1, pageToken: first.nextPageToken ?? '' })
    expect([first, second].flatMap(page => page.items?.map(event => event.id))).toEqual(['sp001', 'sp002'])
  })

  test('answers 410 fullSyncRequired when it is expired or nonsense', async () => {
    const { nextSyncToken } = await list()
    google.expireSyncTokens()
    for (const syncToken of [nextSyncToken ?? '', 'nonsense'])
      expect(await failureOf(list({ syncToken }))).toMatchObject({ status: 410, reason: 'fullSyncRequired' })
    expect(await ids({ syncToken: (await list()).nextSyncToken ?? '' })).toEqual([])
  })

  test('goes with neither filters nor another query', async () => {
    const syncToken = (await list()).nextSyncToken ?? ''
    expect((await failureOf(list({ syncToken, q: 'x' }))).status).toBe(400)
    expect((await failureOf(list({ syncToken, showDeleted: false }))).status).toBe(400)
    expect((await failureOf(list({ syncToken, singleEvents: true }))).status).toBe(400)
  })
})
