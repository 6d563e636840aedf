import { createHash } from 'node:crypto'
import { inArray, lt, sql } from 'drizzle-orm'
import type { Queryable } from './connect.ts'
import { signInFailures } from './schema.ts'

/** How many tries with one address may fail in a row before it is locked. */
const MOST_FAILURES = 10
const LOCKED_FOR_MS = 15 * 60_000
/** Failures further apart than this do not add up. */
const FORGOTTEN_AFTER_MS = 60 * 60_000

/** In the place of an organisation's id: for tries that name none. */
export const NO_ORGANIZATION = ''

/** What became of a try in one organisation. */
export interface CountedTry {
  /** Until when the address is locked there, where it is. */
  lockedUntil?: Date
  /** The first try that the lock turns away. */
  locks: boolean
}

// Of each organisation for itself: an administrator of another one, where the same address may be a user too, must not be
// able to end the lock.
const hashOf = (email: string, organizationId: string) =>
  createHash('sha256').update(`${organizationId} ${email}`).digest('hex')

/**
 * Counts a try to sign in with an address before its password is looked at, so that many at once are no way around the
 * lock; {@link forgetFailures} takes it back when the password is right. Takes one statement, however many there are.
 * @param organizationIds in which the password is tried, or {@link NO_ORGANIZATION}
 * @returns by organisation
 */
export async function countTry(
  db: Queryable,
  email: string,
  organizationIds: readonly string[],
  now: Date,
): Promise<Map<string, CountedTry>> {
  const at = sql`${now.toISOString()}::timestamptz`
  const forgotten = new Date(now.getTime() - FORGOTTEN_AFTER_MS)
  await db.delete(signInFailures).where(lt(signInFailures.lastAt, forgotten))
  const { failures, lockedUntil } = signInFailures
  const until = sql`${new Date(now.getTime() + LOCKED_FOR_MS).toISOString()}::timestamptz`
  const organizations = new Map(organizationIds.map(id => [hashOf(email, id), id]))
  const rows = await db
    .insert(signInFailures)
    // Always in the same order: two tries at once would otherwise each wait for a row of the other.
    .values([...organizations.keys()].sort().map(emailHash => ({ emailHash, failures: 1, lastAt: now })))
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
  return new Map(rows.map(row => [organizations.get(row.emailHash) ?? NO_ORGANIZATION, judge(row)]))
}

// The try that brings the lock is the last one that is looked at.
function judge({ failures, lockedUntil }: typeof signInFailures.$inferSelect): CountedTry {
  if (!lockedUntil || failures <= MOST_FAILURES) return { locks: false }
  return { lockedUntil, locks: failures === MOST_FAILURES + 1 }
}

/** Forgets the failed tries with an address in these organisations (see {@link countTry}), and in no others. */
export async function forgetFailures(
  db: Queryable,
  email: string,
  organizationIds: readonly string[],
): Promise<void> {
  const hashes = organizationIds.map(id => hashOf(email, id))
  await db.delete(signInFailures).where(inArray(signInFailures.emailHash, hashes))
}
