import { desc, lt, sql } from 'drizzle-orm'
import type { Database, Queryable } from './connect.ts'
import { signingKeys } from './schema.ts'

export type SigningKeyRow = typeof signingKeys.$inferSelect

// Any constant will do; it keeps two processes from making a key at once.
const MAKING_LOCK = 7_305_148

/** Keys that access tokens were or will be signed with, the newest first. */
export async function listSigningKeys(db: Queryable): Promise<SigningKeyRow[]> {
  return db.select().from(signingKeys).orderBy(desc(signingKeys.signsFrom), desc(signingKeys.createdAt))
}

/**
 * Writes the key that `make` gives, if it gives one for the keys that are there, and removes those that signed nothing
 * since `before`. One process at a time.
 */
export async function addSigningKey(
  db: Database,
  before: Date,
  make: (rows: SigningKeyRow[]) => Promise<typeof signingKeys.$inferInsert | undefined>,
): Promise<void> {
  await db.transaction(async tx => {
    await tx.execute(sql`select pg_advisory_xact_lock(${MAKING_LOCK})`)
    await tx.delete(signingKeys).where(lt(signingKeys.signsUntil, before))
    const made = await make(await listSigningKeys(tx))
    if (made) await tx.insert(signingKeys).values(made)
  })
}
