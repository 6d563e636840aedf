import { sql } from 'drizzle-orm'
import type { Transaction } from './connect.ts'

/**
 * Has the commit of a transaction answer before it is on the disk, where it comes within a fraction of a second. For what
 * is done once more where a power cut took it; a process that dies takes nothing.
 * @see https://www.postgresql.org/docs/18/wal-async-commit.html
 */
export async function commitUnwaited(tx: Transaction): Promise<void> {
  await tx.execute(sql`select set_config('synchronous_commit', 'off', true)`)
}
