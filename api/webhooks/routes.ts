import { Router } from 'express'
import { z } from 'zod'
import { listDeliveries } from '../../db/webhook-deliveries.ts'
import { listEndpoints } from '../../db/webhook-endpoints.ts'
import { asCaller, type Caller, callerOf } from '../caller.ts'
import { pageOf, readCursor } from '../cursor.ts'
import { readBody, readQuery } from '../read-input.ts'
import { sendVersioned } from '../versions/entity-tag.ts'
import { ifMatchOf } from '../versions/if-match.ts'
import { deliveriesQuerySchema, rotationSchema, webhookBodies } from './schema.ts'
import { deliveryView, webhookView } from './views.ts'
import {
  createWebhook,
  noSuchDelivery,
  noSuchWebhook,
  redeliver,
  removeWebhook,
  rotateWebhookSecret,
  testWebhook,
  updateWebhook,
  type WebhookDeps,
  webhookOf,
} from './webhooks.ts'

/** `/v1/webhooks` and all below it, behind the key check and the JSON parser. */
export function webhooksRoutes(deps: WebhookDeps & { allowPrivate: boolean }): Router {
  const { db, clock } = deps
  const { newWebhook, webhookChange } = webhookBodies(deps.allowPrivate)
  const now = () => new Date(clock.now())
  const shown = (caller: Caller, id: string) =>
    asCaller(db, caller, tx => webhookOf(tx, caller.organizationId, id))
  const router = Router({ strict: false })

  router
    .route('/')
    .get(async (_request, response) => {
      const caller = callerOf(response)
      const rows = await asCaller(db, caller, tx => listEndpoints(tx, caller.organizationId))
      response.json({ items: rows.map(row => webhookView(row, now())) })
    })
    .post(async (request, response) => {
      const body = readBody(newWebhook, request.body)
      const webhook = await createWebhook(deps, callerOf(response), body)
      const { secret: _, ...seen } = webhook
      sendVersioned(response.status(201).location(`/v1/webhooks/${webhook.id}`), webhook, seen)
    })

  router
    .route('/:id')
    .get(async (request, response) => {
      sendVersioned(response, webhookView(await shown(callerOf(response), webhookIdOf(request)), now()))
    })
    .patch(async (request, response) => {
      const id = webhookIdOf(request)
      const caller = callerOf(response)
      // An unknown webhook is said so before anything about the body.
      await shown(caller, id)
      const body = readBody(webhookChange, request.body)
      sendVersioned(response, await updateWebhook(deps, caller, id, body, ifMatchOf(response)))
    })
    .delete(async (request, response) => {
      await removeWebhook(deps, callerOf(response), webhookIdOf(request), ifMatchOf(response))
      response.status(204).end()
    })

  router.route('/:id/rotate-secret').post(async (request, response) => {
    const id = webhookIdOf(request)
    const caller = callerOf(response)
    await shown(caller, id)
    const { overlapHours } = readBody(rotationSchema, request.body ?? {})
    response.json(await rotateWebhookSecret(deps, caller, id, overlapHours))
  })

  router.route('/:id/test').post(async (request, response) => {
    response.status(202).json(await testWebhook(deps, callerOf(response), webhookIdOf(request)))
  })

  router.route('/:id/deliveries').get(async (request, response) => {
    const caller = callerOf(response)
    const { organizationId } = caller
    const { id: endpointId } = await shown(caller, webhookIdOf(request))
    const { limit, cursor, event, ...filter } = readQuery(deliveriesQuerySchema, request.query)
    const place = cursor === undefined ? undefined : readCursor(cursor)
    const after = place && { createdAt: place.at, id: place.id }
    const of = { organizationId, endpointId }
    const rows = await asCaller(db, caller, tx =>
      listDeliveries(tx, of, { ...filter, eventType: event, after }, limit + 1),
    )
    response.json(pageOf(rows, limit, deliveryView, ({ delivery }) => delivery))
  })

  router.route('/:id/deliveries/:deliveryId/redeliver').post(async (request, response) => {
    const id = webhookIdOf(request)
    const deliveryId = z.uuid().safeParse(request.params.deliveryId)
    const caller = callerOf(response)
    await shown(caller, id)
    if (!deliveryId.success) throw noSuchDelivery()
    response.status(202).json(await redeliver(deps, caller, id, deliveryId.data))
  })

  return router
}

function webhookIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchWebhook()
  return parsed.data
}
