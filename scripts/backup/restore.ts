import { open } from 'node:fs/promises'
import { asc } from 'drizzle-orm'
import { verifyChain } from '../../db/audit.ts'
import { migrateDatabase, openDatabase } from '../../db/connect.ts'
import { openJobs } from '../../db/jobs.ts'
import { organizations } from '../../db/schema.ts'
import { BackupDamaged } from './backup-file.ts'
import { emptyDatabase, makeRoles } from './empty-database.ts'
import { findTool, restoreDump } from './postgres-tools.ts'
import { CannotRestore, checkBackup, restoreByCopy } from './restore-copy.ts'

/** How the audit chain of an organisation stands after a restore. */
export interface RestoredChain {
  organization: string
  ok: boolean
  rows: number
  message: string
}

/**
 * Puts a backup of either kind into a database and checks every audit chain in it.
 * @throws {CannotRestore}, {@link BackupDamaged}
 */
export async function restore(
  databaseUrl: string,
  path: string,
  options: { force: boolean },
): Promise<RestoredChain[]> {
  const kind = await kindOf(path)
  if (kind === 'copy') {
    // Before anything is emptied.
    await checkBackup(path)
    await emptyDatabase(databaseUrl, options)
    await restoreByCopy(databaseUrl, path)
  } else {
    const tool = await findTool('pg_restore', databaseUrl)
    if (!tool.usable)
      throw new CannotRestore(
        `This backup was made by pg_dump and needs pg_restore: ${tool.because}. Install the client of PostgreSQL.`,
      )
    await emptyDatabase(databaseUrl, options)
    await makeRoles(databaseUrl)
    await restoreDump(databaseUrl, path)
    // What a dump leaves out: rights of the roles; and what this version has beyond it.
    await migrateDatabase(databaseUrl)
    const jobs = await openJobs(databaseUrl, () => undefined)
    await jobs.close(0)
  }
  return checkChains(databaseUrl)
}

async function kindOf(path: string): Promise<'copy' | 'dump'> {
  const file = await open(path, 'r')
  try {
    const { buffer } = await file.read(Buffer.alloc(5), 0, 5, 0)
    if (buffer.toString('latin1') === 'PGDMP') return 'dump'
    if (buffer[0] === 0x1f && buffer[1] === 0x8b) return 'copy'
  } finally {
    await file.close()
  }
  throw new BackupDamaged(`${path} is no backup of Testigo.`)
}

async function checkChains(databaseUrl: string): Promise<RestoredChain[]> {
  await using database = openDatabase(databaseUrl, { max: 1, statementTimeoutMs: 600_000 })
  const rows = await database.db
    .select({ id: organizations.id, name: organizations.name })
    .from(organizations)
    .orderBy(asc(organizations.name))
  const chains: RestoredChain[] = []
  for (const { id, name } of rows) {
    const answer = await verifyChain(database.db, id)
    chains.push(
      answer.ok
        ? { organization: name, ok: true, rows: answer.rows, message: `${answer.rows} entries, unbroken` }
        : { organization: name, ok: false, rows: answer.seq, message: answer.message },
    )
  }
  return chains
}
