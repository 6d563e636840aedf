import { randomUUID } from 'node:crypto'
import { and, eq, sql } from 'drizzle-orm'
import type { Database, Queryable } from './connect.ts'
import { postgresAt } from './postgres-at.ts'
import { type DeliveryAttempt, webhookDeliveries, webhookEndpoints, webhookEvents } from './schema.ts'
import type { DeliveryRow, EventRow } from './webhook-deliveries.ts'
import { disableEndpoint, type EndpointRow, lockEndpoint } from './webhook-endpoints.ts'
import { WEBHOOK_CHANNEL } from './webhooks.ts'

/**
 * Deliveries that wait to be posted. All times are the database's, so that the clocks of those who post do not matter.
 */

/** A delivery in the hands of one poster, until its lease is over. */
export interface ClaimedDelivery {
  delivery: DeliveryRow
  event: EventRow
  endpoint: EndpointRow
}

/** To an endpoint that works, and to one that does not: a few hanging endpoints must not stop all others. */
const AT_ONCE_PER_ENDPOINT = 4
const AT_ONCE_WHEN_FAILING = 1

/**
 * Takes up to `limit` due deliveries for `leaseMs`; nobody else gets them meanwhile. Each counts as an attempt.
 * @param busy endpoints to leave alone for now
 */
export async function claimDueDeliveries(
  db: Database,
  { limit, leaseMs, busy }: { limit: number; leaseMs: number; busy: readonly string[] },
): Promise<ClaimedDelivery[]> {
  const claim = randomUUID()
  const claimed = await db.execute(sql`
    with due as (
      select waiting.id from webhook_endpoints endpoint
      cross join lateral (
        select id, next_attempt_at from webhook_deliveries
        where endpoint_id = endpoint.id and status = 'pending' and next_attempt_at <= now()
          and (claimed_until is null or claimed_until <= now())
        order by next_attempt_at
        limit case when endpoint.failing_since is null then ${AT_ONCE_PER_ENDPOINT}::int else ${AT_ONCE_WHEN_FAILING}::int end
        for update skip locked
      ) waiting
      where not endpoint.id = any(${sql.param(`{${busy.join(',')}}`)}::uuid[])
      order by waiting.next_attempt_at
      limit ${limit}::int
    )
    update webhook_deliveries delivery
    set claim = ${claim}::uuid, claimed_until = now() + ${leaseMs}::int * interval '1 millisecond', attempts = attempts + 1
    from due where delivery.id = due.id
    returning delivery.id`)
  if (claimed.length === 0) return []
  return db
    .select({ delivery: webhookDeliveries, event: webhookEvents, endpoint: webhookEndpoints })
    .from(webhookDeliveries)
    .innerJoin(webhookEvents, eq(webhookEvents.id, webhookDeliveries.eventId))
    .innerJoin(webhookEndpoints, eq(webhookEndpoints.id, webhookDeliveries.endpointId))
    .where(eq(webhookDeliveries.claim, claim))
}

/** How many a process may have on their way to one endpoint. */
export function isBusy(endpoint: Pick<EndpointRow, 'failingSince'>, onTheirWay: number): boolean {
  return onTheirWay >= (endpoint.failingSince === null ? AT_ONCE_PER_ENDPOINT : AT_ONCE_WHEN_FAILING)
}

/** What follows from a post. `gone`: the receiver wants no more (HTTP 410). */
export type Verdict =
  | { kind: 'succeeded' }
  | { kind: 'again'; inMs: number }
  | { kind: 'gave_up' }
  | { kind: 'gone' }

const MOST_LOGGED = 30

/**
 * Writes down how a post went, in the delivery and in its endpoint's health. Does nothing when the lease was lost: then
 * somebody else is at it.
 * @returns the reason why this disabled the endpoint, if it did
 */
export async function settleDelivery(
  db: Database,
  { delivery, endpoint }: ClaimedDelivery,
  attempt: DeliveryAttempt,
  verdict: Verdict,
  disableAfterMs: number,
): Promise<'gone' | 'failing' | undefined> {
  return db.transaction(async tx => {
    const locked = await lockEndpoint(tx, endpoint.organizationId, endpoint.id)
    if (!locked) return undefined
    const log = [...delivery.log, attempt].slice(-MOST_LOGGED)
    const [settled] = await tx
      .update(webhookDeliveries)
      .set({ ...outcome(verdict), claim: null, claimedUntil: null, log })
      .where(holds(delivery))
      .returning({ id: webhookDeliveries.id })
    if (!settled) return undefined
    if (verdict.kind === 'succeeded') {
      if (locked.failingSince) await setFailing(tx, endpoint.id, null)
      return undefined
    }
    const failing = await setFailing(tx, endpoint.id, sql`coalesce(${webhookEndpoints.failingSince}, now())`)
    const reason = verdict.kind === 'gone' ? 'gone' : failing.forMs >= disableAfterMs ? 'failing' : undefined
    if (!reason || locked.status === 'disabled') return undefined
    await disableEndpoint(tx, locked, reason, failing.now)
    return reason
  })
}

/** Gives a claimed delivery back unposted: it is due again after `inMs`, and this was no attempt. */
export async function giveBackDelivery(db: Queryable, delivery: DeliveryRow, inMs: number): Promise<void> {
  await db
    .update(webhookDeliveries)
    .set({
      attempts: sql`greatest(${webhookDeliveries.attempts} - 1, 0)`,
      nextAttemptAt: after(inMs),
      claim: null,
      claimedUntil: null,
    })
    .where(holds(delivery))
}

/** A claimed delivery whose endpoint was disabled meanwhile is not posted. */
export async function dropDelivery(db: Queryable, delivery: DeliveryRow): Promise<void> {
  await db
    .update(webhookDeliveries)
    .set({ status: 'failed', nextAttemptAt: null, claim: null, claimedUntil: null, finishedAt: sql`now()` })
    .where(holds(delivery))
}

/** Removes events older than `days`, with their deliveries; what still waits stays. @returns how many were removed */
export async function purgeEvents(db: Queryable, days: number, limit: number): Promise<number> {
  const gone = await db.execute(sql`
    delete from webhook_events where id in (
      select id from webhook_events event
      where created_at < now() - ${days}::int * interval '1 day'
        and not exists (select from webhook_deliveries where event_id = event.id and status = 'pending')
      order by created_at limit ${limit}::int
      for update skip locked)
    returning id`)
  return gone.length
}

/**
 * Calls `onDue` whenever a transaction made a delivery due, and once more after a lost connection came back. A call is a
 * hint only: who listens must also look by itself now and then.
 */
export async function listenForDeliveries(
  url: string,
  onDue: () => void,
): Promise<{ close(): Promise<void> } & AsyncDisposable> {
  const connection = postgresAt(url, {
    max: 1,
    connect_timeout: 10,
    onnotice: () => {},
    connection: { application_name: 'testigo-webhooks' },
  })
  await connection.listen(WEBHOOK_CHANNEL, onDue, onDue)
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= connection.end({ timeout: 5 })
    return closed
  }
  return { close, [Symbol.asyncDispose]: close }
}

const after = (inMs: number) => sql`now() + ${inMs}::float8 * interval '1 millisecond'`

const holds = (delivery: DeliveryRow) =>
  and(eq(webhookDeliveries.id, delivery.id), eq(webhookDeliveries.claim, delivery.claim ?? ''))

function outcome(verdict: Verdict) {
  if (verdict.kind === 'again') return { status: 'pending' as const, nextAttemptAt: after(verdict.inMs) }
  const status = verdict.kind === 'succeeded' ? ('succeeded' as const) : ('failed' as const)
  return { status, nextAttemptAt: null, finishedAt: sql`now()` }
}

async function setFailing(db: Queryable, endpointId: string, since: null | ReturnType<typeof sql>) {
  const [row] = await db
    .update(webhookEndpoints)
    .set({ failingSince: since })
    .where(eq(webhookEndpoints.id, endpointId))
    .returning({
      forMs:
        sql<number>`coalesce(extract(epoch from now() - ${webhookEndpoints.failingSince}) * 1000, 0)`.mapWith(
          Number,
        ),
      now: sql<string>`now()`,
    })
  if (!row) throw new Error(`The webhook ${endpointId} is gone although it was locked`)
  return { forMs: row.forMs, now: new Date(row.now) }
}
