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

describe('a sync of many things', () => {
  test('shows no more of what was deleted than its id, unless the deleted are asked for', async () => {
    await insert('sd001', 9)
    const [plain, withDeleted] = [await list(), await list({ showDeleted: true })]
    await remove('sd001')
    const [item] = (await list({ syncToken: plain.nextSyncToken ?? '' })).items ?? []
    expect(Object.keys(item ?? {}).sort()).toEqual(['etag', 'id', 'kind', 'status'])
    const query = { syncToken: withDeleted.nextSyncToken ?? '', showDeleted: true }
    expect((await list(query)).items).toMatchObject([{ id: 'sd001', summary: 'sd001', status: 'cancelled' }])
  })

  test('shows a moved instance by itself and the cancelled one by its original time', async () => {
    const at = (hour: string) => ({ dateTime: `2026-12-07T${hour}:00:00`, timeZone: 'America/Bogota' })
    await insert('se001', 9, { start: at('09'), end: at('10'), recurrence: ['RRULE:FREQ=DAILY;COUNT=4'] })
    const syncToken = (await list()).nextSyncToken ?? ''
    const [first, second] = ['se001_20261207T140000Z', 'se001_20261208T140000Z']
    const requestBody = { start: at('15'), end: at('16') }
    await calendar.events.patch({ calendarId: 'primary', eventId: first, requestBody })
    await remove(second)
    const { items } = await list({ syncToken })
    expect(items).toMatchObject([
      { id: first, recurringEventId: 'se001', status: 'confirmed' },
      { id: second, recurringEventId: 'se001', status: 'cancelled' },
    ])
    expect(items?.[1]).not.toHaveProperty('start')
    expect(items?.[1]?.originalStartTime?.dateTime).toBe('2026-12-08T08:00:00-06:00')
  })

  test('keeps cancelled instances of a living series in a full list, as the series alone would show them', async () => {
    const at = (hour: string) => ({ dateTime: `2026-12-07T${hour}:00:00`, timeZone: 'America/Bogota' })
    await insert('se002', 9, { start: at('09'), end: at('10'), recurrence: ['RRULE:FREQ=DAILY;COUNT=2'] })
    await remove('se002_20261208T140000Z')
    expect(await ids()).toEqual(['se002', 'se002_20261208T140000Z'])
    expect(await ids({ singleEvents: true })).toEqual(['se002_20261207T140000Z'])
    await remove('se002')
    expect(await ids()).toEqual([])
  })

  test('neither loses nor repeats what changes between two pages', async () => {
    for (const id of ['pc001', 'pc002', 'pc003']) await insert(id, 9)
    const first = await list({ maxResults: 2 })
    await calendar.events.patch({ calendarId: 'primary', eventId: 'pc001', requestBody: { summary: 'x' } })
    const second = await list({ maxResults: 2, pageToken: first.nextPageToken ?? '' })
    expect(second.items?.map(event => event.id)).toEqual(['pc003'])
    expect(await ids({ syncToken: second.nextSyncToken ?? '' })).toEqual(['pc001'])
  })

  test('may have an empty page in the middle', async () => {
    for (const id of ['ep001', 'ep002']) await insert(id, 9)
    google.faults.add({ kind: 'emptyPage' })
    const first = await list()
    expect(first.items).toEqual([])
    expect(await ids({ pageToken: first.nextPageToken ?? '' })).toEqual(['ep001', 'ep002'])
  })

  test('tells who was taken off the list that the event is gone', async () => {
    await insert('ug001', 9, { attendees: [{ email: 'testigo@clinica.example' }] })
    const guest = (await officialClients(google, 'testigo@clinica.example')).calendar
    const { data } = await guest.events.list({ calendarId: 'primary' })
    await calendar.events.patch({ calendarId: 'primary', eventId: 'ug001', requestBody: { attendees: [] } })
    const next = await guest.events.list({ calendarId: 'primary', syncToken: data.nextSyncToken ?? '' })
    expect(next.data.items).toMatchObject([{ id: 'ug001', status: 'cancelled' }])
  })

  test('refuses an updatedMin of long ago, and shows the deleted since a nearer one', async () => {
    await insert('um001', 9)
    await remove('um001')
    const near = new Date(Date.now() - 3600_000).toISOString()
    expect(await ids({ updatedMin: near })).toEqual(['um001'])
    expect(await failureOf(list({ updatedMin: '2020-01-01T00:00:00Z' }))).toMatchObject({
      status: 410,
      reason: 'updatedMinTooLongAgo',
    })
  })

  test('writes times in the zone that is asked for', async () => {
    await insert('tm001', 9)
    const [event] = (await list({ timeZone: 'Asia/Tokyo' })).items ?? []
    expect(event?.start?.dateTime).toBe('2026-12-01T18:00:00+09:00')
  })
})
