import { clientOf, type Database, type Transaction, transactionBehind, transactionOn } from './connect.ts'
import type { AskedClient } from './while-open.ts'

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
  const role = ownOnly ? 'testigo_external' : 'testigo_tenant'
  const parameters = [organizationId, ownOnly?.principal ?? '', ownOnly?.email ?? '', role]
  return transactionBehind(db[OWNER], { text: BE_ORGANIZATION, parameters, role }, work)
}

const BE_ORGANIZATION = `select set_config('testigo.organization', $1, true), set_config('testigo.principal', $2, true),
  set_config('testigo.email', $3, true), set_config('role', $4, true)`

const BE = "select set_config('role', $1, true)"

/**
 * The same transaction with the rights of the job queue, whose tables belong to no organisation: what is asked of it goes
 * between two changes of role, together with them. Of any other transaction than one of {@link asOrganization} it is that
 * one itself.
 */
export function asQueue(tx: Transaction): Transaction {
  const client = clientOf(tx)
  const { role } = client
  if (role === undefined) return tx
  // postgres.js sends in the order in which it is told, so nothing comes between the three. Where one of them fails the
  // transaction fails, and postgres.js undoes it, whoever waits for that one.
  const be = (name: string) => void client.unsafe(BE, [name]).execute().catch(isUndone)
  const asked = (...of: Parameters<AskedClient['unsafe']>) => {
    be('none')
    const query = client.unsafe(...of)
    query.execute()
    be(role)
    return query
  }
  return transactionOn({ ...client, unsafe: asked as AskedClient['unsafe'] })
}

function isUndone(): void {}
