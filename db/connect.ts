import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExtractTablesWithRelations } from 'drizzle-orm'
import { sql } from 'drizzle-orm'
import type { PgTransaction } from 'drizzle-orm/pg-core'
import { drizzle, type PostgresJsDatabase, type PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import type postgres from 'postgres'
import { postgresAt } from './postgres-at.ts'
import * as schema from './schema.ts'
import { type AskedClient, TransactionOver, type Work, whileOpen } from './while-open.ts'

/** The database, ready for queries. */
export type Database = PostgresJsDatabase<typeof schema> & { $client: postgres.Sql }
/** A transaction in it; what must be written together takes one of these. */
export type Transaction = PgTransaction<
  PostgresJsQueryResultHKT,
  typeof schema,
  ExtractTablesWithRelations<typeof schema>
>
/** Either: for queries that may stand alone or be part of a transaction. */
export type Queryable = Database | Transaction

export interface OpenDatabase extends AsyncDisposable {
  db: Database
  url: string
  close(): Promise<void>
}

/**
 * Opens a small pool. Statements are bounded, so that nothing waits for ever on a database that hangs.
 * @param url `postgres://…`
 * @param options.prepared every connection keeps the statements it has had, read and planned once: for a process that asks
 *   the same things over and over
 */
export function openDatabase(
  url: string,
  { max = 5, statementTimeoutMs = 30_000, prepared = false } = {},
): OpenDatabase {
  const pool = postgresAt(url, {
    max,
    connect_timeout: 10,
    idle_timeout: 60,
    onnotice: () => {},
    connection: {
      statement_timeout: statementTimeoutMs,
      application_name: 'testigo',
      // Starting them costs more than ten of our queries. (As text: a number that is 0 would not be sent.)
      max_parallel_workers_per_gather: '0',
    },
  })
  const db = drizzle(prepared ? preparing(pool) : pool, { schema })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= pool.end({ timeout: 5 })
    return closed
  }
  return { db, url, close, [Symbol.asyncDispose]: close }
}

// A list of values has a statement for each of its lengths: those are not asked over and over, and would never be let go.
const MOST_PREPARED_PARAMETERS = 64

// Drizzle has PostgreSQL read and plan each statement anew, and with parameters that is one more trip there and back.
function preparing<Client extends postgres.ISql>(client: Client): Client {
  const replaced: Record<PropertyKey, unknown> = {
    unsafe: (text: string, parameters?: never[], options?: postgres.UnsafeQueryOptions) =>
      client.unsafe(text, parameters, {
        ...options,
        prepare: (parameters?.length ?? 0) <= MOST_PREPARED_PARAMETERS,
      }),
  }
  for (const name of ['begin', 'savepoint'] as const) {
    const start = (client as unknown as Record<typeof name, Start | undefined>)[name]
    if (start)
      replaced[name] = (work: (inner: postgres.TransactionSql) => unknown) =>
        start(inner => work(preparing(inner)))
  }
  return new Proxy(client, {
    get: (target, name, receiver) => replaced[name] ?? Reflect.get(target, name, receiver),
  })
}
type Start = (work: (client: postgres.TransactionSql) => unknown) => Promise<unknown>

/**
 * Runs `work` in a transaction behind a first statement, which is sent together with the first one of `work`: where it fails,
 * everything after it fails too, and nothing stays. Whoever keeps the transaction beyond its end can do nothing with it.
 * @param first.role the role in which it has all that follows work
 * @throws {TransactionOver} also where `work` ends before a part of it has: nothing stays then
 */
export function transactionBehind<T>(
  db: Database,
  first: { text: string; parameters: string[]; role: string },
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  let close = () => {}
  const ran = db.$client.begin(async client => {
    // Sent before anything of `work` can be: postgres.js sends in the order in which it was told.
    const done = client.unsafe(first.text, first.parameters).execute()
    const open = whileOpen(client as unknown as AskedClient, first.role)
    close = open.close
    // Both end before the transaction does: what is sent after it would be part of somebody else's.
    const [result, begun] = await Promise.allSettled([work(transactionOn(open.client)), done])
    const left = await open.finish({ failed: result.status === 'rejected' })
    if (begun.status === 'rejected') throw begun.reason
    if (result.status === 'rejected') throw result.reason
    if (left) throw new TransactionOver()
    return result.value
  }) as Promise<T>
  // It also ends, before `work` does, where its connection breaks.
  return ran.finally(() => close())
}

/** The same transaction by way of another client. */
export function transactionOn({ unsafe, savepoint, role }: AskedClient): Transaction {
  // What drizzle makes of a pool it makes of the client of a transaction too; its transactions are savepoints then.
  const asPool = {
    options: { parsers: {}, serializers: {} },
    begin: (work: Work) => savepoint(work),
    ...{ unsafe, savepoint, role },
  }
  return drizzle(asPool as unknown as postgres.Sql) as unknown as Transaction
}

/** What a transaction asks with. */
export function clientOf(tx: Transaction): AskedClient {
  return (tx._.session as unknown as { client: AskedClient }).client
}

const HERE = dirname(fileURLToPath(import.meta.url))
const MIGRATIONS = join(HERE, 'migrations')
// Any constant will do; it keeps two processes from migrating at once.
const MIGRATION_LOCK = 7_305_146

/** Testigo cannot work with this database; the message says what to do. */
export class DatabaseUnusable extends Error {
  readonly code = 'database_unusable'
}

/** Brings the tables to the newest version. May run in several processes at once. @throws {DatabaseUnusable} */
export async function migrateDatabase(url: string): Promise<void> {
  await using connection = openDatabase(url, { max: 1, statementTimeoutMs: 600_000 })
  const [of] = await connection.db.execute<{ name: string; encoding: string }>(
    sql`select current_database() as name, current_setting('server_encoding') as encoding`,
  )
  // Searching by words takes accents off, which PostgreSQL does in no other encoding.
  if (of?.encoding !== 'UTF8')
    throw new DatabaseUnusable(
      `The database "${of?.name}" has the encoding ${of?.encoding}. Make one with UTF8 and name it in DATABASE_URL: create database testigo encoding 'UTF8' template template0.`,
    )
  await connection.db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK})`)
  await migrate(connection.db, { migrationsFolder: MIGRATIONS })
  // Tables are generated; what guards them is not.
  for (const guard of ['audit-guard.sql', 'audit-notes-guard.sql', 'row-security.sql', 'meeting-search.sql'])
    await connection.db.execute(sql.raw(await readFile(join(HERE, guard), 'utf8')))
  await connection.db.execute(sql`select pg_advisory_unlock(${MIGRATION_LOCK})`)
}
