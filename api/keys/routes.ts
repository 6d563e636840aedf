import { Router } from 'express'
import { z } from 'zod'
import { listKeys } from '../../db/api-keys.ts'
import { asCaller, callerOf } from '../caller.ts'
import { pageOf, readCursor } from '../cursor.ts'
import { readBody, readQuery } from '../read-input.ts'
import { createKey, endKey, giveNewSecret, type KeysDeps, noSuchKey, showKey } from './keys.ts'
import { keyRotationSchema, newKeySchema, pageQuerySchema } from './schema.ts'
import { keyView } from './views.ts'

/** `/v1/keys` and all below it, behind the key check and the JSON parser. */
export function keysRoutes(deps: KeysDeps): Router {
  const { db, clock } = deps
  const router = Router({ strict: false })

  router
    .route('/')
    .get(async (request, response) => {
      const caller = callerOf(response)
      const { limit, cursor } = readQuery(pageQuerySchema, request.query)
      const after = cursor === undefined ? undefined : readCursor(cursor)
      const rows = await asCaller(db, caller, tx => listKeys(tx, caller.organizationId, after, limit + 1))
      const now = new Date(clock.now())
      response.json(
        pageOf(
          rows,
          limit,
          row => keyView(row, now),
          row => row,
        ),
      )
    })
    .post(async (request, response) => {
      const key = await createKey(deps, callerOf(response), readBody(newKeySchema, request.body))
      response.status(201).location(`/v1/keys/${key.id}`).json(key)
    })

  router
    .route('/:id')
    .get(async (request, response) => {
      response.json(await showKey(deps, callerOf(response), keyIdOf(request)))
    })
    .delete(async (request, response) => {
      await endKey(deps, callerOf(response), keyIdOf(request))
      response.status(204).end()
    })

  router.post('/:id/rotate', async (request, response) => {
    const caller = callerOf(response)
    const id = keyIdOf(request)
    // An unknown key is said so before anything about the body.
    await showKey(deps, caller, id)
    const { overlapHours } = readBody(keyRotationSchema, request.body ?? {})
    response.json(await giveNewSecret(deps, caller, id, overlapHours))
  })

  return router
}

function keyIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchKey()
  return parsed.data
}
