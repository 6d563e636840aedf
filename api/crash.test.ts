import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { callApi, makeDue, newMeeting, openJobsOf, openTestWorld, type TestWorld, until } from './test-api.ts'

/** The API as its own process, killed at each step of making a meeting, started again, and asked again. */

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

interface ApiProcess {
  url: string
  child: ChildProcess
}

let google: GoogleSandbox
let world: TestWorld
let key: string
let running: ApiProcess | undefined
let onConference: (() => Promise<void>) | undefined

beforeAll(async () => {
  google = await openGoogle({ conferencePendingMs: 300, onConference: () => onConference?.() })
  world = await openTestWorld(google)
  key = await world.key('Clínica Andina')
})
afterEach(() => {
  onConference = undefined
  google.faults.clear()
})
afterAll(async () => {
  await kill()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

async function startProcess(): Promise<ApiProcess> {
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, ...world.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /listens on (http:\S+)/.exec(line)?.[1]
    if (url) return { url, child }
  }
  throw new Error('the API ended at its start')
}

async function api(): Promise<ApiProcess> {
  running ??= await startProcess()
  return running
}

async function kill(): Promise<void> {
  if (!running) return
  const gone = once(running.child, 'exit')
  running.child.kill('SIGKILL')
  await gone
  running = undefined
}

const requested = (method: string, status: unknown) =>
  google.state.requests.filter(request => request.method.endsWith(method) && request.status === status).length

/** Makes one statement of the database wait for us, and tells when one does. */
async function holdTable(table: string) {
  const holder = postgres(world.databaseUrl, { max: 1 })
  let release = () => {}
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  const { promise: held, resolve: isHeld } = Promise.withResolvers<void>()
  const transaction = holder.begin(async tx => {
    await tx.unsafe(`lock table ${table} in exclusive mode`)
    isHeld()
    await released
  })
  await held
  return {
    somebodyWaits: () =>
      until(`a wait for ${table}`, async () => {
        const waiting = await world.db.execute(
          sql`select 1 from pg_stat_activity where datname = current_database()
            and application_name = 'testigo' and wait_event_type = 'Lock'`,
        )
        return waiting.length > 0
      }),
    letGo: async () => {
      release()
      await transaction
      await holder.end()
    },
  }
}

interface Step {
  name: string
  /** Prepares the stop; resolves with a wait for it and with what lets go afterwards. */
  stopAt: () => Promise<{ reached: () => Promise<unknown>; letGo?: () => Promise<void> }>
}

const hangAt = (method: string, service: 'token' | 'calendar' | 'meet') => async () => {
  const before = requested(method, 'hang')
  google.faults.add({ kind: 'hang', service, method })
  return { reached: () => until(`a call of ${method}`, () => requested(method, 'hang') > before) }
}

const holdAtEnd = (table: string) => async () => {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<typeof holdTable>>>()
  // The conference is made after the row was written and before the last transaction.
  onConference = async () => resolve(await holdTable(table))
  return {
    reached: async () => (await promise).somebodyWaits(),
    letGo: async () => (await promise).letGo(),
  }
}

const STEPS: Step[] = [
  { name: 'before Google gave a token, the row being written', stopAt: hangAt('token', 'token') },
  {
    name: 'before the row was written',
    stopAt: async () => {
      const table = await holdTable('meetings')
      return { reached: table.somebodyWaits, letGo: table.letGo }
    },
  },
  { name: 'before the event was made', stopAt: hangAt('events.insert', 'calendar') },
  {
    name: 'after the event was made and its answer was lost',
    stopAt: async () => {
      google.faults.add({ kind: 'cut', service: 'calendar', method: 'events.insert' })
      return hangAt('events.get', 'calendar')()
    },
  },
  { name: 'while the conference was pending', stopAt: hangAt('events.get', 'calendar') },
  { name: 'before the space was looked up', stopAt: hangAt('spaces.get', 'meet') },
  { name: 'before the space was configured', stopAt: hangAt('spaces.patch', 'meet') },
  { name: 'before the meeting was noted as made', stopAt: holdAtEnd('meetings') },
  { name: 'before the job of the bot was written', stopAt: holdAtEnd('pgboss.job') },
]

async function expectOneOfEverything(externalId: string) {
  const rows = await world.db.execute<{ id: string }>(
    sql`select id from meetings where external_id = ${externalId}`,
  )
  expect(rows).toHaveLength(1)
  const id = rows[0]?.id ?? ''
  const events = [...google.state.events.values()]
    .map(event => event.resource)
    .filter(event => event.summary === externalId)
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
  async (name, { stopAt }) => {
    const body = newMeeting({ externalId: name, topic: name })
    const first = await api()
    const stop = await stopAt()
    const cutOff = callApi(first.url, 'POST', '/v1/meetings', { key, body }).then(
      answer => answer.status,
      () => 'no answer',
    )
    await stop.reached()
    await kill()
    expect(await cutOff).toBe('no answer')
    await stop.letGo?.()
    google.faults.clear()

    const again = await callApi((await api()).url, 'POST', '/v1/meetings', { key, body })
    expect(again.status, JSON.stringify(again.body)).toBe(201)
    expect(again.body.joinUrl).toMatch(/^https:\/\/meet\.google\.com\//)
    expect(await expectOneOfEverything(name)).toBe(again.body.id)
    expect(await openJobsOf(world.db, again.body.id)).toHaveLength(1)

    const third = await callApi((await api()).url, 'POST', '/v1/meetings', { key, body })
    expect(third.status).toBe(409)
    expect(third.body).toMatchObject({ meetingId: again.body.id, joinUrl: again.body.joinUrl })
    await expectOneOfEverything(name)
  },
)

test('a meeting whose request is never repeated after the kill is made by its job', async () => {
  const externalId = 'never repeated'
  const first = await api()
  const stop = await hangAt('spaces.get', 'meet')()
  const body = newMeeting({ externalId, topic: externalId })
  const cutOff = callApi(first.url, 'POST', '/v1/meetings', { key, body }).catch(() => 'no answer')
  await stop.reached()
  await kill()
  await cutOff
  const [row] = await world.db.execute<{ id: string }>(
    sql`select id from meetings where external_id = ${externalId}`,
  )
  await api()
  await makeDue(world.db, row?.id ?? '')
  await until('the record job', async () =>
    (await openJobsOf(world.db, row?.id ?? '')).some(job => job.name === 'record-meeting'),
  )
  await expectOneOfEverything(externalId)
})

test('a process that is told to stop ends the request on its way, then itself', async () => {
  const { url, child } = await api()
  const body = newMeeting({ externalId: 'stopped', topic: 'stopped' })
  onConference = async () => void child.kill('SIGTERM')
  const answer = await callApi(url, 'POST', '/v1/meetings', { key, body, headers: { connection: 'close' } })
  expect(answer.status).toBe(201)
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  expect(code).toBe(0)
  running = undefined
})
