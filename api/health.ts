import { Router } from 'express'
import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { withTimeout } from '../clock.ts'
import type { Database } from '../db/connect.ts'
import { checkDatabase } from '../db/meeting-view.ts'
import type { Log } from '../log.ts'
import { json } from './openapi-answers.ts'

const READY_LIMIT_MS = 2000
const RETRY_SECONDS = 5

/** `/healthz`: the process answers. `/readyz`: database and job queue answer too, within two seconds. */
export function healthRoutes({ database, log }: { database: Database; log: Log }): Router {
  const router = Router()
  router.get('/healthz', (_request, response) => {
    response.setHeader('Cache-Control', 'no-store')
    response.json({ status: 'ok' })
  })
  router.get('/readyz', async (_request, response) => {
    response.setHeader('Cache-Control', 'no-store')
    try {
      await withTimeout(checkDatabase(database), READY_LIMIT_MS, 'asking the database')
      response.json({ status: 'ready' })
    } catch (error) {
      log.warn({ error }, 'not ready')
      response.setHeader('Retry-After', String(RETRY_SECONDS))
      response.status(503).json({ status: 'not_ready', waitingFor: 'database' })
    }
  })
  return router
}

/** `GET /healthz` and `GET /readyz`, for the OpenAPI document. */
export function healthPaths(): ZodOpenApiPathsObject {
  const notReady = z.object({ status: z.literal('not_ready'), waitingFor: z.literal('database') })
  return {
    '/healthz': {
      get: {
        operationId: 'getHealth',
        summary: 'Whether the process lives: if not, start it anew',
        security: [],
        responses: { 200: json('It lives', z.object({ status: z.literal('ok') })) },
      },
    },
    '/readyz': {
      get: {
        operationId: 'getReadiness',
        summary: 'Whether requests can be answered: if not, send them to another process',
        security: [],
        responses: {
          200: json('They can', z.object({ status: z.literal('ready') })),
          503: json(
            'They cannot: the database or its job queue does not answer within two seconds',
            notReady,
          ),
        },
      },
    },
  }
}
