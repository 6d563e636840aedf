import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { eq, sql } from 'drizzle-orm'
import express from 'express'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { createApiKey } from '../../db/api-keys.ts'
import { type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { apiKeys } from '../../db/schema.ts'
import { tenantDatabase } from '../../db/tenant.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { createLog } from '../../log.ts'
import { asCaller, type Caller, callerOf } from '../caller.ts'
import { openVault } from '../webhooks/vault.ts'
import { answerOnce } from './answer-once.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let organizationId = ''
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url, { max: 1, prepared: true })
  const made = await createApiKey(database.db, { organization: 'Una', name: 'test', role: 'admin' })
  organizationId = made.organizationId
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

test('a request that runs in one transaction ends with its answer, however long it takes', async () => {
  const db = tenantDatabase(database.db)
  const log = createLog('silent')
  const caller: Caller = {
    organizationId,
    role: 'admin',
    scopes: new Set(),
    actor: 'api_key:test',
    principal: 'key:test',
    email: null,
    kind: 'api_key',
  }
  const app = express()
  app.use((_request, response, next) => {
    Object.assign(response.locals, { caller, wanted: { operation: 'rotateKey' } })
    next()
  })
  app.use(
    answerOnce({
      db,
      vault: openVault({ key: randomBytes(32), dataDir: '/nowhere', log }),
      clock: systemClock,
      log,
      // Far less than the request takes.
      limitMs: 20,
      fail: (_error, _request, response, _next) => {
        response.status(500).end()
      },
    }),
  )
  app.post('/', async (_request, response) => {
    await asCaller(db, callerOf(response), tx => tx.execute(sql`select pg_sleep(0.2)`))
    await asCaller(db, callerOf(response), tx =>
      tx.update(apiKeys).set({ name: 'cambiada' }).where(eq(apiKeys.organizationId, organizationId)),
    )
    response.status(201).json({ done: true })
  })
  await using listening = app.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  const send = () =>
    fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers: { 'idempotency-key': 'lenta' } })
  const first = await send()
  expect([first.status, await first.json()]).toEqual([201, { done: true }])
  const [row] = await database.db.select({ name: apiKeys.name }).from(apiKeys)
  expect(row?.name).toBe('cambiada')
  const again = await send()
  expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
})
