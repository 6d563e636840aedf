import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { and, eq, gt, isNotNull, isNull, lt, ne } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { refreshTokens, type SessionEnd, sessions, users } from './schema.ts'
import type { UserRow } from './users.ts'

export type SessionRow = typeof sessions.$inferSelect

/** A refresh token as it is given out; only its SHA-256 is kept. */
export interface GivenRefreshToken {
  token: string
  expiresAt: Date
}

const DAY_MS = 86_400_000
/** A session that is not refreshed for so long is over. */
const IDLE_MS = 14 * DAY_MS
/** However often it is refreshed. */
const LONGEST_MS = 90 * DAY_MS
/** Sessions that are over are kept for a while, so that a copied token is still known for one. */
const FORGOTTEN_AFTER_MS = 30 * DAY_MS
/** A token that comes again within this time, while the next one has not been seen, has lost its answer. */
const ANSWER_LOST_MS = 60_000

const TOKEN_SHAPE = /^tr_[\w-]{43}$/
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')

/** Opens a session of a user. */
export async function openSession(
  tx: Transaction,
  user: UserRow,
  way: SessionRow['way'],
  now: Date,
): Promise<{ session: SessionRow; refresh: GivenRefreshToken }> {
  await tx.delete(sessions).where(lt(sessions.expiresAt, new Date(now.getTime() - FORGOTTEN_AFTER_MS)))
  const { organizationId, id: userId } = user
  const expiresAt = new Date(now.getTime() + LONGEST_MS)
  const [session] = await tx
    .insert(sessions)
    .values({ id: randomUUID(), organizationId, userId, way, createdAt: now, expiresAt })
    .returning()
  if (!session) throw new Error('the database did not give the new session back')
  return { session, refresh: await giveToken(tx, session, now) }
}

async function giveToken(
  tx: Transaction,
  session: SessionRow,
  now: Date,
  previousHash: string | null = null,
): Promise<GivenRefreshToken> {
  const token = `tr_${randomBytes(32).toString('base64url')}`
  const expiresAt = new Date(Math.min(now.getTime() + IDLE_MS, session.expiresAt.getTime()))
  const { organizationId, id: sessionId } = session
  await tx
    .insert(refreshTokens)
    .values({ hash: hashOf(token), organizationId, sessionId, createdAt: now, expiresAt, previousHash })
  return { token, expiresAt }
}

export type RefreshOutcome =
  | {
      kind: 'refreshed'
      session: SessionRow
      user: UserRow
      refresh: GivenRefreshToken
      /** It was used before, and its answer was lost. */
      repeated: boolean
    }
  /** It was used before: whoever has it now, somebody copied it. The session has been ended. */
  | { kind: 'reused'; session: SessionRow }
  | { kind: 'refused' }

/**
 * Takes a refresh token and gives the next one of its session. A token that was used ends the session, except where its
 * answer was lost, as in a crash: within a minute, and as long as the token that followed it has not come, it is
 * followed by another one, and the first is good no more. So of two people with the same token one is always found out
 * when they go on, and nobody is locked out by a lost answer.
 */
export async function refreshSession(tx: Transaction, token: string, now: Date): Promise<RefreshOutcome> {
  const found = await lockByToken(tx, token)
  if (!found) return { kind: 'refused' }
  const { session, user, given } = found
  const over = session.revokedAt || session.expiresAt <= now || given.expiresAt <= now || user.disabledAt
  const repeated = given.usedAt !== null || given.replacedAt !== null
  if (repeated && (over || !(await replaceLost(tx, given, now)))) {
    await endSession(tx, session.id, 'reused', now)
    return { kind: 'reused', session }
  }
  if (over) return { kind: 'refused' }
  if (!repeated) await tx.update(refreshTokens).set({ usedAt: now }).where(eq(refreshTokens.hash, given.hash))
  const refresh = await giveToken(tx, session, now, given.hash)
  return { kind: 'refreshed', session, user, refresh, repeated }
}

/** Makes way for another token in the place of one that never seems to have arrived. @returns whether that may be */
async function replaceLost(
  tx: Transaction,
  given: typeof refreshTokens.$inferSelect,
  now: Date,
): Promise<boolean> {
  if (given.replacedAt || !given.usedAt || now.getTime() - given.usedAt.getTime() > ANSWER_LOST_MS)
    return false
  const following = eq(refreshTokens.previousHash, given.hash)
  const [arrived] = await tx
    .select({ hash: refreshTokens.hash })
    .from(refreshTokens)
    .where(and(following, isNotNull(refreshTokens.usedAt)))
    .limit(1)
  if (arrived) return false
  await tx
    .update(refreshTokens)
    .set({ replacedAt: now })
    .where(and(following, isNull(refreshTokens.replacedAt)))
  return true
}

/** Ends the session that a refresh token, used or not, belongs to. @returns it, unless it was over before */
export async function endSessionByToken(
  tx: Transaction,
  token: string,
  now: Date,
): Promise<SessionRow | undefined> {
  const found = await lockByToken(tx, token)
  if (!found || found.session.revokedAt) return undefined
  await endSession(tx, found.session.id, 'signed_out', now)
  return found.session
}

async function lockByToken(tx: Transaction, token: string) {
  if (!TOKEN_SHAPE.test(token)) return undefined
  const ofToken = eq(refreshTokens.hash, hashOf(token))
  const [mine] = await tx.select({ sessionId: refreshTokens.sessionId }).from(refreshTokens).where(ofToken)
  if (!mine) return undefined
  await tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(eq(sessions.id, mine.sessionId))
    .for('no key update')
  // A statement of its own: it must see what was committed while the one above waited.
  const [found] = await tx
    .select({ session: sessions, user: users, given: refreshTokens })
    .from(refreshTokens)
    .innerJoin(sessions, eq(sessions.id, refreshTokens.sessionId))
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(ofToken)
  return found
}

async function endSession(tx: Transaction, id: string, because: SessionEnd, now: Date): Promise<void> {
  await tx
    .update(sessions)
    .set({ revokedAt: now, revokedBecause: because })
    .where(and(eq(sessions.id, id), isNull(sessions.revokedAt)))
}

/** Ends every session of a user. @param except one that goes on. @returns how many were ended */
export async function endSessionsOf(
  db: Queryable,
  userId: string,
  because: SessionEnd,
  now: Date,
  except?: string,
): Promise<number> {
  const ended = await db
    .update(sessions)
    .set({ revokedAt: now, revokedBecause: because })
    .where(
      and(
        eq(sessions.userId, userId),
        isNull(sessions.revokedAt),
        except === undefined ? undefined : ne(sessions.id, except),
      ),
    )
    .returning({ id: sessions.id })
  return ended.length
}

/** Whose session it is, while it goes on and the user may sign in. */
export async function findSessionUser(
  db: Queryable,
  sessionId: string,
  now: Date,
): Promise<UserRow | undefined> {
  const [found] = await db
    .select({ user: users })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(
      and(
        eq(sessions.id, sessionId),
        isNull(sessions.revokedAt),
        gt(sessions.expiresAt, now),
        isNull(users.disabledAt),
      ),
    )
  return found?.user
}
