import { and, asc, lt, sql } from 'drizzle-orm'
import type { Queryable } from './connect.ts'
import { meetings, series } from './schema.ts'

const PROVISIONED = {
  'provision-meeting': meetings,
  'provision-series': series,
} as const

/** Meetings, or series, whose last change, older than `before`, has not reached Google, and that no job takes care of. */
export async function findForgotten(
  db: Queryable,
  job: keyof typeof PROVISIONED,
  before: Date,
  limit: number,
): Promise<string[]> {
  const { id, revision, syncedRevision, updatedAt } = PROVISIONED[job]
  const rows = await db
    .select({ id })
    .from(PROVISIONED[job])
    .where(
      and(
        lt(syncedRevision, revision),
        lt(updatedAt, before),
        sql`not exists (select 1 from pgboss.job where name = ${job}
          and coalesce(singleton_key, '') = ${id}::text and state <= 'active')`,
      ),
    )
    .orderBy(asc(updatedAt))
    .limit(limit)
  return rows.map(row => row.id)
}
