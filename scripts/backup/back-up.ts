import { postgresAt } from '../../db/postgres-at.ts'
import { type BackupHeader, writeBackup } from './backup-file.ts'
import { migrationsOf, PATIENT, tablesToCopy } from './tables.ts'

export interface BackupFacts {
  tables: number
  rows: number
  sha256: string
  sizeBytes: number
}

/** There is nothing here that could be backed up. */
export class NothingToBackUp extends Error {
  readonly code = 'nothing_to_back_up'
}

/**
 * Copies every row of every table into a file, as they all were at one moment: one transaction that sees what was committed
 * when it began (repeatable read). It locks nothing that others write.
 * @throws {NothingToBackUp} for a database without our tables
 */
export async function backUpByCopy(databaseUrl: string, path: string): Promise<BackupFacts> {
  const sql = postgresAt(databaseUrl, PATIENT)
  try {
    return await sql.begin('isolation level repeatable read read only', async tx => {
      // Better an error than rows that a policy hides.
      await tx`set local row_security = off`
      const migrations = await migrationsOf(tx)
      if (migrations.length === 0)
        throw new NothingToBackUp('This database has no tables of Testigo. Check DATABASE_URL.')
      const [server] = await tx<{ version: string; now: Date }[]>`
        select current_setting('server_version') as version, now() as now`
      const header: BackupHeader = {
        format: 'testigo-backup',
        version: 1,
        madeAt: (server?.now ?? new Date()).toISOString(),
        migrations,
        serverVersion: server?.version ?? '',
      }
      const tables = await tablesToCopy(tx)
      let rows = 0
      const file = await writeBackup(path, header, async writer => {
        for (const { name, table, columns } of tables) {
          const list = columns.map(column => `"${column.replaceAll('"', '""')}"`).join(', ')
          const data = await tx.unsafe(`copy (select ${list} from ${name}) to stdout`).readable()
          const end = await writer.table({ table, columns }, data as AsyncIterable<Buffer>)
          // The driver pauses its socket for a slow reader until the reader wants more. One that was slow with the last
          // piece wants no more, and the answer to the next statement would never be read.
          data._read(0)
          rows += end.rows
        }
      })
      return { tables: tables.length, rows, ...file }
    })
  } finally {
    await sql.end({ timeout: 5 })
  }
}
