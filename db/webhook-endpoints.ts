import { and, asc, count, eq, sql } from 'drizzle-orm'
import { noteAudit } from './audit-notes.ts'
import type { Queryable, Transaction } from './connect.ts'
import { mailAdministrators } from './mails.ts'
import { organizations, type SealedSecret, webhookDeliveries, webhookEndpoints } from './schema.ts'
import { emitEvent, type WebhookEventType } from './webhooks.ts'

export type EndpointRow = typeof webhookEndpoints.$inferSelect

/** How many endpoints one organisation may have: every event is posted to each of them. */
export const MOST_ENDPOINTS = 20

export interface EndpointWish {
  id: string
  organizationId: string
  url: string
  description: string | null
  /** Null: all. */
  eventTypes: WebhookEventType[] | null
  secrets: SealedSecret[]
}

/** Writes a new endpoint. @returns undefined when the organisation has {@link MOST_ENDPOINTS} already */
export async function insertEndpoint(tx: Transaction, wish: EndpointWish): Promise<EndpointRow | undefined> {
  // One after another, so that two at once do not both find room for the last.
  await tx.execute(
    sql`select from ${organizations} where id = ${wish.organizationId}::uuid for no key update`,
  )
  const [there] = await tx
    .select({ endpoints: count() })
    .from(webhookEndpoints)
    .where(eq(webhookEndpoints.organizationId, wish.organizationId))
  if ((there?.endpoints ?? 0) >= MOST_ENDPOINTS) return undefined
  const [row] = await tx.insert(webhookEndpoints).values(wish).returning()
  return row
}

/** An organisation's endpoints, the oldest first. */
export async function listEndpoints(db: Queryable, organizationId: string): Promise<EndpointRow[]> {
  return db
    .select()
    .from(webhookEndpoints)
    .where(eq(webhookEndpoints.organizationId, organizationId))
    .orderBy(asc(webhookEndpoints.createdAt), asc(webhookEndpoints.id))
}

const ofOrganization = (organizationId: string, id: string) =>
  and(eq(webhookEndpoints.organizationId, organizationId), eq(webhookEndpoints.id, id))

/** One organisation's endpoint; `undefined` when it is not there or not theirs. */
export async function findEndpoint(
  db: Queryable,
  organizationId: string,
  id: string,
): Promise<EndpointRow | undefined> {
  const [row] = await db.select().from(webhookEndpoints).where(ofOrganization(organizationId, id))
  return row
}

/**
 * One organisation's endpoint, which nobody else changes until the transaction ends. Whoever locks both takes the
 * endpoint before its deliveries.
 */
export async function lockEndpoint(
  tx: Transaction,
  organizationId: string,
  id: string,
): Promise<EndpointRow | undefined> {
  const [row] = await tx
    .select()
    .from(webhookEndpoints)
    .where(ofOrganization(organizationId, id))
    .for('no key update')
  return row
}

/** Changes an endpoint that {@link lockEndpoint} holds. At a new address it has not failed yet. */
export async function changeEndpoint(
  tx: Transaction,
  endpoint: EndpointRow,
  change: Partial<Pick<EndpointRow, 'url' | 'description' | 'eventTypes' | 'secrets'>>,
  now: Date,
): Promise<EndpointRow> {
  const moved = change.url !== undefined && change.url !== endpoint.url
  return update(tx, endpoint, { ...change, ...(moved ? { failingSince: null } : {}), updatedAt: now })
}

/** Lets an endpoint that {@link lockEndpoint} holds be told again: of what happens from now on. */
export async function enableEndpoint(
  tx: Transaction,
  endpoint: EndpointRow,
  now: Date,
): Promise<EndpointRow> {
  if (endpoint.status === 'enabled') return endpoint
  return update(tx, endpoint, {
    status: 'enabled',
    disabledReason: null,
    disabledAt: null,
    failingSince: null,
    updatedAt: now,
  })
}

/**
 * Posts nothing more to an endpoint that {@link lockEndpoint} holds. What waits for it counts as failed and can be
 * asked for again once it is enabled. Unless its owner wished it, the organisation's other endpoints are told, and
 * its administrators by mail.
 */
export async function disableEndpoint(
  tx: Transaction,
  endpoint: EndpointRow,
  reason: NonNullable<EndpointRow['disabledReason']>,
  now: Date,
): Promise<EndpointRow> {
  if (endpoint.status === 'disabled') return endpoint
  const disabled = await update(tx, endpoint, {
    status: 'disabled',
    disabledReason: reason,
    disabledAt: now,
    updatedAt: now,
  })
  await tx
    .update(webhookDeliveries)
    .set({ status: 'failed', nextAttemptAt: null, claim: null, claimedUntil: null, finishedAt: now })
    .where(and(eq(webhookDeliveries.endpointId, endpoint.id), eq(webhookDeliveries.status, 'pending')))
  if (reason !== 'by_request') {
    await noteAudit(tx, {
      organizationId: endpoint.organizationId,
      actor: 'job:webhooks',
      action: 'webhook.disabled',
      subject: `webhook:${endpoint.id}`,
      detail: { reason },
    })
    const { id, url, failingSince } = disabled
    const webhook = { id, url, reason, failingSince: failingSince?.toISOString() ?? null }
    await emitEvent(tx, {
      organizationId: endpoint.organizationId,
      type: 'webhook.disabled',
      at: now,
      data: { webhook },
    })
    // It may have been the only one, and its address may hold a secret.
    await mailAdministrators(tx, {
      organizationId: endpoint.organizationId,
      meetingId: null,
      kind: 'webhook.disabled',
      facts: { webhookId: id, origin: new URL(url).origin, reason },
      onceKey: `webhook.disabled:${id}:${now.toISOString()}`,
    })
  }
  return disabled
}

/** Removes an endpoint with its deliveries. @returns whether it was there */
export async function deleteEndpoint(db: Queryable, organizationId: string, id: string): Promise<boolean> {
  const gone = await db
    .delete(webhookEndpoints)
    .where(ofOrganization(organizationId, id))
    .returning({ id: webhookEndpoints.id })
  return gone.length > 0
}

/** Sends a test to one endpoint. @returns the id of its delivery, or undefined when the endpoint is not enabled */
export async function pingEndpoint(
  db: Queryable,
  endpoint: { id: string; organizationId: string },
  at: Date,
): Promise<string | undefined> {
  const [deliveryId] = await emitEvent(db, {
    organizationId: endpoint.organizationId,
    type: 'webhook.ping',
    at,
    data: { webhook: { id: endpoint.id } },
    onlyTo: endpoint.id,
  })
  return deliveryId
}

async function update(
  tx: Transaction,
  endpoint: EndpointRow,
  set: Partial<EndpointRow>,
): Promise<EndpointRow> {
  const [row] = await tx
    .update(webhookEndpoints)
    .set(set)
    .where(eq(webhookEndpoints.id, endpoint.id))
    .returning()
  if (!row) throw new Error(`The webhook ${endpoint.id} is gone although it was locked`)
  return row
}
