import { once } from 'node:events'
import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import {
  type ApiProcess,
  beforeAnswerIsKept,
  type Held,
  hangAt,
  holdTable,
  leasesAreOver,
  leasesGoOn,
  openApiProcess,
  type StopAt,
} from './api-process-for-tests.ts'
import { callApi, makeDue, newMeeting, openJobsOf, openTestWorld, type TestWorld, until } from './test-api.ts'

/** The API as its own process, killed at each step of making a meeting, started again, and asked again. */

let google: GoogleSandbox
let world: TestWorld
let key: string
let api: ApiProcess
let onConference: (() => Promise<void>) | undefined

beforeAll(async () => {
  google = await openGoogle({ conferencePendingMs: 300, onConference: () => onConference?.() })
  world = await openTestWorld(google)
  key = await world.key('Clínica Andina')
  api = openApiProcess(world)
  await api.url()
})
afterEach(() => {
  onConference = undefined
  google.faults.clear()
})
afterAll(async () => {
  await api?.kill()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

interface Step {
  name: string
  stopAt: StopAt
}

const atGoogle =
  (method: string, service: 'token' | 'calendar' | 'meet'): StopAt =>
  () =>
    hangAt(google, method, service)()

const holdAtEnd =
  (table: string): StopAt =>
  async () => {
    const { promise, resolve } = Promise.withResolvers<Held>()
    // The conference is made after the row was written and before the last transaction.
    onConference = async () => resolve(await holdTable(world, table))
    return {
      reached: async () => (await promise).somebodyWaits(),
      letGo: async () => (await promise).letGo(),
    }
  }

const LIMIT = { timeout: 60_000 }

const STEPS: Step[] = [
  { name: 'before Google gave a token, the row being written', stopAt: atGoogle('token', 'token') },
  {
    name: 'before the row was written',
    stopAt: async () => {
      const table = await holdTable(world, 'meetings')
      return { reached: table.somebodyWaits, letGo: table.letGo }
    },
  },
  { name: 'before the event was made', stopAt: atGoogle('events.insert', 'calendar') },
  {
    name: 'after the event was made and its answer was lost',
    stopAt: async () => {
      google.faults.add({ kind: 'cut', service: 'calendar', method: 'events.insert' })
      return atGoogle('events.get', 'calendar')()
    },
  },
  { name: 'while the conference was pending', stopAt: atGoogle('events.get', 'calendar') },
  { name: 'before the space was looked up', stopAt: atGoogle('spaces.get', 'meet') },
  { name: 'before the space was configured', stopAt: atGoogle('spaces.patch', 'meet') },
  { name: 'before the meeting was noted as made', stopAt: holdAtEnd('meetings') },
  { name: 'before the job of the bot was written', stopAt: holdAtEnd('pgboss.job') },
]

const BEFORE_ANSWER: Step = {
  name: 'before its answer was kept',
  stopAt: () => beforeAnswerIsKept(world, holdAtEnd('pgboss.job')),
}

async function expectOneOfEverything(topic: string) {
  const rows = await world.db.execute<{ id: string }>(sql`select id from meetings where topic = ${topic}`)
  expect(rows).toHaveLength(1)
  const id = rows[0]?.id ?? ''
  const events = [...google.state.events.values()]
    .map(event => event.resource)
    .filter(event => event.summary === topic)
  expect(events.map(event => event.extendedProperties?.private?.testigoMeetingId)).toEqual([id])
  const invitations = google.state.mails.filter(
    mail => mail.about === events[0]?.id && mail.kind === 'invitation',
  )
  expect(new Set(invitations.map(mail => mail.to)).size).toBe(invitations.length)
  expect(invitations.map(mail => mail.to)).toContain('ana@clinica.example')
  const records = (await openJobsOf(world.db, id)).filter(job => job.name === 'record-meeting')
  expect(records.map(job => job.due)).toEqual([new Date('2031-03-04T14:59:00.000Z')])
  return id
}

test.each(STEPS.map(step => [step.name, step] as const))(
  'a request repeated after a kill %s leaves one event and one job',
  LIMIT,
  async (name, { stopAt }) => {
    const body = newMeeting({ externalId: name, topic: name })
    const first = await api.url()
    const stop = await stopAt()
    const cutOff = callApi(first, 'POST', '/v1/meetings', { key, body }).then(
      answer => answer.status,
      () => 'no answer',
    )
    await stop.reached()
    await api.kill()
    expect(await cutOff).toBe('no answer')
    await stop.letGo?.()
    google.faults.clear()

    const again = await callApi(await api.url(), 'POST', '/v1/meetings', { key, body })
    expect(again.status, JSON.stringify(again.body)).toBe(201)
    expect(again.body.joinUrl).toMatch(/^https:\/\/meet\.google\.com\//)
    expect(await expectOneOfEverything(name)).toBe(again.body.id)
    expect(await openJobsOf(world.db, again.body.id)).toHaveLength(1)

    const third = await callApi(await api.url(), 'POST', '/v1/meetings', { key, body })
    expect(third.status).toBe(409)
    expect(third.body).toMatchObject({ meetingId: again.body.id, joinUrl: again.body.joinUrl })
    await expectOneOfEverything(name)
  },
)

const TOLD_BY_KEY = STEPS.filter(({ name }) => /row was|event was|noted as made/.test(name))
test.each([...TOLD_BY_KEY, BEFORE_ANSWER].map(step => [step.name, step] as const))(
  'a request with an Idempotency-Key repeated after a kill %s leaves one event and one job',
  LIMIT,
  async (name, { stopAt }) => {
    const topic = `key ${name}`
    const headers = { 'idempotency-key': name.replaceAll(' ', '-') }
    const ask = (url: string) =>
      callApi(url, 'POST', '/v1/meetings', { key, headers, body: newMeeting({ topic }) })
    const first = await api.url()
    const stop = await stopAt()
    const cutOff = ask(first).catch(() => 'no answer')
    await stop.reached()
    await api.kill()
    expect(await cutOff).toBe('no answer')
    await stop.letGo?.()
    google.faults.clear()

    await leasesGoOn(world)
    const early = await ask(await api.url())
    expect([early.status, early.body.code]).toEqual([409, 'idempotency_key_in_use'])
    await leasesAreOver(world)
    const again = await ask(await api.url())
    expect(again.status, JSON.stringify(again.body)).toBe(201)
    expect(await expectOneOfEverything(topic)).toBe(again.body.id)
    expect(await openJobsOf(world.db, again.body.id)).toHaveLength(1)
    const third = await ask(await api.url())
    expect([third.status, third.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect(third.body).toEqual(again.body)
    await expectOneOfEverything(topic)
  },
)

test('a meeting whose request is never repeated after the kill is made by its job', LIMIT, async () => {
  const externalId = 'never repeated'
  const first = await api.url()
  const stop = await atGoogle('spaces.get', 'meet')()
  const body = newMeeting({ externalId, topic: externalId })
  const cutOff = callApi(first, 'POST', '/v1/meetings', { key, body }).catch(() => 'no answer')
  await stop.reached()
  await api.kill()
  await cutOff
  const [row] = await world.db.execute<{ id: string }>(
    sql`select id from meetings where external_id = ${externalId}`,
  )
  await api.url()
  await makeDue(world.db, row?.id ?? '')
  await until('the record job', async () =>
    (await openJobsOf(world.db, row?.id ?? '')).some(job => job.name === 'record-meeting'),
  )
  await expectOneOfEverything(externalId)
})

test('a process that is told to stop ends the request on its way, then itself', LIMIT, async () => {
  const url = await api.url()
  const child = api.child()
  const body = newMeeting({ externalId: 'stopped', topic: 'stopped' })
  onConference = async () => void child.kill('SIGTERM')
  const answer = await callApi(url, 'POST', '/v1/meetings', { key, body, headers: { connection: 'close' } })
  expect(answer.status).toBe(201)
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  expect(code).toBe(0)
  api.ended()
})
