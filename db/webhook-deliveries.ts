import { and, desc, eq, gte, lt, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { webhookDeliveries, webhookEvents } from './schema.ts'
import { WEBHOOK_CHANNEL } from './webhooks.ts'

export type DeliveryRow = typeof webhookDeliveries.$inferSelect
export type EventRow = typeof webhookEvents.$inferSelect

/** A delivery with the event it is of. */
export interface DeliveryWithEvent {
  delivery: DeliveryRow
  event: EventRow
}

/** Where a page of the list begins: after this delivery. */
export interface DeliveryPosition {
  createdAt: Date
  id: string
}

export interface DeliveryFilter {
  status?: DeliveryRow['status'] | undefined
  eventType?: string | undefined
  meetingId?: string | undefined
  /** Made at or after. */
  from?: Date | undefined
  /** Made before. */
  to?: Date | undefined
  after?: DeliveryPosition | undefined
}

const withEvent = { delivery: webhookDeliveries, event: webhookEvents }

/** Deliveries to one organisation's endpoint, the newest first. */
export async function listDeliveries(
  db: Queryable,
  of: { organizationId: string; endpointId: string },
  filter: DeliveryFilter,
  limit: number,
): Promise<DeliveryWithEvent[]> {
  const { status, eventType, meetingId, from, to, after } = filter
  return db
    .select(withEvent)
    .from(webhookDeliveries)
    .innerJoin(webhookEvents, eq(webhookEvents.id, webhookDeliveries.eventId))
    .where(
      and(
        eq(webhookDeliveries.organizationId, of.organizationId),
        eq(webhookDeliveries.endpointId, of.endpointId),
        status && eq(webhookDeliveries.status, status),
        eventType === undefined ? undefined : eq(webhookEvents.type, eventType),
        meetingId === undefined ? undefined : eq(webhookEvents.meetingId, meetingId),
        from && gte(webhookDeliveries.createdAt, from),
        to && lt(webhookDeliveries.createdAt, to),
        after &&
          sql`(${webhookDeliveries.createdAt}, ${webhookDeliveries.id}) < (${after.createdAt.toISOString()}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(desc(webhookDeliveries.createdAt), desc(webhookDeliveries.id))
    .limit(limit)
}

/** One delivery to one organisation's endpoint. */
export async function findDelivery(
  db: Queryable,
  of: { organizationId: string; endpointId: string },
  id: string,
): Promise<DeliveryWithEvent | undefined> {
  const [row] = await db
    .select(withEvent)
    .from(webhookDeliveries)
    .innerJoin(webhookEvents, eq(webhookEvents.id, webhookDeliveries.eventId))
    .where(
      and(
        eq(webhookDeliveries.organizationId, of.organizationId),
        eq(webhookDeliveries.endpointId, of.endpointId),
        eq(webhookDeliveries.id, id),
      ),
    )
  return row
}

/** Makes a delivery due now, with all its tries before it again; one that is being posted goes on as it is. */
export async function deliverAgain(tx: Transaction, id: string): Promise<void> {
  await tx
    .update(webhookDeliveries)
    .set({ status: 'pending', attempts: 0, nextAttemptAt: sql`now()`, finishedAt: null })
    .where(eq(webhookDeliveries.id, id))
  await tx.execute(sql`select pg_notify(${WEBHOOK_CHANNEL}, '')`)
}
