import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { eq } from 'drizzle-orm'
import express from 'express'
import { expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { createApiKey } from '../../db/api-keys.ts'
import { openDatabase } from '../../db/connect.ts'
import { auditPending } from '../../db/schema.ts'
import { tenantDatabase } from '../../db/tenant.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import type { Caller } from '../caller.ts'
import { readIfMatch } from '../versions/if-match.ts'
import { customFieldsRoutes } from './routes.ts'

test('a change of the schema is in the audit log once, with its version', async () => {
  await using server = await openTestDatabase()
  await using database = openDatabase(server.url)
  const key = await createApiKey(database.db, { organization: 'Una', name: 'test', role: 'admin' })
  const { organizationId } = key
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
  app.use(express.json(), readIfMatch, (_request, response, next) => {
    response.locals.caller = caller
    next()
  })
  app.use(customFieldsRoutes({ db: tenantDatabase(database.db), clock: systemClock }))
  await using listening = app.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ schema: { type: 'object' } }),
  })
  expect(answer.status).toBe(200)
  const notes = await database.db
    .select({ detail: auditPending.detail })
    .from(auditPending)
    .where(eq(auditPending.action, 'custom_fields.changed'))
  expect(notes).toMatchObject([{ detail: { before: { version: null }, after: { version: 1 } } }])
})
