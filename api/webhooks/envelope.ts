import type { EventRow } from '../../db/webhook-deliveries.ts'

/** The body of a webhook: the same for every post of the event. */
export function envelopeOf(event: EventRow) {
  return {
    id: event.id,
    type: event.type,
    version: event.version,
    occurredAt: event.occurredAt.toISOString(),
    sequence: event.sequence,
    organizationId: event.organizationId,
    data: event.payload,
  }
}
