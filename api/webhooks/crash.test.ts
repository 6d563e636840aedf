import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { callApi, openTestWorld, type TestWorld, until } from '../test-api.ts'
import { type Receiver, startReceiver } from './receiver-for-tests.ts'

/** The API as its own process, killed around a post. */

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

let google: GoogleSandbox
let world: TestWorld
let receiver: Receiver
let key: string
let running: { url: string; child: ChildProcess } | undefined

beforeAll(async () => {
  google = await openGoogle()
  world = await openTestWorld(google)
  key = await world.key('Clínica Andina')
  receiver = await startReceiver()
})
afterEach(() => kill())
afterAll(async () => {
  await receiver?.[Symbol.asyncDispose]()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

async function start(): Promise<string> {
  const env = { PATH: process.env.PATH, ...world.env }
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /listens on (http:\S+)/.exec(line)?.[1]
    if (url) {
      running = { url, child }
      return url
    }
  }
  throw new Error('the API ended at its start')
}

async function kill(): Promise<void> {
  if (!running) return
  const gone = once(running.child, 'exit')
  running.child.kill('SIGKILL')
  await gone
  running = undefined
}

const leaseIsOver = () =>
  world.db.execute(sql`update webhook_deliveries set claimed_until = now() where claimed_until is not null`)
const statusOf = async (id: string) => {
  const [row] = await world.db.execute<{ status: string; posts: number }>(
    sql`select status, jsonb_array_length(log) as posts from webhook_deliveries where id = ${id}::uuid`,
  )
  return row
}

async function newWebhook(url: string) {
  const made = await callApi(url, 'POST', '/v1/webhooks', { key, body: { url: receiver.url } })
  const ping = () => callApi(url, 'POST', `/v1/webhooks/${made.body.id}/test`, { key })
  return { id: made.body.id as string, ping }
}

/** Kills the API and starts another; the first one's lease holds the second back until it is over. */
async function anotherDelivers(id: string, receivedBefore: number) {
  await kill()
  const url = await start()
  // It posts what is due: with another event's post behind it, it has looked and left the leased one alone.
  const { ping } = await newWebhook(url)
  await ping()
  await until('the other event', () => receiver.received.length === receivedBefore + 1)
  expect((await statusOf(id))?.status).toBe('pending')
  await leaseIsOver()
  await until('success', async () => (await statusOf(id))?.status === 'succeeded')
}

const LIMIT = { timeout: 60_000 }

test('killed between the post and its note, it is posted once more, with the same id', LIMIT, async () => {
  const { ping } = await newWebhook(await start())
  const holder = postgres(world.databaseUrl, { max: 1 })
  const { promise: mayEnd, resolve: letGo } = Promise.withResolvers<void>()
  const { promise: held, resolve: isHeld } = Promise.withResolvers<void>()
  let holding: Promise<unknown> = Promise.resolve()
  // Taken when the post has come, so that its note waits for us.
  receiver.answer = async response => {
    holding = holder.begin(async tx => {
      await tx`lock table webhook_deliveries in exclusive mode`
      isHeld()
      await mayEnd
    })
    await held
    response.writeHead(204).end()
  }
  const before = receiver.received.length
  const { id } = (await ping()).body
  await held
  await until('the note to wait', async () => {
    const waiting = await world.db.execute(
      sql`select from pg_stat_activity where datname = current_database() and application_name = 'testigo' and wait_event_type = 'Lock'`,
    )
    return waiting.length > 0
  })
  await kill()
  letGo()
  await holding
  await holder.end()
  receiver.answer = response => response.writeHead(204).end()
  expect(await statusOf(id)).toMatchObject({ status: 'pending', posts: 0 })
  await anotherDelivers(id, before + 1)
  const [first, , again] = receiver.received.slice(before)
  expect(receiver.received).toHaveLength(before + 3)
  expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
  expect(again?.body).toBe(first?.body)
  expect(await statusOf(id)).toMatchObject({ posts: 1 })
})

test('killed while it waits for the answer, it is posted once more, with the same id', LIMIT, async () => {
  const { ping } = await newWebhook(await start())
  receiver.answer = () => {}
  const before = receiver.received.length
  const { id } = (await ping()).body
  await until('the post', () => receiver.received.length === before + 1)
  receiver.answer = response => response.writeHead(204).end()
  await anotherDelivers(id, before + 1)
  const ids = receiver.received.slice(before).map(({ headers }) => headers['webhook-id'])
  expect(ids[2]).toBe(ids[0])
  expect(ids).toHaveLength(3)
})
