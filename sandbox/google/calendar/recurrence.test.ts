import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

let google: GoogleSandbox
let calendar: calendar_v3.Calendar
beforeAll(async () => {
  google = await openGoogle({ calendarTimeZone: 'Europe/Madrid' })
  calendar = (await officialClients(google, 'agenda@clinica.example')).calendar
})
afterAll(() => google.stop())

async function insert(id: string, rule: string, day = '2026-12-07'): Promise<void> {
  const at = (hour: string) => ({ dateTime: `${day}T${hour}:00:00`, timeZone: 'Europe/Madrid' })
  const requestBody = { id, start: at('09'), end: at('10'), recurrence: [rule] }
  await calendar.events.insert({ calendarId: 'primary', requestBody })
}
const instances = async (eventId: string) =>
  (await calendar.events.instances({ calendarId: 'primary', eventId })).data.items ?? []
const starts = async (eventId: string) =>
  (await instances(eventId)).map(event => event.start?.dateTime?.slice(0, 16))

test.each([
  ['RRULE:FREQ=DAILY;COUNT=3', ['2026-12-07', '2026-12-08', '2026-12-09']],
  ['RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20261211T080000Z', ['2026-12-07', '2026-12-09', '2026-12-11']],
  ['RRULE:FREQ=WEEKLY;COUNT=2', ['2026-12-07', '2026-12-14']],
  ['RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=3', ['2026-12-07', '2026-12-09', '2026-12-14']],
  ['RRULE:FREQ=WEEKLY;INTERVAL=2;UNTIL=20261231', ['2026-12-07', '2026-12-21']],
])('%s has its instances', async (rule, days) => {
  const id = Buffer.from(rule).toString('hex')
  await insert(id, rule)
  expect(await starts(id)).toEqual(days.map(day => `${day}T09:00`))
})

test('the clock on the wall stays when the clocks change', async () => {
  await insert('dst00', 'RRULE:FREQ=DAILY;COUNT=2', '2027-03-27')
  expect((await instances('dst00')).map(event => event.start?.dateTime)).toEqual([
    '2027-03-27T09:00:00+01:00',
    '2027-03-28T09:00:00+02:00',
  ])
})

test('one instance can be moved and cancelled without touching the others', async () => {
  await insert('ecc00', 'RRULE:FREQ=DAILY;COUNT=3')
  const [first, second] = await instances('ecc00')
  expect(first).toMatchObject({ id: 'ecc00_20261207T080000Z', recurringEventId: 'ecc00' })
  const end = { dateTime: '2026-12-07T13:00:00+01:00' }
  const start = { dateTime: '2026-12-07T12:00:00+01:00' }
  const moved = { calendarId: 'primary', eventId: first?.id ?? '', requestBody: { start, end } }
  await calendar.events.patch(moved)
  await calendar.events.delete({ calendarId: 'primary', eventId: second?.id ?? '' })
  expect(await starts('ecc00')).toEqual(['2026-12-07T12:00', '2026-12-09T09:00'])
})

test('a list of single events has the instances in the place of the series', async () => {
  google.state.events.clear()
  await insert('ser00', 'RRULE:FREQ=DAILY;COUNT=5')
  const query = { calendarId: 'primary', timeMin: '2026-12-08T00:00:00Z', timeMax: '2026-12-10T00:00:00Z' }
  const single = await calendar.events.list({ ...query, singleEvents: true, orderBy: 'startTime' })
  expect(single.data.items?.map(event => event.id)).toEqual([
    'ser00_20261208T080000Z',
    'ser00_20261209T080000Z',
  ])
  const whole = await calendar.events.list({ calendarId: 'primary' })
  expect(whole.data.items?.map(event => event.id)).toEqual(['ser00'])
})

test.each([
  ['RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3', '2026-12-25', ['2026-12-25', '2027-01-29', '2027-02-26']],
  ['RRULE:FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3', '2026-12-31', ['2026-12-31', '2027-01-31', '2027-03-31']],
  ['RRULE:FREQ=MONTHLY;COUNT=3', '2027-01-31', ['2027-01-31', '2027-03-31', '2027-05-31']],
  ['RRULE:FREQ=YEARLY;COUNT=2', '2028-02-29', ['2028-02-29', '2032-02-29']],
])('%s leaves out the days that a month does not have', async (rule, day, days) => {
  const id = Buffer.from(`${rule}${day}`).toString('hex')
  await insert(id, rule, day)
  expect(await starts(id)).toEqual(days.map(one => `${one}T09:00`))
})

test('a time that the clocks jump over counts on from before the jump', async () => {
  await calendar.events.insert({
    calendarId: 'primary',
    requestBody: {
      id: 'gap00',
      start: { dateTime: '2027-03-13T02:30:00', timeZone: 'America/New_York' },
      end: { dateTime: '2027-03-13T03:00:00', timeZone: 'America/New_York' },
      recurrence: ['RRULE:FREQ=DAILY;COUNT=3'],
    },
  })
  expect((await instances('gap00')).map(event => event.id)).toEqual([
    'gap00_20270313T073000Z',
    'gap00_20270314T073000Z',
    'gap00_20270315T063000Z',
  ])
})

test('EXDATE takes starts out and RDATE adds some', async () => {
  const requestBody = {
    id: 'ecd00',
    start: { dateTime: '2026-12-07T09:00:00', timeZone: 'Europe/Madrid' },
    end: { dateTime: '2026-12-07T10:00:00', timeZone: 'Europe/Madrid' },
    recurrence: [
      'RRULE:FREQ=DAILY;COUNT=4',
      'EXDATE;TZID=Europe/Madrid:20261208T090000',
      'EXDATE:20261209T080000Z',
      'RDATE;TZID=Europe/Madrid:20261220T110000',
    ],
  }
  await calendar.events.insert({ calendarId: 'primary', requestBody })
  expect(await starts('ecd00')).toEqual(['2026-12-07T09:00', '2026-12-10T09:00', '2026-12-20T11:00'])
})

test('whole days recur as days, with ids of days', async () => {
  const requestBody = {
    id: 'dia00',
    start: { date: '2027-03-27' },
    end: { date: '2027-03-28' },
    recurrence: ['RRULE:FREQ=DAILY;UNTIL=20270329'],
  }
  await calendar.events.insert({ calendarId: 'primary', requestBody })
  expect((await instances('dia00')).map(({ id, start, end }) => [id, start?.date, end?.date])).toEqual([
    ['dia00_20270327', '2027-03-27', '2027-03-28'],
    ['dia00_20270328', '2027-03-28', '2027-03-29'],
    ['dia00_20270329', '2027-03-29', '2027-03-30'],
  ])
})

test('an instance is found by its original start also after it was moved', async () => {
  await insert('ori00', 'RRULE:FREQ=DAILY;COUNT=3')
  const start = { dateTime: '2026-12-20T12:00:00+01:00' }
  const end = { dateTime: '2026-12-20T13:00:00+01:00' }
  const moved = { calendarId: 'primary', eventId: 'ori00_20261208T080000Z', requestBody: { start, end } }
  await calendar.events.patch(moved)
  const query = { calendarId: 'primary', eventId: 'ori00', originalStart: '2026-12-08T08:00:00Z' }
  const { items } = (await calendar.events.instances(query)).data
  expect(items).toMatchObject([
    {
      id: 'ori00_20261208T080000Z',
      start: { dateTime: '2026-12-20T12:00:00+01:00' },
      originalStartTime: { dateTime: '2026-12-08T09:00:00+01:00' },
    },
  ])
})

test('reading an instance or failing to change it makes no exception of it', async () => {
  await insert('rea00', 'RRULE:FREQ=DAILY;COUNT=3')
  const at = { calendarId: 'primary', eventId: 'rea00_20261208T080000Z' }
  const { etag } = (await calendar.events.get(at)).data
  const headers = { 'if-match': '"other"' }
  expect((await failureOf(calendar.events.patch({ ...at, requestBody: {} }, { headers }))).status).toBe(412)
  expect(google.state.events.size).toBe(
    [...google.state.events.values()].filter(e => !e.resource.id.startsWith('rea00_')).length,
  )
  const patched = { ...at, requestBody: { summary: 'Otra' } }
  await calendar.events.patch(patched, { headers: { 'if-match': etag ?? '' } })
  expect((await calendar.events.get(at)).data.summary).toBe('Otra')
})

test('a series without end is expanded as far as it is asked for', async () => {
  await insert('end00', 'RRULE:FREQ=WEEKLY;BYDAY=MO')
  const query = { calendarId: 'primary', eventId: 'end00', timeMin: '2036-01-01T00:00:00Z' }
  const { items } = (await calendar.events.instances({ ...query, timeMax: '2036-01-15T00:00:00Z' })).data
  expect(items?.map(event => event.start?.dateTime?.slice(0, 10))).toEqual(['2036-01-07', '2036-01-14'])
})

test('a series made shorter cancels the exceptions it no longer has', async () => {
  await insert('cut00', 'RRULE:FREQ=DAILY;COUNT=5')
  const at = { calendarId: 'primary', eventId: 'cut00_20261210T080000Z' }
  await calendar.events.patch({ ...at, requestBody: { summary: 'Especial' } })
  const requestBody = { recurrence: ['RRULE:FREQ=DAILY;COUNT=2'] }
  await calendar.events.patch({ calendarId: 'primary', eventId: 'cut00', requestBody })
  expect((await calendar.events.get(at)).data.status).toBe('cancelled')
  expect(await starts('cut00')).toEqual(['2026-12-07T09:00', '2026-12-08T09:00'])
})

test.each([
  'RRULE:FREQ=SOMETIMES',
  'RRULE:COUNT=3',
  'RRULE:FREQ=DAILY;COUNT=2;UNTIL=20270101',
  'RRULE:FREQ=WEEKLY;BYDAY=XX',
  'DTSTART:20261207T090000Z',
])('%s is refused', async rule => {
  expect(await failureOf(insert(Buffer.from(rule).toString('hex'), rule))).toMatchObject({ status: 400 })
})
