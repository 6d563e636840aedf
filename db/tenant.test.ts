import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApiKey } from './api-keys.ts'
import { openDatabase, type Transaction } from './connect.ts'
import { apiKeys } from './schema.ts'
import { asOrganization, asQueue, type OwnOnly, tenantDatabase } from './tenant.ts'
import { openTestDatabase } from './test-database.ts'
import { together } from './together.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
const organizations: string[] = []
beforeAll(async () => {
  server = await openTestDatabase()
  await using database = openDatabase(server.url)
  for (const organization of ['Una', 'Otra', 'Tercera'])
    organizations.push(
      (await createApiKey(database.db, { organization, name: 'test', role: 'admin' })).organizationId,
    )
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Organisations take turns, so that each transaction follows another's on its connection. */
const TURNS = Array.from({ length: 150 }, (_, at) => at)

// As the API opens it, and as everything else does.
describe.each([true, false])(
  'on two connections that many organisations share (statements kept: %s)',
  prepared => {
    test('each sees its own rows, whatever the one before it did or failed at', async () => {
      await using database = openDatabase(server.url, { max: 2, prepared })
      const tenants = tenantDatabase(database.db)
      const seen = await Promise.all(
        TURNS.map(async at => {
          const organizationId = organizations[at % organizations.length] as string
          const outsider: OwnOnly | undefined =
            at % 7 === 3 ? { principal: 'user:1', email: null } : undefined
          try {
            const keys = await asOrganization(
              tenants,
              organizationId,
              async tx => {
                // Also one that asks nothing at all, and ones that fail: here, and in the database.
                if (at % 11 === 5) return []
                if (at % 11 === 6) throw new Error('gives up')
                if (at % 11 === 7) await tx.execute(sql`select 1/0`)
                return tx.select({ organizationId: apiKeys.organizationId }).from(apiKeys)
              },
              outsider,
            )
            return { organizationId, found: keys.map(key => key.organizationId) }
          } catch (error) {
            return { organizationId, error }
          }
        }),
      )
      for (const [at, { organizationId, found, error }] of seen.entries()) {
        const fails = at % 11 === 6 || at % 11 === 7
        if (at % 11 === 5) expect(found, `turn ${at}`).toEqual([])
        // Who is outside does not reach keys at all.
        else if (fails || at % 7 === 3) expect(error, `turn ${at}`).toBeDefined()
        else expect(found, `turn ${at}`).toEqual([organizationId])
      }
      const [row] = await database.db.execute(
        sql`select current_user = session_user as owner, current_setting('testigo.organization', true) as organization`,
      )
      expect(row).toEqual({ owner: true, organization: '' })
    })

    test('the rights of the job queue are those of its own statements, whatever is asked beside and after them', async () => {
      await using database = openDatabase(server.url, { max: 1, prepared })
      const who = sql`select current_user as name`
      const nameOf = async (tx: Transaction) => (await tx.execute<{ name: string }>(who))[0]?.name
      const owner = await database.db.transaction(nameOf)
      const asked = async (tx: Transaction) => {
        const names = await together([nameOf(tx), nameOf(asQueue(tx)), nameOf(tx), nameOf(asQueue(tx))])
        expect(names).toEqual(['testigo_tenant', owner, 'testigo_tenant', owner])
        await expect(tx.transaction(inner => asQueue(inner).execute(sql`select 1/0`))).rejects.toMatchObject({
          cause: { code: '22012' },
        })
        expect(await nameOf(tx)).toBe('testigo_tenant')
      }
      const [organizationId = ''] = organizations
      // Twice on one connection: the statements are kept by then.
      for (let turn = 0; turn < 2; turn++)
        await asOrganization(tenantDatabase(database.db), organizationId, async tx => {
          await asked(tx)
          await tx.transaction(asked)
        })
      await database.db.transaction(async tx => expect(await nameOf(asQueue(tx))).toBe(owner))
    })

    test('an organisation whose name is no id is refused before anything is seen', async () => {
      await using database = openDatabase(server.url, { max: 1, prepared })
      const tenants = tenantDatabase(database.db)
      const ask = (organizationId: string) =>
        asOrganization(tenants, organizationId, tx => tx.select({ id: apiKeys.id }).from(apiKeys))
      await expect(ask("' or true --")).rejects.toBeDefined()
      expect(await ask('')).toEqual([])
      expect(await ask(organizations[0] as string)).toHaveLength(1)
    })
  },
)
