import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApiKey } from './api-keys.ts'
import { type OpenDatabase, openDatabase, type Transaction } from './connect.ts'
import { apiKeys } from './schema.ts'
import { asOrganization, type TenantDatabase, tenantDatabase } from './tenant.ts'
import { openTestDatabase } from './test-database.ts'
import { TransactionOver } from './while-open.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let tenants: TenantDatabase
let [mine, others] = ['', '']
beforeAll(async () => {
  server = await openTestDatabase()
  // One connection, so that whoever is next has the one that was just given back.
  database = openDatabase(server.url, { max: 1, prepared: true })
  tenants = tenantDatabase(database.db)
  const organizationOf = async (organization: string) =>
    (await createApiKey(database.db, { organization, name: 'test', role: 'admin' })).organizationId
  mine = await organizationOf('Una')
  others = await organizationOf('Otra')
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

const rename = (tx: Transaction, organizationId: string, name: string) =>
  tx.update(apiKeys).set({ name }).where(eq(apiKeys.organizationId, organizationId))
const nameOf = async (organizationId: string) => {
  const [row] = await database.db.select().from(apiKeys).where(eq(apiKeys.organizationId, organizationId))
  return row?.name
}
/** What a query failed with; drizzle puts its own error around it. */
const faultOf = (work: PromiseLike<unknown>) =>
  Promise.resolve(work).then(
    () => 'nothing',
    (error: Error) => error.cause ?? error,
  )

test('whoever keeps a transaction beyond its end can do nothing with it', async () => {
  let kept: Transaction | undefined
  const ended = asOrganization(tenants, mine, async tx => {
    kept = tx
    throw new Error('gives up')
  })
  await expect(ended).rejects.toThrow('gives up')
  const { promise: isOpen, resolve: opened } = Promise.withResolvers<void>()
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
  const next = asOrganization(tenants, others, async tx => {
    await rename(tx, others, 'suyo')
    opened()
    await mayEnd
  })
  await isOpen
  if (!kept) throw new Error('there was no transaction')
  expect(await faultOf(rename(kept, others, 'intruso'))).toBeInstanceOf(TransactionOver)
  expect(await faultOf(kept.transaction(async tx => rename(tx, others, 'intruso')))).toBeInstanceOf(
    TransactionOver,
  )
  end()
  await next
  expect(await nameOf(others)).toBe('suyo')
})

test('nor with a savepoint in it that was open, which touches nothing of whoever is next', async () => {
  const open = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const late = Promise.withResolvers<unknown>()
  let savepoint: Promise<unknown> | undefined
  const ended = asOrganization(tenants, mine, async tx => {
    savepoint = faultOf(
      tx.transaction(inner =>
        inner.transaction(async innermost => {
          await rename(innermost, mine, 'a medias')
          open.resolve()
          await goOn.promise
          late.resolve(await faultOf(rename(innermost, mine, 'tarde')))
        }),
      ),
    )
    await open.promise
    throw new Error('gives up')
  })
  await expect(ended).rejects.toThrow('gives up')
  expect(await savepoint).not.toBe('nothing')
  await asOrganization(tenants, others, tx =>
    tx.transaction(async inner => {
      await rename(inner, others, 'entero')
      goOn.resolve()
      expect(await late.promise).toBeInstanceOf(TransactionOver)
      await inner.select().from(apiKeys)
    }),
  )
  expect([await nameOf(mine), await nameOf(others)]).toEqual(['test', 'entero'])
})

test('nothing stays of a transaction that ends before a part of it has', async () => {
  const goOn = Promise.withResolvers<void>()
  let savepoint: Promise<unknown> | undefined
  const ended = asOrganization(tenants, mine, async tx => {
    await rename(tx, mine, 'olvidado')
    savepoint = faultOf(tx.transaction(() => goOn.promise))
  })
  await expect(ended).rejects.toBeInstanceOf(TransactionOver)
  expect(await savepoint).toBeInstanceOf(TransactionOver)
  goOn.resolve()
  expect(await nameOf(mine)).toBe('test')
})
