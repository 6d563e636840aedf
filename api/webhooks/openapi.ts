import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, OF_ANY_BODY, refusals } from '../openapi-answers.ts'
import { EVENTS, envelopeSchema } from './events.schema.ts'
import { deliveriesQuerySchema, rotationSchema, webhookBodies } from './schema.ts'
import {
  deliveryListSchema,
  deliveryViewSchema,
  webhookListSchema,
  webhookViewSchema,
  webhookWithSecretSchema,
} from './views.schema.ts'

const path = z.object({ id: z.uuid().meta({ description: "The webhook's id" }) })
const deliveryPath = path.extend({ deliveryId: z.uuid() })
const body = <Schema extends z.ZodType>(schema: Schema, required = true) => ({
  required,
  content: { 'application/json': { schema } },
})

/** The paths below `/v1/webhooks`, for the OpenAPI document. */
export function webhookPaths(): ZodOpenApiPathsObject {
  const { newWebhook, webhookChange } = webhookBodies(false)
  return {
    '/v1/webhooks': {
      post: {
        operationId: 'createWebhook',
        summary: 'Be told of events at an address of yours',
        description: 'The answer holds the signing secret, which is shown this once.',
        requestBody: body(newWebhook),
        responses: {
          201: {
            ...json('The webhook, with its secret', webhookWithSecretSchema),
            headers: z.object({ Location: z.string() }),
          },
          ...refusals(...OF_ANY_BODY, 'webhook_url_refused', 'too_many_webhooks'),
        },
      },
      get: {
        operationId: 'listWebhooks',
        summary: "The organisation's webhooks",
        responses: { 200: json('All of them, the oldest first', webhookListSchema), ...refusals() },
      },
    },
    '/v1/webhooks/{id}': {
      get: {
        operationId: 'getWebhook',
        summary: 'One webhook, and whether it works',
        requestParams: { path },
        responses: { 200: json('The webhook', webhookViewSchema), ...refusals('webhook_not_found') },
      },
      patch: {
        operationId: 'changeWebhook',
        summary: 'Change, enable or disable a webhook',
        requestParams: { path },
        requestBody: body(webhookChange),
        responses: {
          200: json('The webhook as it is now', webhookViewSchema),
          ...refusals(...OF_ANY_BODY, 'webhook_url_refused', 'webhook_not_found'),
        },
      },
      delete: {
        operationId: 'deleteWebhook',
        summary: 'Remove a webhook and the log of its deliveries',
        requestParams: { path },
        responses: { 204: { description: 'Removed' }, ...refusals('webhook_not_found') },
      },
    },
    '/v1/webhooks/{id}/rotate-secret': {
      post: {
        operationId: 'rotateWebhookSecret',
        summary: 'Make a new signing secret; the one before signs beside it for a while',
        requestParams: { path },
        requestBody: body(rotationSchema, false),
        responses: {
          200: json('The webhook, with its new secret', webhookWithSecretSchema),
          ...refusals(...OF_ANY_BODY, 'webhook_not_found'),
        },
      },
    },
    '/v1/webhooks/{id}/test': {
      post: {
        operationId: 'testWebhook',
        summary: 'Send a test event (webhook.ping)',
        requestParams: { path },
        responses: {
          202: json('Its delivery', deliveryViewSchema),
          ...refusals('webhook_not_found', 'webhook_disabled'),
        },
      },
    },
    '/v1/webhooks/{id}/deliveries': {
      get: {
        operationId: 'listWebhookDeliveries',
        summary: 'What was posted and how it went, the newest first',
        requestParams: { path, query: deliveriesQuerySchema },
        responses: {
          200: json('One page', deliveryListSchema),
          ...refusals('invalid_query', 'bad_cursor', 'webhook_not_found'),
        },
      },
    },
    '/v1/webhooks/{id}/deliveries/{deliveryId}/redeliver': {
      post: {
        operationId: 'redeliverWebhook',
        summary: 'Post an event again, with the same webhook-id',
        requestParams: { path: deliveryPath },
        responses: {
          202: json('The delivery, due now', deliveryViewSchema),
          ...refusals('webhook_not_found', 'delivery_not_found', 'webhook_disabled'),
        },
      },
    },
  }
}

const headers = z.object({
  'webhook-id': z.string().meta({ description: 'The id of the event: drop what you have had already' }),
  'webhook-timestamp': z.string().meta({ description: 'Seconds since 1970 of this post: refuse old ones' }),
  'webhook-signature': z.string().meta({
    description:
      'One or more of "v1," and the HMAC-SHA256 of "<webhook-id>.<webhook-timestamp>.<body>" in base64, with spaces between; one for each secret in force',
  }),
})

/** What is posted to webhooks, for the OpenAPI document. */
export function webhookEvents(): ZodOpenApiPathsObject {
  const types = Object.keys(EVENTS) as (keyof typeof EVENTS)[]
  return Object.fromEntries(
    types.map(type => [
      type,
      {
        post: {
          operationId: `on-${type}`,
          summary: EVENTS[type].summary,
          description:
            'Signed as Standard Webhooks says. Posted at least once, in no certain order, for about a day until it is answered with 2xx.',
          security: [],
          requestParams: { header: headers },
          requestBody: body(envelopeSchema(type)),
          responses: {
            '2XX': { description: 'Taken' },
            '410': { description: 'The webhook is disabled' },
            default: { description: 'Posted again later; redirects are not followed' },
          },
        },
      },
    ]),
  )
}
