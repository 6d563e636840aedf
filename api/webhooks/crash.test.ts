import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pingEndpoint } from '../../db/webhook-endpoints.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { type ApiProcess, type Held, holdTable, openApiProcess } from '../api-process-for-tests.ts'
import { callApi, openTestWorld, type TestWorld, until } from '../test-api.ts'
import { type Receiver, startReceiver } from './receiver-for-tests.ts'

/** The API as its own process, killed around a post. */

let google: GoogleSandbox
let world: TestWorld
let receiver: Receiver
let key: string
let api: ApiProcess

beforeAll(async () => {
  google = await openGoogle()
  world = await openTestWorld(google)
  key = await world.key('Clínica Andina')
  receiver = await startReceiver()
  api = openApiProcess(world)
  await api.url()
})
afterAll(async () => {
  await api?.kill()
  await receiver?.[Symbol.asyncDispose]()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

const setLease = (from: string) =>
  world.db.execute(
    sql`update webhook_deliveries set claimed_until = now() + ${from}::interval where claimed_until is not null`,
  )
const leaseIsOver = () => setLease('0')
const statusOf = async (id: string) => {
  const [row] = await world.db.execute<{ status: string; posts: number }>(
    sql`select status, jsonb_array_length(log) as posts from webhook_deliveries where id = ${id}::uuid`,
  )
  return row
}

async function newWebhook(url: string) {
  const made = await callApi(url, 'POST', '/v1/webhooks', { key, body: { url: receiver.url } })
  const ping = () => callApi(url, 'POST', `/v1/webhooks/${made.body.id}/test`, { key })
  return { webhookId: made.body.id as string, ping }
}

/** Kills the API and starts another; the first one's lease holds the second back until it is over. */
async function anotherDelivers(id: string, receivedBefore: number) {
  await api.kill()
  await setLease('1 hour')
  const url = await api.url()
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
  const { ping } = await newWebhook(await api.url())
  const { promise: held, resolve: isHeld } = Promise.withResolvers<Held>()
  // Taken when the post has come, so that its note waits for us.
  receiver.answer = async response => {
    isHeld(await holdTable(world, 'webhook_deliveries'))
    response.writeHead(204).end()
  }
  const before = receiver.received.length
  const { id } = (await ping()).body
  await (await held).somebodyWaits()
  await api.kill()
  await (await held).letGo()
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
  const { ping } = await newWebhook(await api.url())
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

test('killed when it has taken an event and posted nothing, it is posted once', LIMIT, async () => {
  // Takes connections and reads nothing.
  const deaf = createServer({ pauseOnConnect: true })
  deaf.listen(0, '127.0.0.1')
  await once(deaf, 'listening')
  const { port } = deaf.address() as AddressInfo
  const connected = once(deaf, 'connection')
  const url = await api.url()
  const body = { url: `http://127.0.0.1:${port}/hook` }
  const made = await callApi(url, 'POST', '/v1/webhooks', { key, body })
  const { id } = (await callApi(url, 'POST', `/v1/webhooks/${made.body.id}/test`, { key })).body
  const [socket] = (await connected) as [Socket]
  await api.kill()
  socket.destroy()
  deaf.close()
  await once(deaf, 'close')
  await using later = await startReceiver(undefined, { port })
  await leaseIsOver()
  await api.url()
  await until('success', async () => (await statusOf(id))?.status === 'succeeded')
  expect(later.received).toHaveLength(1)
})

test('killed when an event is written and nobody has taken it, it is posted once', LIMIT, async () => {
  const { webhookId } = await newWebhook(await api.url())
  await api.kill()
  const before = receiver.received.length
  // As the transaction of a change leaves it.
  const id = await world.db.transaction(async tx => {
    const endpoint = await tx.query.webhookEndpoints.findFirst({
      where: (row, { eq }) => eq(row.id, webhookId),
    })
    return endpoint && pingEndpoint(tx, endpoint, new Date())
  })
  await api.url()
  await until('success', async () => (await statusOf(id ?? ''))?.status === 'succeeded')
  expect(receiver.received).toHaveLength(before + 1)
})

test(
  'killed while it waits to post once more, it is posted by the next when that is due',
  LIMIT,
  async () => {
    const { ping } = await newWebhook(await api.url())
    receiver.answer = response => response.writeHead(500).end()
    const before = receiver.received.length
    const { id } = (await ping()).body
    await until('the note of the failure', async () => (await statusOf(id))?.posts === 1)
    await api.kill()
    receiver.answer = response => response.writeHead(204).end()
    await world.db.execute(sql`update webhook_deliveries set next_attempt_at = now() where id = ${id}::uuid`)
    await api.url()
    await until('success', async () => (await statusOf(id))?.status === 'succeeded')
    const ids = receiver.received.slice(before).map(({ headers }) => headers['webhook-id'])
    expect(ids).toEqual([ids[0], ids[0]])
    expect(await statusOf(id)).toMatchObject({ posts: 2 })
  },
)
