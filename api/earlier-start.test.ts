import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { newMeeting, openJobsOf, openTestApi, type TestApi, until } from './test-api.ts'

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

const refuseChanges = () =>
  google.faults.add({ kind: 'error', method: 'events.patch', status: 403, reason: 'forbidden', count: 1000 })
const dueOf = async (key: string) =>
  (await openJobsOf(api.db, key)).find(({ name }) => name === 'record-meeting')?.due.toISOString()
const make = async (changes: object) => {
  const answer = await api.call('POST', '/v1/meetings', { body: newMeeting({ ...changes }) })
  expect(answer.status).toBe(201)
  return answer.body
}
const EARLIER = { start: '2031-03-04T08:00:00-05:00', end: '2031-03-04T09:00:00-05:00' }

test('a meeting that a caller moves to an earlier time has its bot then, before Google knows of it', async () => {
  const { id } = await make({})
  refuseChanges()
  const answer = await api.call('PATCH', `/v1/meetings/${id}`, { body: EARLIER })
  google.faults.clear()
  expect(answer.status).toBe(502)
  expect(await dueOf(id)).toBe('2031-03-04T12:59:00.000Z')
})

test('so have all meetings of a series', async () => {
  const first = Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 259_200_000
  const hour = (count: number) => new Date(first + count * 3_600_000).toISOString()
  const times = { start: hour(0), end: hour(1), timeZone: 'UTC' }
  const { id, series } = await make({ ...times, recurrence: ['RRULE:FREQ=DAILY;COUNT=3'] })
  const rows = await until('all have a bot', async () => {
    const found = await api.db.execute<{ id: string }>(
      sql`select id from meetings where series_id = ${series.id} order by starts_at`,
    )
    const due = await Promise.all(found.map(row => dueOf(row.id)))
    return due.length === 3 && due.every(Boolean) && found
  })
  refuseChanges()
  const earlier = { start: hour(-2), end: hour(-1) }
  const answer = await api.call('PATCH', `/v1/meetings/${id}?scope=all`, { body: earlier })
  google.faults.clear()
  expect(answer.status).toBe(502)
  const due = [-2, 22, 46].map(count => new Date(Date.parse(hour(count)) - 60_000).toISOString())
  expect(await Promise.all(rows.map(row => dueOf(row.id)))).toEqual(due)
})

test('both bots of a redundant recording are moved and taken back with it', async () => {
  const { id } = await make({ redundancy: 2 })
  expect(await dueOf(`${id}:1`)).toBe('2031-03-04T14:59:00.000Z')
  expect((await api.call('PATCH', `/v1/meetings/${id}`, { body: EARLIER })).status).toBe(200)
  expect([await dueOf(id), await dueOf(`${id}:1`)]).toEqual(Array(2).fill('2031-03-04T12:59:00.000Z'))
  expect((await api.call('DELETE', `/v1/meetings/${id}`)).status).toBe(204)
  expect([await dueOf(id), await dueOf(`${id}:1`)]).toEqual([undefined, undefined])
})
