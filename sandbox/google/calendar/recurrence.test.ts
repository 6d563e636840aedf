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

test('a rule that is not understood is 501, not a guess', async () => {
  await insert('mon00', 'RRULE:FREQ=MONTHLY;COUNT=3')
  expect((await failureOf(instances('mon00'))).status).toBe(501)
})
