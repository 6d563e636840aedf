import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { signingKeys } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { createLog } from '../../log.ts'
import { openVault } from '../webhooks/vault.ts'
import { openAccessTokens, type TokenFor } from './access-tokens.ts'
import { openSigningKeys } from './signing-keys.ts'

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

const DAY_MS = 86_400_000
const log = createLog('silent')
const oneKey = randomBytes(32)
let now = Date.parse('2030-01-01T00:00:00Z')
const clock = { now: () => now, sleep: async () => {} }
beforeEach(async () => {
  await database.db.delete(signingKeys)
  now = Date.parse('2030-01-01T00:00:00Z')
})

/** As another process has them, with nothing remembered. */
function process(key = oneKey) {
  const vault = openVault({ key, dataDir: '/nonexistent', log })
  const keys = openSigningKeys({ db: database.db, vault, clock, log })
  return { keys, tokens: openAccessTokens({ keys, issuer: 'urn:testigo', clock }) }
}
const given: TokenFor = {
  ...{
    kind: 'user',
    organizationId: crypto.randomUUID(),
    userId: crypto.randomUUID(),
    sessionId: crypto.randomUUID(),
  },
}
const kids = async ({ keys }: ReturnType<typeof process>) => (await keys.published()).keys.map(key => key.kid)

test('processes that begin at once make one key, and each knows the tokens of the others', async () => {
  const all = [process(), process(), process()]
  const signed = await Promise.all(all.map(({ tokens }) => tokens.sign(given)))
  expect(await database.db.select().from(signingKeys)).toHaveLength(1)
  for (const { tokens } of all)
    for (const { token } of signed) expect(await tokens.verify(token)).toEqual(given)
})

test('a key signs for 30 days; the next one is published a day before, the one before while its tokens live', async () => {
  const one = process()
  const { kid: first } = await one.keys.current()
  now += 28 * DAY_MS
  expect(await kids(one)).toEqual([first])
  now += 1.5 * DAY_MS
  const shown = await kids(one)
  expect(shown).toHaveLength(2)
  expect((await one.keys.current()).kid).toBe(first)
  now += 0.5 * DAY_MS - 360_000
  const { token } = await one.tokens.sign(given)
  now += 300_000
  const { kid: second } = await one.keys.current()
  expect(second).not.toBe(first)
  expect(shown).toContain(second)
  expect(await one.tokens.verify(token)).toEqual(given)
  now += 2 * 3_600_000
  expect(await kids(one)).toEqual([second])
})

test('a token of a key that another process has just made is known', async () => {
  const [one, other] = [process(), process(randomBytes(32))]
  await one.tokens.sign(given)
  const { token } = await other.tokens.sign(given)
  now += 3000
  expect(await one.tokens.verify(token)).toEqual(given)
  expect(await database.db.select().from(signingKeys)).toHaveLength(2)
})

test('what is stored of a private key is no private key', async () => {
  await process().keys.current()
  const [row] = await database.db.select().from(signingKeys)
  expect(row?.sealedPrivate).toMatch(/^v1\./)
  expect(Object.keys(row?.publicJwk ?? {}).sort()).toEqual(['crv', 'kty', 'x'])
})
