import type postgres from 'postgres'
import { postgresAt } from '../../db/postgres-at.ts'
import { CannotRestore } from './restore-copy.ts'
import { PATIENT } from './tables.ts'

const OWN_SCHEMAS = ['pgboss', 'drizzle']

/**
 * Makes sure that a database is empty, or empties it.
 * @throws {CannotRestore} where somebody's rows are in it and it is not to be emptied, or tables that are not ours
 */
export async function emptyDatabase(databaseUrl: string, { force }: { force: boolean }): Promise<void> {
  const sql = postgresAt(databaseUrl, PATIENT)
  try {
    const tables = (
      await sql<{ name: string }[]>`
        select c.relname as name from pg_class c
        where c.relnamespace = to_regnamespace('public') and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and not exists (
            select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')`
    ).map(({ name }) => name)
    if (tables.length > 0 && !tables.includes('organizations'))
      throw new CannotRestore(
        `This database holds tables that are not of Testigo (${tables.slice(0, 5).join(', ')}). Use a database of its own.`,
      )
    const [filled] =
      tables.length > 0
        ? await sql<{ filled: boolean }[]>`select exists (select from organizations) as filled`
        : []
    if (filled?.filled && !force)
      throw new CannotRestore(
        'This database is not empty. Restore into an empty one, or add --force to replace all that is in it.',
      )
    await sql.begin(async tx => {
      for (const schema of OWN_SCHEMAS) await tx.unsafe(`drop schema if exists ${schema} cascade`)
      // The schema itself stays: extensions may live in it, and who runs this need not own it.
      const things = await tx<{ kind: string; name: string }[]>`
        select 'table' as kind, oid::regclass::text as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not ${ofExtension(tx, 'pg_class')}
        union all
        select 'function', oid::regprocedure::text from pg_proc
        where pronamespace = 'public'::regnamespace and not ${ofExtension(tx, 'pg_proc')}`
      for (const { kind, name } of things) await tx.unsafe(`drop ${kind} if exists ${name} cascade`)
    })
  } catch (error) {
    const { code } = error as postgres.PostgresError
    if (code === '55P03')
      throw new CannotRestore('Somebody uses this database. Stop every API and every recorder first.', {
        cause: error,
      })
    throw error
  } finally {
    await sql.end({ timeout: 5 })
  }
}

function ofExtension(tx: postgres.TransactionSql, catalogue: 'pg_class' | 'pg_proc') {
  return tx`exists (
    select from pg_depend
    where classid = ${catalogue}::regclass and objid = ${tx(catalogue)}.oid and deptype = 'e')`
}

/** The roles that a dump's policies name: they belong to the server, so no dump brings them. */
export async function makeRoles(databaseUrl: string): Promise<void> {
  const sql = postgresAt(databaseUrl, PATIENT)
  try {
    for (const role of ['testigo_tenant', 'testigo_external']) {
      const there = await sql`select from pg_roles where rolname = ${role}`
      if (there.length === 0) await sql.unsafe(`create role ${role} nologin noinherit`)
    }
  } finally {
    await sql.end({ timeout: 5 })
  }
}
