import { z } from 'zod'
import { WEBHOOK_EVENT_TYPES } from '../../db/webhooks.ts'
import { dateTime } from '../meetings.schema.ts'
import { hasPlainText } from '../plain-data.ts'
import type { ProblemCode } from '../problem.ts'
import { urlFault } from './destination.ts'

/** What callers send about webhooks. Unknown fields are refused. */

const LONGEST_OVERLAP_HOURS = 168

const eventType = z.enum(WEBHOOK_EVENT_TYPES).meta({ id: 'WebhookEventType' })

const events = z
  .array(eventType)
  .min(1, 'must name at least one event, or be null for all')
  .max(WEBHOOK_EVENT_TYPES.length)
  .refine(list => new Set(list).size === list.length, 'names an event twice')
  .nullable()
  .meta({ description: 'What to be told of. Null: everything, also what is added later' })

const description = z
  .string()
  .trim()
  .min(1)
  .max(300)
  .refine(hasPlainText, { error: 'must not contain NUL or half characters' })
  .nullable()

/** Schemas of bodies. @param allowPrivate private addresses and plain http are taken too */
export function webhookBodies(allowPrivate: boolean) {
  const url = z
    .string()
    .max(2000)
    .superRefine((text, context) => {
      const fault = hasPlainText(text)
        ? urlFault(text, allowPrivate)
        : 'must not contain NUL or half characters'
      if (fault)
        context.addIssue({
          code: 'custom',
          message: fault,
          params: { code: 'webhook_url_refused' satisfies ProblemCode },
        })
    })
    .meta({
      description: 'https only; its name must point at public addresses, which is checked at every post',
      example: 'https://erp.example/testigo',
    })
  const newWebhook = z
    .strictObject({ url, description: description.default(null), events: events.default(null) })
    .meta({
      id: 'NewWebhook',
      example: {
        url: 'https://erp.example/testigo',
        description: 'XOMA',
        events: ['recording.available', 'recording.failed', 'coverage.alert'],
      },
    })
  const webhookChange = z
    .strictObject({
      url: url.optional(),
      description: description.optional(),
      events: events.optional(),
      status: z
        .enum(['enabled', 'disabled'])
        .optional()
        .meta({ description: 'While it is disabled nothing is kept for it' }),
    })
    .meta({ id: 'WebhookChange', example: { status: 'enabled' } })
  return { newWebhook, webhookChange }
}

export const rotationSchema = z
  .strictObject({
    overlapHours: z.number().min(0).max(LONGEST_OVERLAP_HOURS).default(24).meta({
      description: 'How long the secret before signs beside the new one; 0 when it has leaked',
    }),
  })
  .meta({ id: 'SecretRotation', example: { overlapHours: 24 } })

export const deliveriesQuerySchema = z.strictObject({
  status: z.enum(['pending', 'succeeded', 'failed']).optional(),
  event: z.enum([...WEBHOOK_EVENT_TYPES, 'webhook.ping']).optional(),
  meetingId: z.uuid().optional(),
  from: dateTime.optional().meta({ description: 'Only deliveries made then or later' }),
  to: dateTime.optional().meta({ description: 'Only deliveries made before' }),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(400).optional().meta({ description: '"nextCursor" of the page before' }),
})

export type NewWebhookBody = z.output<ReturnType<typeof webhookBodies>['newWebhook']>
export type WebhookChangeBody = z.output<ReturnType<typeof webhookBodies>['webhookChange']>
