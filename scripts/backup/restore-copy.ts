import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import type postgres from 'postgres'
import { migrateDatabase } from '../../db/connect.ts'
import { openJobs } from '../../db/jobs.ts'
import { postgresAt } from '../../db/postgres-at.ts'
import { BackupDamaged, type BackupHeader, readBackup } from './backup-file.ts'
import { migrationsOf, PATIENT, tablesToCopy } from './tables.ts'

/** The backup cannot be put into this database; the message says what to do. */
export class CannotRestore extends Error {
  readonly code = 'cannot_restore'
}

/**
 * Reads a whole backup and compares all its checksums, without any database.
 * @throws {BackupDamaged}
 */
export async function checkBackup(
  path: string,
): Promise<{ header: BackupHeader; tables: number; rows: number }> {
  let header: BackupHeader | undefined
  let rows = 0
  let tables = 0
  for await (const part of readBackup(path)) {
    if (part.kind === 'header') header = part
    else if (part.kind === 'end') {
      rows += part.rows
      tables += 1
    }
  }
  if (!header) throw new BackupDamaged(`${path} is empty.`)
  return { header, tables, rows }
}

/**
 * Puts a backup made by COPY into an empty database: tables are made by this program, then all rows come in one
 * transaction, whole or not at all.
 * @throws {CannotRestore} for a backup of another version; {@link BackupDamaged}
 */
export async function restoreByCopy(
  databaseUrl: string,
  path: string,
): Promise<{ tables: number; rows: number }> {
  const { header } = await checkBackup(path)
  await migrateDatabase(databaseUrl)
  const jobs = await openJobs(databaseUrl, () => undefined)
  await jobs.close(0)
  const sql = postgresAt(databaseUrl, PATIENT)
  try {
    const here = await migrationsOf(sql)
    if (JSON.stringify(here) !== JSON.stringify(header.migrations))
      throw new CannotRestore(
        `The backup of ${header.madeAt} was made by another version of Testigo. Restore it with that version, then run "npm run migrate" with this one.`,
      )
    return await sql.begin(async tx => {
      const there = new Map((await tablesToCopy(tx)).map(table => [table.table, table]))
      // Made when the queue was opened above.
      await tx`delete from pgboss.schedule`
      let rows = 0
      let tables = 0
      let into: Awaited<ReturnType<typeof openCopy>> | undefined
      for await (const part of readBackup(path)) {
        if (part.kind === 'table') {
          const table = there.get(part.table)
          const unknown = part.columns.filter(column => !table?.columns.includes(column))
          if (!table || unknown.length > 0)
            throw new CannotRestore(
              `There is no ${[part.table, ...unknown].join('.')} in this version's tables.`,
            )
          into = await openCopy(tx, table.name, part.columns)
        } else if (part.kind === 'data') await into?.write(part.data)
        else if (part.kind === 'end') {
          await into?.end()
          rows += part.rows
          tables += 1
        }
      }
      await setSequences(tx)
      return { tables, rows }
    })
  } finally {
    await sql.end({ timeout: 5 })
  }
}

async function openCopy(tx: postgres.TransactionSql, name: string, columns: string[]) {
  const list = columns.map(column => `"${column.replaceAll('"', '""')}"`).join(', ')
  const stream = await tx.unsafe(`copy ${name} (${list}) from stdin`).writable()
  const over = finished(stream)
  // Reported by whoever writes or ends.
  over.catch(() => undefined)
  return {
    async write(data: Buffer) {
      if (!stream.write(data)) await Promise.race([once(stream, 'drain'), over])
    },
    async end() {
      stream.end()
      await over
    },
  }
}

/** Rows bring their numbers with them; the next one is to follow the greatest. */
async function setSequences(tx: postgres.TransactionSql): Promise<void> {
  const columns = await tx<{ name: string; column: string; sequence: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name, a.attname as column,
      pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) as sequence
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r' and a.attidentity <> ''`
  for (const { name, column, sequence } of columns)
    await tx.unsafe(
      `select setval('${sequence.replaceAll("'", "''")}', coalesce((select max("${column}") from ${name}), 0) + 1, false)`,
    )
}
