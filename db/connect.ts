import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExtractTablesWithRelations } from 'drizzle-orm'
import { sql } from 'drizzle-orm'
import type { PgTransaction } from 'drizzle-orm/pg-core'
import { drizzle, type PostgresJsDatabase, type PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import postgres from 'postgres'
import * as schema from './schema.ts'

/** The database, ready for queries. */
export type Database = PostgresJsDatabase<typeof schema>
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
 */
export function openDatabase(url: string, { max = 5, statementTimeoutMs = 30_000 } = {}): OpenDatabase {
  const pool = postgres(url, {
    max,
    connect_timeout: 10,
    idle_timeout: 60,
    onnotice: () => {},
    connection: { statement_timeout: statementTimeoutMs, application_name: 'testigo' },
  })
  const db = drizzle(pool, { schema })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= pool.end({ timeout: 5 })
    return closed
  }
  return { db, url, close, [Symbol.asyncDispose]: close }
}

const HERE = dirname(fileURLToPath(import.meta.url))
const MIGRATIONS = join(HERE, 'migrations')
// Any constant will do; it keeps two processes from migrating at once.
const MIGRATION_LOCK = 7_305_146

/** Brings the tables to the newest version. May run in several processes at once. */
export async function migrateDatabase(url: string): Promise<void> {
  await using connection = openDatabase(url, { max: 1, statementTimeoutMs: 600_000 })
  await connection.db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK})`)
  await migrate(connection.db, { migrationsFolder: MIGRATIONS })
  // Tables are generated; what guards them is not.
  for (const guard of ['audit-guard.sql', 'audit-notes-guard.sql', 'row-security.sql', 'meeting-search.sql'])
    await connection.db.execute(sql.raw(await readFile(join(HERE, guard), 'utf8')))
  await connection.db.execute(sql`select pg_advisory_unlock(${MIGRATION_LOCK})`)
}
