import type { DeliveryWithEvent } from '../../db/webhook-deliveries.ts'
import type { EndpointRow } from '../../db/webhook-endpoints.ts'
import { inForce } from './secrets.ts'
import type { DeliveryView, WebhookView } from './views.schema.ts'

/** Rows as callers see them: never a secret, not even a sealed one. */

export function webhookView(row: EndpointRow, now: Date): WebhookView {
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    events: row.eventTypes as WebhookView['events'],
    status: row.status,
    disabledReason: row.disabledReason,
    disabledAt: iso(row.disabledAt),
    failingSince: iso(row.failingSince),
    secrets: row.secrets
      .filter(secret => inForce(secret, now))
      .map(({ createdAt, expiresAt }) => ({ createdAt, expiresAt })),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

export function deliveryView({ delivery, event }: DeliveryWithEvent): DeliveryView {
  return {
    id: delivery.id,
    eventId: event.id,
    event: event.type,
    meetingId: event.meetingId,
    occurredAt: event.occurredAt.toISOString(),
    status: delivery.status,
    nextAttemptAt: iso(delivery.nextAttemptAt),
    attempts: delivery.log as DeliveryView['attempts'],
    createdAt: delivery.createdAt.toISOString(),
    finishedAt: iso(delivery.finishedAt),
  }
}

function iso(at: Date | null): string | null {
  return at?.toISOString() ?? null
}
