import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import {
  type ApiProcess,
  beforeAnswerIsKept,
  hangAt,
  hold,
  holdTable,
  leasesAreOver,
  openApiProcess,
  type StopAt,
} from './api-process-for-tests.ts'
import { callApi, makeDue, newMeeting, openJobsOf, openTestWorld, type TestWorld, until } from './test-api.ts'

/** The API as its own process, killed at each step of changing and of cancelling a meeting, and asked again. */

let google: GoogleSandbox
let world: TestWorld
let key: string
let api: ApiProcess

beforeAll(async () => {
  google = await openGoogle()
  world = await openTestWorld(google)
  key = await world.key('Clínica Andina')
  api = openApiProcess(world)
  await api.url()
})
afterEach(() => google.faults.clear())
afterAll(async () => {
  await api?.kill()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

interface Subject {
  id: string
  path: string
  tag: string
  eventId: string
}

async function madeMeeting(): Promise<Subject> {
  const { body, headers, status } = await callApi(await api.url(), 'POST', '/v1/meetings', {
    key,
    body: newMeeting(),
  })
  expect(status, JSON.stringify(body)).toBe(201)
  const [row] = await world.db.execute<{ event_id: string }>(
    sql`select event_id from meetings where id = ${body.id}::uuid`,
  )
  const eventId = row?.event_id ?? ''
  return { id: body.id, path: `/v1/meetings/${body.id}`, tag: headers.get('etag') ?? '', eventId }
}

const notesOf = async (id: string, kind: string) =>
  (await world.db.execute(sql`select from meeting_events where meeting_id = ${id}::uuid and kind = ${kind}`))
    .length
const eventOf = ({ eventId }: Subject) => {
  const all = [...google.state.events.values()].map(event => event.resource)
  return all.find(event => event.id === eventId)
}
const auditOf = async (id: string, action: string) => {
  const rows = await world.db.execute(
    sql`select action from audit_log where subject = ${`meeting:${id}`} and action = ${action}
      union all select action from audit_pending where subject = ${`meeting:${id}`} and action = ${action}`,
  )
  return rows.length
}

type Stop = (subject: Subject) => ReturnType<StopAt>
const onTable =
  (table: string): Stop =>
  async () => {
    const held = await holdTable(world, table)
    return { reached: held.somebodyWaits, letGo: held.letGo }
  }
const atGoogle =
  (method: string, service: 'calendar' | 'meet'): Stop =>
  () =>
    hangAt(google, method, service)()
/** What notes that Google was told moves the bot's job too. */
const onJob: Stop = async ({ id }) => {
  const job = `select from pgboss.job where name = 'record-meeting' and singleton_key = '${id}' for update`
  const held = await hold(world, job)
  return { reached: held.somebodyWaits, letGo: held.letGo }
}
/** All is done, and the answer is about to be kept. */
const beforeAnswer =
  (before: Stop): Stop =>
  subject =>
    beforeAnswerIsKept(world, () => before(subject))

const LIMIT = { timeout: 60_000 }
let used = 0

/** Sends a request, kills the API at the step, and gives what sends the request again. */
async function killedAt(stopAt: Stop, subject: Subject, method: string, body?: unknown) {
  used += 1
  const headers = { 'idempotency-key': `key-${used}`, 'if-match': subject.tag }
  const ask = async () =>
    callApi(await api.url(), method, subject.path, { key, headers, ...(body === undefined ? {} : { body }) })
  const stop = await stopAt(subject)
  const cutOff = ask().catch(() => 'no answer')
  await stop.reached()
  await api.kill()
  expect(await cutOff).toBe('no answer')
  await stop.letGo?.()
  google.faults.clear()
  return ask
}

describe('a change', () => {
  test.each<[string, Stop]>([
    ['before the row was changed', onTable('meetings')],
    ['before Google was told', atGoogle('events.patch', 'calendar')],
    ['after Google was told of the event', atGoogle('spaces.get', 'meet')],
    ['before it was noted that Google knows', onJob],
    ['before its answer was kept', beforeAnswer(onJob)],
  ])('repeated after a kill %s is made once', LIMIT, async (name, stopAt) => {
    const subject = await madeMeeting()
    const ask = await killedAt(stopAt, subject, 'PATCH', { topic: name })
    await leasesAreOver(world)
    const again = await ask()
    expect([again.status, again.body.topic, again.body.google]).toEqual([200, name, 'up_to_date'])
    const third = await ask()
    expect(third.headers.get('idempotency-replayed')).toBe('true')
    expect(third.body).toEqual(again.body)
    expect(eventOf(subject)?.summary).toBe(name)
    expect([...google.state.events.values()].filter(event => event.resource.summary === name)).toHaveLength(1)
    expect(await notesOf(subject.id, 'meeting.changed')).toBe(1)
    expect(await auditOf(subject.id, 'meeting.changed')).toBe(1)
    expect((await openJobsOf(world.db, subject.id)).map(job => job.name)).toEqual(['record-meeting'])
    const [row] = await world.db.execute(sql`select revision from meetings where id = ${subject.id}::uuid`)
    expect(row).toEqual({ revision: 2 })
  })

  test('never repeated after a kill reaches Google all the same', LIMIT, async () => {
    const subject = await madeMeeting()
    await killedAt(atGoogle('events.patch', 'calendar'), subject, 'PATCH', { topic: 'una vez' })
    await api.url()
    await makeDue(world.db, subject.id)
    await until('the change at Google', () => eventOf(subject)?.summary === 'una vez')
  })
})

describe('a cancellation', () => {
  test.each<[string, Stop]>([
    ['before the row was changed', onTable('meetings')],
    ['before Google was told', atGoogle('events.delete', 'calendar')],
    ['before its answer was kept', beforeAnswer(atGoogle('events.delete', 'calendar'))],
  ])('repeated after a kill %s is made once', LIMIT, async (_name, stopAt) => {
    const subject = await madeMeeting()
    const ask = await killedAt(stopAt, subject, 'DELETE')
    await leasesAreOver(world)
    expect((await ask()).status).toBe(204)
    const third = await ask()
    expect([third.status, third.headers.get('idempotency-replayed')]).toEqual([204, 'true'])
    expect(eventOf(subject)?.status).toBe('cancelled')
    expect(await notesOf(subject.id, 'meeting.cancelled')).toBe(1)
    expect(await auditOf(subject.id, 'meeting.cancelled')).toBe(1)
    const cancelled = google.state.mails.filter(
      mail => mail.about === subject.eventId && mail.kind === 'cancellation',
    )
    expect(new Set(cancelled.map(mail => mail.to)).size).toBe(cancelled.length)
    expect(await openJobsOf(world.db, subject.id)).toEqual([])
  })

  test('never repeated after a kill reaches Google all the same', LIMIT, async () => {
    const subject = await madeMeeting()
    await killedAt(atGoogle('events.delete', 'calendar'), subject, 'DELETE')
    await api.url()
    await makeDue(world.db, subject.id)
    await until('the cancellation at Google', () => eventOf(subject)?.status === 'cancelled')
  })
})

test('what is done in the database alone is done wholly or not at all', LIMIT, async () => {
  const url = await api.url()
  const count = async () => (await world.db.execute(sql`select from webhook_endpoints`)).length
  const before = await count()
  const headers = { 'idempotency-key': 'webhook' }
  const body = { url: 'https://127.0.0.1:9/hook' }
  const ask = (at: string) => callApi(at, 'POST', '/v1/webhooks', { key, headers, body })
  const row = await holdTable(world, 'webhook_endpoints', 'insert into "webhook_endpoints"')
  const cutOff = ask(url).catch(() => 'no answer')
  await row.somebodyWaits()
  const answer = await holdTable(world, 'idempotency_keys', 'update "idempotency_keys"')
  await row.letGo()
  await answer.somebodyWaits()
  await api.kill()
  expect(await cutOff).toBe('no answer')
  await answer.letGo()
  expect(await count()).toBe(before)
  await leasesAreOver(world)
  const again = await ask(await api.url())
  expect(again.status, JSON.stringify(again.body)).toBe(201)
  expect((await ask(await api.url())).body).toEqual(again.body)
  expect(await count()).toBe(before + 1)
})
