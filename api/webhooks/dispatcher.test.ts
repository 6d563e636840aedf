import { randomBytes, randomUUID } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { createApiKey } from '../../db/api-keys.ts'
import { type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { webhookDeliveries, webhookEndpoints, webhookEvents } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { insertEndpoint } from '../../db/webhook-endpoints.ts'
import { purgeEvents } from '../../db/webhook-queue.ts'
import { emitEvent } from '../../db/webhooks.ts'
import { createLog } from '../../log.ts'
import { until } from '../test-api.ts'
import { type Dispatcher, type DispatcherDeps, startDispatcher } from './dispatcher.ts'
import { type Receiver, startReceiver } from './receiver-for-tests.ts'
import { firstSecret } from './secrets.ts'
import { openVault } from './vault.ts'

const log = createLog('silent')
const vault = openVault({ key: randomBytes(32), dataDir: '/nowhere', log })
const HOUR_MS = 3_600_000

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let organizationId: string
const dispatchers: Dispatcher[] = []
const receivers: Receiver[] = []

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  organizationId = (
    await createApiKey(database.db, { organization: 'Clínica Andina', name: 'test', role: 'admin' })
  ).organizationId
})
beforeEach(async () => {
  await database.db.delete(webhookEndpoints)
  await database.db.delete(webhookEvents)
})
afterEach(async () => {
  await Promise.all(dispatchers.splice(0).map(one => one.close(0)))
  await Promise.all(receivers.splice(0).map(one => one[Symbol.asyncDispose]()))
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

async function dispatch(
  changes: Partial<DispatcherDeps['settings']> = {},
  deps: Partial<DispatcherDeps> = {},
) {
  const started = await startDispatcher({
    db: database.db,
    databaseUrl: server.url,
    vault,
    settings: { allowPrivate: true, timeoutMs: 5000, disableAfterMs: 24 * HOUR_MS, logDays: 30, ...changes },
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    clock: systemClock,
    log,
    ...deps,
  })
  dispatchers.push(started)
  return started
}

async function receiver(answer?: Receiver['answer']): Promise<Receiver> {
  const started = await startReceiver(answer)
  receivers.push(started)
  return started
}

async function endpoint(url: string) {
  const id = randomUUID()
  const { secret, secrets } = await firstSecret(vault, id, new Date())
  const row = { id, organizationId, url, description: null, eventTypes: null, secrets }
  await database.db.transaction(tx => insertEndpoint(tx, row))
  return { id, secret }
}

const emit = (onlyTo?: string) =>
  emitEvent(database.db, {
    organizationId,
    type: 'meeting.ended',
    at: new Date(),
    data: { topic: 'Comité' },
    ...(onlyTo ? { onlyTo } : {}),
  })
const deliveriesTo = (id: string) =>
  database.db.select().from(webhookDeliveries).where(eq(webhookDeliveries.endpointId, id))
const endpointRow = async (id: string) =>
  (await database.db.select().from(webhookEndpoints).where(eq(webhookEndpoints.id, id)))[0]
const allSettled = (id: string, status: string) =>
  until(`all deliveries ${status}`, async () =>
    (await deliveriesTo(id)).every(delivery => delivery.status === status && delivery.claim === null),
  )
const attempted = (id: string, times: number) =>
  until(`${times} attempts`, async () => {
    const [delivery] = await deliveriesTo(id)
    return delivery && delivery.claim === null && delivery.log.length === times ? delivery : undefined
  })
const makeDue = () =>
  database.db.execute(
    sql`with due as (update webhook_deliveries set next_attempt_at = now() where status = 'pending' returning 1)
      select pg_notify('testigo_webhooks', '') from due limit 1`,
  )

test('an event is posted at once, whole and signed', async () => {
  const { url, received } = await receiver()
  const { id, secret } = await endpoint(url)
  // So seldom that only the notice can bring it.
  await dispatch({}, { lookEveryMs: 600_000 })
  await emit()
  await until('the post', () => received.length > 0)
  const { body = '', headers = {} } = received[0] ?? {}
  const told = new Webhook(secret).verify(body, headers as Record<string, string>)
  expect(told).toMatchObject({ type: 'meeting.ended', version: 1, organizationId, data: { topic: 'Comité' } })
  expect(told).toMatchObject({ id: headers['webhook-id'], sequence: expect.any(Number) })
  await allSettled(id, 'succeeded')
  const [delivery] = await deliveriesTo(id)
  expect(delivery?.log).toMatchObject([{ status: 204, error: null, answer: '' }])
  expect(delivery?.finishedAt).toBeInstanceOf(Date)
})

test('an event whose notice was lost is found by looking', async () => {
  const { url, received } = await receiver()
  const { id } = await endpoint(url)
  await dispatch()
  await database.db.execute(sql`insert into webhook_events (id, organization_id, type, version, occurred_at, payload)
    values ('evt_silent', ${organizationId}::uuid, 'meeting.ended', 1, now(), '{}')`)
  await database.db.execute(sql`insert into webhook_deliveries (id, organization_id, endpoint_id, event_id, next_attempt_at)
    values (gen_random_uuid(), ${organizationId}::uuid, ${id}::uuid, 'evt_silent', now())`)
  await until('the post', () => received.length > 0)
})

test('several processes post each event once', async () => {
  const { url, received } = await receiver()
  const { id } = await endpoint(url)
  await Promise.all([dispatch(), dispatch(), dispatch()])
  await Promise.all(Array.from({ length: 60 }, () => emit()))
  await allSettled(id, 'succeeded')
  const ids = received.map(({ headers }) => headers['webhook-id'])
  expect(ids).toHaveLength(60)
  expect(new Set(ids).size).toBe(60)
})

test('a failed post comes again later with the same id, and success ends it', async () => {
  const down = await receiver(response => response.writeHead(500).end('down'))
  const { id } = await endpoint(down.url)
  await dispatch()
  await emit()
  const first = await attempted(id, 1)
  expect(first).toMatchObject({
    status: 'pending',
    attempts: 1,
    log: [{ status: 500, error: 'not_accepted', answer: 'down' }],
  })
  const waitMs = (first.nextAttemptAt?.getTime() ?? 0) - Date.now()
  expect(waitMs).toBeGreaterThan(2000)
  expect(waitMs).toBeLessThan(6000)
  expect((await endpointRow(id))?.failingSince).toBeInstanceOf(Date)
  down.answer = response => response.writeHead(200).end()
  await makeDue()
  await allSettled(id, 'succeeded')
  expect(down.received).toHaveLength(2)
  expect(down.received[1]?.headers['webhook-id']).toBe(down.received[0]?.headers['webhook-id'])
  expect(down.received[1]?.body).toBe(down.received[0]?.body)
  expect((await endpointRow(id))?.failingSince).toBeNull()
})

test('after the last try an event is given up', async () => {
  const { url, received } = await receiver(response => response.writeHead(500).end())
  const { id } = await endpoint(url)
  await dispatch()
  await emit()
  for (let times = 1; times <= 10; times++) {
    expect((await attempted(id, times)).status).toBe('pending')
    await makeDue()
  }
  expect(await attempted(id, 11)).toMatchObject({ status: 'failed', nextAttemptAt: null })
  expect(received).toHaveLength(11)
})

test('an answer of 410 disables the endpoint, and the others are told', async () => {
  const gone = await receiver(response => response.writeHead(410).end())
  const other = await receiver()
  const { id } = await endpoint(gone.url)
  await endpoint(other.url)
  await dispatch()
  await emit(id)
  await until('the notice', () => other.received.length > 0)
  expect(await endpointRow(id)).toMatchObject({ status: 'disabled', disabledReason: 'gone' })
  expect(JSON.parse(other.received[0]?.body ?? '')).toMatchObject({
    type: 'webhook.disabled',
    data: { webhook: { id, reason: 'gone' } },
  })
  await emit()
  await until('the next event', () => other.received.length === 2)
  expect(gone.received).toHaveLength(1)
})

describe('an endpoint that only fails', () => {
  test('stays enabled within a day and is disabled after it', async () => {
    const { url } = await receiver(response => response.writeHead(503).end())
    const { id } = await endpoint(url)
    await dispatch()
    await emit()
    await attempted(id, 1)
    const failingFor = (hours: number) =>
      database.db.execute(
        sql`update webhook_endpoints set failing_since = now() - ${hours}::int * interval '1 hour'`,
      )
    await failingFor(23)
    await makeDue()
    await attempted(id, 2)
    expect((await endpointRow(id))?.status).toBe('enabled')
    await failingFor(25)
    await makeDue()
    await until('disabled', async () => (await endpointRow(id))?.status === 'disabled')
    expect(await endpointRow(id)).toMatchObject({ disabledReason: 'failing' })
    expect((await deliveriesTo(id)).map(delivery => delivery.status)).toEqual(['failed'])
  })
})

test('endpoints that hang do not hold up one that works', async () => {
  const hanging = await receiver(() => {})
  const working = await receiver()
  const stuck = await Promise.all(Array.from({ length: 5 }, () => endpoint(hanging.url)))
  const { id } = await endpoint(working.url)
  await dispatch({ timeoutMs: 600_000 })
  for (let events = 0; events < 10; events++) for (const { id: one } of stuck) await emit(one)
  await until('the hanging ones', () => hanging.received.length >= 20)
  await emit(id)
  await until('the working one', () => working.received.length > 0)
  expect(hanging.received.length).toBeLessThan(50)
})

test('a delivery that was due to an endpoint disabled meanwhile is not posted', async () => {
  const { url, received } = await receiver()
  const { id } = await endpoint(url)
  await emit()
  await database.db.update(webhookEndpoints).set({ status: 'disabled', disabledReason: 'by_request' })
  await dispatch()
  await allSettled(id, 'failed')
  expect(received).toEqual([])
})

test('an endpoint is not blamed for a secret that we cannot read', async () => {
  const { url, received } = await receiver()
  const { id } = await endpoint(url)
  await dispatch({}, { vault: openVault({ key: randomBytes(32), dataDir: '/nowhere', log }) })
  await emit()
  const waiting = await until('given back', async () => {
    const [delivery] = await deliveriesTo(id)
    return (
      delivery &&
      delivery.claim === null &&
      delivery.nextAttemptAt &&
      delivery.nextAttemptAt.getTime() > Date.now() + 30_000 &&
      delivery
    )
  })
  expect(waiting).toMatchObject({ status: 'pending', attempts: 0, log: [] })
  expect(await endpointRow(id)).toMatchObject({ status: 'enabled', failingSince: null })
  expect(received).toEqual([])
})

test('a private address is refused at the time of the post, and counts as a failure', async () => {
  const { port, received } = await receiver()
  const { id } = await endpoint(`https://erp.example:${port}/`)
  await dispatch({ allowPrivate: false })
  await emit()
  expect((await attempted(id, 1)).log).toMatchObject([{ status: null, error: 'address_refused' }])
  expect(received).toEqual([])
})

test('a process that stops gives what is on its way back for another to post', async () => {
  const slow = await receiver(() => {})
  const { id } = await endpoint(slow.url)
  const stopping = await dispatch()
  await emit()
  await until('the post', () => slow.received.length > 0)
  await stopping.close(0)
  expect((await deliveriesTo(id))[0]).toMatchObject({ status: 'pending', attempts: 0, claim: null, log: [] })
  slow.answer = response => response.writeHead(204).end()
  await dispatch()
  await allSettled(id, 'succeeded')
})

test('old events go with their deliveries; what still waits stays', async () => {
  const { id } = await endpoint('http://127.0.0.1:9/')
  for (let events = 0; events < 3; events++) await emit()
  const [first, second] = await deliveriesTo(id)
  const done = [first?.id ?? '', second?.id ?? '']
  await database.db.execute(
    sql`update webhook_deliveries set status = 'failed' where id = any(${sql.param(`{${done}}`)}::uuid[])`,
  )
  await database.db.execute(
    sql`update webhook_events set created_at = now() - interval '31 days' where id <> ${second?.eventId}`,
  )
  expect(await purgeEvents(database.db, 30, 100)).toBe(1)
  expect((await deliveriesTo(id)).map(delivery => delivery.id)).not.toContain(first?.id)
  expect(await deliveriesTo(id)).toHaveLength(2)
})
