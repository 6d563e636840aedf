import { sql } from 'drizzle-orm'
import { type Database, isOfOwner, type Transaction, transactionBehind } from './connect.ts'

const OWNER = Symbol('the database with the rights of its owner')

/** The database as whoever answers callers gets it: nothing can be asked of it but through {@link asOrganization}. */
export interface TenantDatabase {
  readonly [OWNER]: Database
}

/** Closes a database for everything but {@link asOrganization}. */
export function tenantDatabase(db: Database): TenantDatabase {
  return { [OWNER]: db }
}

/** Somebody who has to do with some meetings of an organisation only. */
export interface OwnOnly {
  /** As in `meetings.created_by`: `key:<id>`, `user:<id>`. */
  principal: string
  /** Lower-cased; meetings to which it is invited are shown too. */
  email: string | null
}

/**
 * Runs `work` in a transaction that sees and changes the rows of one organisation and no others, whatever it asks:
 * PostgreSQL's row-level security holds it to that (db/row-security.sql).
 * @param ownOnly narrows it further, to the person's own meetings
 */
export function asOrganization<T>(
  db: TenantDatabase,
  organizationId: string,
  work: (tx: Transaction) => Promise<T>,
  ownOnly?: OwnOnly,
): Promise<T> {
  const parameters = [
    organizationId,
    ownOnly?.principal ?? '',
    ownOnly?.email ?? '',
    ownOnly ? 'testigo_external' : 'testigo_tenant',
  ]
  return transactionBehind(db[OWNER], { text: BE_ORGANIZATION, parameters }, work)
}

const BE_ORGANIZATION = `select set_config('testigo.organization', $1, true), set_config('testigo.principal', $2, true),
  set_config('testigo.email', $3, true), set_config('role', $4, true)`

/**
 * Lets the job queue write its own tables, which belong to no organisation, within a transaction of
 * {@link asOrganization}. In any other transaction it changes nothing.
 */
export async function asQueue<T>(tx: Transaction, work: () => Promise<T>): Promise<T> {
  if (isOfOwner(tx)) return work()
  // From left to right: the role as it was, then the change.
  const [was] = await tx.execute<{ role: string }>(
    sql`select current_setting('role') as role, set_config('role', 'none', true)`,
  )
  if (!was) throw new Error('the database did not say in which role it works')
  if (was.role === 'none') return work()
  const goBack = () => tx.execute(sql`select set_config('role', ${was.role}, true)`)
  let done: T
  try {
    done = await work()
  } catch (error) {
    // Where the transaction has failed, going back fails too, and nothing more can be done in it anyway.
    await Promise.allSettled([goBack()])
    throw error
  }
  await goBack()
  return done
}
