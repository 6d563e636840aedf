import { Router } from 'express'
import { withTimeout } from '../clock.ts'
import type { Database } from '../db/connect.ts'
import { checkDatabase } from '../db/meeting-view.ts'
import type { Log } from '../log.ts'

const READY_LIMIT_MS = 2000

/** `/healthz`: the process answers. `/readyz`: database and job queue answer too, within two seconds. */
export function healthRoutes({ database, log }: { database: Database; log: Log }): Router {
  const router = Router()
  router.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' })
  })
  router.get('/readyz', async (_request, response) => {
    response.setHeader('Cache-Control', 'no-store')
    try {
      await withTimeout(checkDatabase(database), READY_LIMIT_MS, 'asking the database')
      response.json({ status: 'ready' })
    } catch (error) {
      log.warn({ error }, 'not ready')
      response.status(503).json({ status: 'not_ready', waitingFor: 'database' })
    }
  })
  return router
}
