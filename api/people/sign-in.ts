import type { Clock } from '../../clock.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import type { Database, Queryable } from '../../db/connect.ts'
import { takePasswordLink, voidLinks } from '../../db/password-links.ts'
import {
  endSessionByToken,
  endSessionsOf,
  type GivenRefreshToken,
  openSession,
  refreshSession,
  type SessionRow,
} from '../../db/sessions.ts'
import { type CountedTry, countTry, forgetFailures, NO_ORGANIZATION } from '../../db/sign-in-failures.ts'
import { changeUser, findUsersByEmail, type UserRow } from '../../db/users.ts'
import { Problem } from '../problem.ts'
import type { AccessTokens } from '../tokens/access-tokens.ts'
import { hashPassword, isPassword, pretendToCompare } from './password.ts'
import type { SignInBody } from './schema.ts'
import { type SignedIn, userView } from './views.ts'

export interface SignInDeps {
  /** With the rights of its owner: whose organisation it is comes out only here. */
  database: Database
  tokens: AccessTokens
  clock: Clock
}

/**
 * Signs somebody in with address and password. Whether there is such a user shows neither in the answer nor in its
 * time, nor in when the address is locked: a try locks the address where it was tried, named or not, and in each
 * organisation for itself. Where only these locks are in the way, the answer is that of a wrong password.
 * @throws {Problem} `wrong_credentials`, `sign_in_locked`, `organization_needed`
 */
export async function signIn(
  deps: SignInDeps,
  { email, password, organizationId }: SignInBody,
): Promise<SignedIn> {
  const { database, clock } = deps
  const now = new Date(clock.now())
  const users = await findUsersByEmail(database, email, organizationId)
  const asked = organizationId?.toLowerCase() ?? NO_ORGANIZATION
  const tries = await countTry(database, email, [asked, ...users.map(user => user.organizationId)], now)
  await noteLocks(database, users, tries)
  refuseIfLocked(tries.get(asked), now)
  const open = users.filter(user => !tries.get(user.organizationId)?.lockedUntil)
  const matching = await whoHasPassword(open, password)
  const [user, another] = matching
  if (!user)
    throw new Problem(
      'wrong_credentials',
      'Address or password is wrong, or the user is disabled, or locked for a while after too many failed tries.',
    )
  await forgetFailures(database, email, [asked, ...matching.map(one => one.organizationId)])
  if (another)
    throw new Problem(
      'organization_needed',
      `Say in which organisation: send organizationId, one of ${matching.map(one => one.organizationId).join(', ')}.`,
    )
  return enter(deps, user, 'password')
}

/** Counts somebody's own try at their password, before it is looked at. @throws {Problem} `sign_in_locked` */
export async function countOwnTry(
  database: Database,
  user: Pick<UserRow, 'id' | 'organizationId' | 'email'>,
  now: Date,
): Promise<void> {
  const { email, organizationId } = user
  const tries = await countTry(database, email, [organizationId, NO_ORGANIZATION], now)
  await noteLocks(database, [user], tries)
  refuseIfLocked(tries.get(organizationId), now)
}

function refuseIfLocked(counted: CountedTry | undefined, now: Date): void {
  if (!counted?.lockedUntil) return
  throw new Problem('sign_in_locked', 'There were too many failed tries with this address. Wait a while.', {
    retryAfterSeconds: Math.max(1, Math.ceil((counted.lockedUntil.getTime() - now.getTime()) / 1000)),
  })
}

/** The first try that a lock turns away is told to the organisation. */
async function noteLocks(
  database: Database,
  users: readonly Pick<UserRow, 'id' | 'organizationId'>[],
  tries: ReadonlyMap<string, CountedTry>,
): Promise<void> {
  for (const { organizationId, id: userId } of users)
    if (tries.get(organizationId)?.locks)
      await note(database, { organizationId, userId }, 'user.sign_in_locked')
}

async function whoHasPassword(users: UserRow[], password: string): Promise<UserRow[]> {
  const matching: UserRow[] = []
  let compared = 0
  for (const user of users) {
    if (user.passwordHash === null) continue
    compared += 1
    if ((await isPassword(password, user.passwordHash)) && !user.disabledAt) matching.push(user)
  }
  if (compared === 0) await pretendToCompare(password)
  return matching
}

/** Opens a session of somebody who has shown who they are. */
export async function enter(deps: SignInDeps, user: UserRow, way: SessionRow['way']): Promise<SignedIn> {
  const now = new Date(deps.clock.now())
  const entered = await deps.database.transaction(async tx => {
    const opened = await openSession(tx, user, way, now)
    const row = await changeUser(tx, user.id, { lastSignInAt: now })
    await note(tx, opened.session, 'user.signed_in', { way })
    return { ...opened, user: row }
  })
  return give(deps, entered)
}

/** Gives the next tokens of a session; once more where the answer was lost (see {@link refreshSession}). @throws {Problem} `wrong_refresh_token`, `refresh_token_reused` */
export async function refresh(deps: SignInDeps, refreshToken: string): Promise<SignedIn> {
  const now = new Date(deps.clock.now())
  const outcome = await deps.database.transaction(async tx => {
    const taken = await refreshSession(tx, refreshToken, now)
    if (taken.kind === 'reused') await note(tx, taken.session, 'user.refresh_token_reused')
    if (taken.kind === 'refreshed' && taken.repeated) await note(tx, taken.session, 'user.refresh_repeated')
    return taken
  })
  if (outcome.kind === 'reused')
    throw new Problem(
      'refresh_token_reused',
      'This refresh token was used before, so it was copied. The session has been ended; sign in again.',
    )
  if (outcome.kind === 'refused')
    throw new Problem(
      'wrong_refresh_token',
      'This refresh token is unknown, or its session is over. Sign in again.',
    )
  return give(deps, outcome)
}

/** Ends a session at once. Nothing happens for a token that is unknown. */
export async function signOut({ database, clock }: SignInDeps, refreshToken: string): Promise<void> {
  const now = new Date(clock.now())
  await database.transaction(async tx => {
    const ended = await endSessionByToken(tx, refreshToken, now)
    if (ended) await note(tx, ended, 'user.signed_out')
  })
}

/** Sets the password of whoever has the one-time link, and ends their sessions. @throws {Problem} `password_link_not_found` */
export async function setPassword(
  { database, clock }: SignInDeps,
  { token, password }: { token: string; password: string },
): Promise<void> {
  const now = new Date(clock.now())
  const passwordHash = await hashPassword(password)
  await database.transaction(async tx => {
    const user = await takePasswordLink(tx, token, now)
    if (!user)
      throw new Problem(
        'password_link_not_found',
        'The link is unknown, used or too old. An administrator makes a new one.',
      )
    await changeUser(tx, user.id, { passwordHash, passwordSetAt: now, updatedAt: now })
    await voidLinks(tx, user.id, now)
    await endSessionsOf(tx, user.id, 'password_set', now)
    await forgetFailures(tx, user.email, [user.organizationId, NO_ORGANIZATION])
    await note(tx, { organizationId: user.organizationId, userId: user.id }, 'user.password_set')
  })
}

async function give(
  { tokens }: SignInDeps,
  { session, user, refresh }: { session: SessionRow; user: UserRow; refresh: GivenRefreshToken },
): Promise<SignedIn> {
  const { organizationId, userId, id: sessionId } = session
  const signed = await tokens.sign({ kind: 'user', organizationId, userId, sessionId })
  return {
    accessToken: signed.token,
    expiresInSeconds: signed.expiresInSeconds,
    refreshToken: refresh.token,
    refreshTokenExpiresAt: refresh.expiresAt.toISOString(),
    user: userView(user),
  }
}

async function note(
  tx: Queryable,
  { organizationId, userId }: Pick<SessionRow, 'organizationId' | 'userId'>,
  action: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  const who = `user:${userId}`
  await noteAudit(tx, { organizationId, actor: who, action, subject: who, detail })
}
