import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApiKey, findKey, listApiKeys, lockKey, revokeApiKey, rotateKey } from './api-keys.ts'
import { type OpenDatabase, openDatabase } from './connect.ts'
import { apiKeys } from './schema.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

const now = new Date('2030-01-01T10:00:00Z')
const make = (organization: string) =>
  createApiKey(database.db, { organization, name: 'XOMA', role: 'service' })

test('a key leads to its organisation, and what is stored is not the key', async () => {
  const made = await make('Clínica Andina')
  expect(made.key).toMatch(/^tk_[0-9a-f]{8}_[\w-]{43}$/)
  expect(await findKey(database.db, made.key, now)).toEqual({
    keyId: made.keyId,
    prefix: made.key.slice(3, 11),
    organizationId: made.organizationId,
    role: 'service',
    scopes: null,
  })
  const stored = await database.db.select().from(apiKeys).where(eq(apiKeys.id, made.keyId))
  expect(JSON.stringify(stored)).not.toContain(made.key.slice(12))
})

test('a second key of an organisation belongs to the same organisation', async () => {
  const [one, two] = [await make('Una'), await make('Una')]
  expect(two.organizationId).toBe(one.organizationId)
  expect((await make('Otra')).organizationId).not.toBe(one.organizationId)
})

test('a key with one other letter, or revoked, leads nowhere', async () => {
  const { key } = await make('Una')
  const other = key.slice(0, -1) + (key.endsWith('A') ? 'E' : 'A')
  expect(await findKey(database.db, other, now)).toBeUndefined()
  expect(await revokeApiKey(database.db, key.slice(3, 11), now)).toHaveLength(1)
  expect(await findKey(database.db, key, now)).toBeUndefined()
  expect(await revokeApiKey(database.db, key.slice(3, 11), now)).toEqual([])
})

test('a key is revoked also by how its secret before the last rotation began, with both its secrets', async () => {
  const { key: first, keyId, organizationId } = await make('Una')
  const { key: second } = await database.db.transaction(async tx => {
    const row = await lockKey(tx, organizationId, keyId)
    if (!row) throw new Error('the key is gone')
    return rotateKey(tx, row, { now, previousUntil: new Date(now.getTime() + 3_600_000) })
  })
  for (const key of [first, second]) expect(await findKey(database.db, key, now)).toBeDefined()
  expect(await revokeApiKey(database.db, first.slice(3, 11), now)).toHaveLength(1)
  for (const key of [first, second]) expect(await findKey(database.db, key, now)).toBeUndefined()
})

test('the last use of a key is noted at most once a minute', async () => {
  const { key, keyId } = await make('Una')
  const lastUsed = async () =>
    (await listApiKeys(database.db)).find(one => one.keyId === keyId)?.lastUsedAt ?? undefined
  const after = (seconds: number) => new Date(now.getTime() + seconds * 1000)
  expect(await lastUsed()).toBeUndefined()
  for (const [seconds, noted] of [
    [0, 0],
    [59, 0],
    [61, 61],
  ] as const) {
    await findKey(database.db, key, after(seconds))
    expect(await lastUsed()).toEqual(after(noted))
  }
})
