import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mails, meetings } from '../../db/schema.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, type TestApi } from '../test-api.ts'
import { remindAll } from './remind.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google)
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const HOUR_MS = 3_600_000
const START = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS + 50 * HOUR_MS
const times = (ms: number) => ({
  start: new Date(ms).toISOString(),
  end: new Date(ms + HOUR_MS).toISOString(),
})
const REMINDERS = [
  { channel: 'email', amount: 1, unit: 'days' },
  { channel: 'email', amount: 3, unit: 'days' },
  { channel: 'email', amount: 30, unit: 'minutes' },
  { channel: 'popup', amount: 10, unit: 'minutes' },
]

async function make(changes: Record<string, unknown> = {}): Promise<string> {
  const body = newMeeting({ ...times(START), reminders: REMINDERS, ...changes })
  const answer = await api.call('POST', '/v1/meetings', { body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body.id
}

/** Writes what is due at a time, as two processes would, and tells who is to be reminded of the meeting. */
async function remindedAt(ms: number, meetingId: string): Promise<string[]> {
  const clock = { now: () => ms, sleep: async () => {} }
  await Promise.all([remindAll({ db: api.db, clock }), remindAll({ db: api.db, clock })])
  const rows = await api.db.select().from(mails).where(eq(mails.meetingId, meetingId))
  return rows
    .map(({ onceKey, recipient }) => `${onceKey.split(/[:@]/).slice(2, 5).join(' ')} ${recipient}`)
    .sort()
}

test('everybody invited is reminded at each time, once; what was due before the meeting was made is not sent', async () => {
  const id = await make()
  expect(await remindedAt(Date.now() + 1000, id)).toEqual([])
  expect(await remindedAt(START - 24 * HOUR_MS - 1000, id)).toEqual([])
  const day = ['email 1 days ana@clinica.example', 'email 1 days luis@otra.example']
  expect(await remindedAt(START - 24 * HOUR_MS, id)).toEqual(day)
  expect(await remindedAt(START - 23 * HOUR_MS, id)).toEqual(day)
  const soon = ['email 30 minutes ana@clinica.example', 'email 30 minutes luis@otra.example']
  expect(await remindedAt(START - HOUR_MS / 4, id)).toEqual([...day, ...soon])
  const [row] = await api.db.select().from(meetings).where(eq(meetings.id, id))
  expect(row?.nextReminderAt).toBeNull()
})

test('a meeting that moved is reminded of at its new time, and one that is cancelled not at all', async () => {
  const moved = await make()
  await api.call('PATCH', `/v1/meetings/${moved}`, { body: times(START + 48 * HOUR_MS) })
  expect(await remindedAt(START - 24 * HOUR_MS, moved)).toHaveLength(2)
  expect(await remindedAt(START + 24 * HOUR_MS, moved)).toHaveLength(4)
  const cancelled = await make()
  await api.call('DELETE', `/v1/meetings/${cancelled}`)
  expect(await remindedAt(START - HOUR_MS / 4, cancelled)).toEqual([])
})

test('each meeting of a series has its own reminders', async () => {
  const id = await make({ recurrence: ['RRULE:FREQ=DAILY;COUNT=2'] })
  const { body } = await api.call('GET', `/v1/meetings/${id}`)
  const list = await api.call('GET', `/v1/meetings?series=${body.series.id}`)
  const [, second] = list.body.items
  expect(second.reminders).toEqual(REMINDERS)
  expect(await remindedAt(START - HOUR_MS / 4, second.id)).toHaveLength(2)
  // It is made more than three days ahead, so that all three of its times are to come.
  expect(await remindedAt(START + 23.75 * HOUR_MS, second.id)).toHaveLength(6)
})

test('notes of the calendar are in the event of a meeting and of a series, and follow a change of all', async () => {
  const notesOf = (testigoId: string) =>
    [...google.state.events.values()].find(
      ({ resource }) => resource.extendedProperties?.private?.testigoMeetingId === testigoId,
    )?.resource.reminders
  const popups = (...minutes: number[]) => ({
    useDefault: false,
    overrides: minutes.map(minute => ({ method: 'popup', minutes: minute })),
  })
  const single = await make()
  expect(notesOf(single)).toEqual(popups(10))
  const change = async (id: string, scope: string) => {
    const reminders = [
      { channel: 'popup', amount: 2, unit: 'hours' },
      { channel: 'popup', amount: 1, unit: 'days' },
      { channel: 'email', amount: 1, unit: 'weeks' },
    ]
    const answer = await api.call('PATCH', `/v1/meetings/${id}?scope=${scope}`, { body: { reminders } })
    expect(answer.body).toMatchObject({ reminders, google: 'up_to_date' })
  }
  await change(single, 'one')
  expect(notesOf(single)).toEqual(popups(120, 1440))

  const first = await make({ recurrence: ['RRULE:FREQ=DAILY;COUNT=3'] })
  const { series } = (await api.call('GET', `/v1/meetings/${first}`)).body
  expect(notesOf(series.id)).toEqual(popups(10))
  await change(first, 'all')
  expect(notesOf(series.id)).toEqual(popups(120, 1440))
  // Without any, the calendar's own are back.
  await api.call('PATCH', `/v1/meetings/${single}`, { body: { reminders: [] } })
  expect(notesOf(single)).toMatchObject({ useDefault: true })
})

test('bad reminders are refused by their place', async () => {
  const reminders = [{ channel: 'email', amount: 9, unit: 'weeks' }, REMINDERS[0], REMINDERS[0]]
  const answer = await api.call('POST', '/v1/meetings', { body: newMeeting({ reminders }) })
  expect(answer.body).toMatchObject({
    status: 422,
    code: 'bad_reminder',
    errors: [{ path: 'reminders[0]' }, { path: 'reminders[2]' }],
  })
})
