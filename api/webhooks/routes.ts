import { Router } from 'express'
import { z } from 'zod'
import { listDeliveries } from '../../db/webhook-deliveries.ts'
import { listEndpoints } from '../../db/webhook-endpoints.ts'
import { ownerOf } from '../authenticate.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import { onlyMethods } from '../only-methods.ts'
import { readBody, readQuery } from '../read-input.ts'
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
  const router = Router({ strict: false })

  router
    .route('/')
    .get(async (_request, response) => {
      const rows = await listEndpoints(db, ownerOf(response).organizationId)
      response.json({ items: rows.map(row => webhookView(row, now())) })
    })
    .post(async (request, response) => {
      const body = readBody(newWebhook, request.body)
      const webhook = await createWebhook(deps, ownerOf(response).organizationId, body)
      response.status(201).location(`/v1/webhooks/${webhook.id}`).json(webhook)
    })
    .all(onlyMethods('GET', 'POST'))

  router
    .route('/:id')
    .get(async (request, response) => {
      const row = await webhookOf(db, ownerOf(response).organizationId, webhookIdOf(request))
      response.json(webhookView(row, now()))
    })
    .patch(async (request, response) => {
      const id = webhookIdOf(request)
      const { organizationId } = ownerOf(response)
      // An unknown webhook is said so before anything about the body.
      await webhookOf(db, organizationId, id)
      response.json(await updateWebhook(deps, organizationId, id, readBody(webhookChange, request.body)))
    })
    .delete(async (request, response) => {
      await removeWebhook(db, ownerOf(response).organizationId, webhookIdOf(request))
      response.status(204).end()
    })
    .all(onlyMethods('GET', 'PATCH', 'DELETE'))

  router
    .route('/:id/rotate-secret')
    .post(async (request, response) => {
      const id = webhookIdOf(request)
      const { organizationId } = ownerOf(response)
      await webhookOf(db, organizationId, id)
      const { overlapHours } = readBody(rotationSchema, request.body ?? {})
      response.json(await rotateWebhookSecret(deps, organizationId, id, overlapHours))
    })
    .all(onlyMethods('POST'))

  router
    .route('/:id/test')
    .post(async (request, response) => {
      response
        .status(202)
        .json(await testWebhook(deps, ownerOf(response).organizationId, webhookIdOf(request)))
    })
    .all(onlyMethods('POST'))

  router
    .route('/:id/deliveries')
    .get(async (request, response) => {
      const { organizationId } = ownerOf(response)
      const { id: endpointId } = await webhookOf(db, organizationId, webhookIdOf(request))
      const { limit, cursor, event, ...filter } = readQuery(deliveriesQuerySchema, request.query)
      const place = cursor === undefined ? undefined : readCursor(cursor)
      const after = place && { createdAt: place.at, id: place.id }
      const of = { organizationId, endpointId }
      const rows = await listDeliveries(db, of, { ...filter, eventType: event, after }, limit + 1)
      const items = rows.slice(0, limit)
      const last = rows.length > limit ? items.at(-1)?.delivery : undefined
      response.json({
        items: items.map(deliveryView),
        nextCursor: last ? writeCursor({ at: last.createdAt, id: last.id }) : null,
      })
    })
    .all(onlyMethods('GET'))

  router
    .route('/:id/deliveries/:deliveryId/redeliver')
    .post(async (request, response) => {
      const id = webhookIdOf(request)
      const deliveryId = z.uuid().safeParse(request.params.deliveryId)
      const { organizationId } = ownerOf(response)
      await webhookOf(db, organizationId, id)
      if (!deliveryId.success) throw noSuchDelivery()
      response.status(202).json(await redeliver(deps, organizationId, id, deliveryId.data))
    })
    .all(onlyMethods('POST'))

  return router
}

function webhookIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchWebhook()
  return parsed.data
}
