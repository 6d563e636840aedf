import { createHash } from 'node:crypto'
import { eq, lt, sql } from 'drizzle-orm'
import type { Queryable } from './connect.ts'
import { signInFailures } from './schema.ts'

/** How many tries with one address may fail in a row before it is locked. */
const MOST_FAILURES = 10
const LOCKED_FOR_MS = 15 * 60_000
/** Failures further apart than this do not add up. */
const FORGOTTEN_AFTER_MS = 60 * 60_000

const hashOf = (email: string) => createHash('sha256').update(email).digest('hex')

/**
 * Counts a try to sign in with an address before its password is looked at, so that many at once are no way around the
 * lock; {@link forgetFailures} takes it back when the password is right.
 * @returns until when the address is locked, where it is; and whether this is the first try that the lock turns away
 */
export async function countTry(
  db: Queryable,
  email: string,
  now: Date,
): Promise<{ lockedUntil?: Date; locks: boolean }> {
  const at = sql`${now.toISOString()}::timestamptz`
  const forgotten = new Date(now.getTime() - FORGOTTEN_AFTER_MS)
  await db.delete(signInFailures).where(lt(signInFailures.lastAt, forgotten))
  const { failures, lockedUntil } = signInFailures
  const until = sql`${new Date(now.getTime() + LOCKED_FOR_MS).toISOString()}::timestamptz`
  const [row] = await db
    .insert(signInFailures)
    .values({ emailHash: hashOf(email), failures: 1, lastAt: now })
    .onConflictDoUpdate({
      target: signInFailures.emailHash,
      set: {
        failures: sql`case when ${lockedUntil} <= ${at} then 1 else ${failures} + 1 end`,
        lockedUntil: sql`case when ${lockedUntil} > ${at} then ${lockedUntil}
          when ${lockedUntil} is null and ${failures} + 1 >= ${MOST_FAILURES} then ${until} end`,
        lastAt: sql`case when ${lockedUntil} > ${at} then ${signInFailures.lastAt} else ${at} end`,
      },
    })
    .returning()
  // The try that brings the lock is the last one that is looked at.
  if (!row?.lockedUntil || row.failures <= MOST_FAILURES) return { locks: false }
  return { lockedUntil: row.lockedUntil, locks: row.failures === MOST_FAILURES + 1 }
}

/** Forgets the failed tries with an address. */
export async function forgetFailures(db: Queryable, email: string): Promise<void> {
  await db.delete(signInFailures).where(eq(signInFailures.emailHash, hashOf(email)))
}
