import { z } from 'zod'
import { WEBHOOK_EVENT_TYPES } from '../../db/webhooks.ts'
import { POST_ERRORS } from './post.ts'

/** What callers get to see of webhooks. Instants are UTC. */

const instant = z.iso.datetime().meta({ example: '2026-11-23T15:00:00.000Z' })
const maybe = <Schema extends z.ZodType>(schema: Schema) => schema.nullable()

const webhookFields = {
  id: z.uuid(),
  url: z.string(),
  description: maybe(z.string()),
  events: maybe(z.array(z.enum(WEBHOOK_EVENT_TYPES))).meta({ description: 'Null: everything' }),
  status: z.enum(['enabled', 'disabled']),
  disabledReason: maybe(z.enum(['by_request', 'gone', 'failing'])).meta({
    description: '"gone": it answered 410. "failing": nothing posted to it succeeded for a day',
  }),
  disabledAt: maybe(instant),
  failingSince: maybe(instant).meta({ description: 'Since then no post to it has succeeded' }),
  secrets: z
    .array(z.object({ createdAt: instant, expiresAt: maybe(instant) }))
    .meta({ description: 'Those that sign, the newest first; the one that does not expire is in force' }),
  createdAt: instant,
  updatedAt: instant,
}

export const webhookViewSchema = z.object(webhookFields).meta({ id: 'Webhook' })
export const webhookWithSecretSchema = z
  .object({
    ...webhookFields,
    secret: z.string().meta({ description: 'Shown this once', example: 'whsec_…' }),
  })
  .meta({ id: 'WebhookWithSecret' })
export const webhookListSchema = z.object({ items: z.array(webhookViewSchema) }).meta({ id: 'WebhookList' })

export const deliveryViewSchema = z
  .object({
    id: z.uuid(),
    eventId: z.string().meta({ description: 'The header webhook-id of every post', example: 'evt_…' }),
    event: z.string().meta({ example: 'recording.available' }),
    meetingId: maybe(z.uuid()),
    occurredAt: instant,
    status: z.enum(['pending', 'succeeded', 'failed']).meta({
      description: '"pending": it will be posted, or posted again, at nextAttemptAt',
    }),
    nextAttemptAt: maybe(instant),
    attempts: z
      .array(
        z.object({
          at: instant,
          durationMs: z.int(),
          status: maybe(z.int()).meta({ description: 'Of the HTTP answer' }),
          error: maybe(z.enum(POST_ERRORS)),
          answer: maybe(z.string()).meta({ description: 'The first 1,024 bytes of it' }),
        }),
      )
      .meta({ description: 'The last 30 posts, the oldest first' }),
    createdAt: instant,
    finishedAt: maybe(instant),
  })
  .meta({ id: 'WebhookDelivery' })

export const deliveryListSchema = z
  .object({
    items: z.array(deliveryViewSchema),
    nextCursor: maybe(z.string()).meta({ description: 'Null on the last page' }),
  })
  .meta({ id: 'WebhookDeliveryList' })

export type WebhookView = z.infer<typeof webhookViewSchema>
export type WebhookWithSecret = z.infer<typeof webhookWithSecretSchema>
export type DeliveryView = z.infer<typeof deliveryViewSchema>
