import { noteAudit } from '../../db/audit-notes.ts'
import { voidLinks } from '../../db/password-links.ts'
import { endSessionsOf } from '../../db/sessions.ts'
import { forgetFailures, NO_ORGANIZATION } from '../../db/sign-in-failures.ts'
import { changeUser, lockUser } from '../../db/users.ts'
import type { Caller } from '../caller.ts'
import { Problem } from '../problem.ts'
import { hashPassword, isPassword } from './password.ts'
import type { OwnPasswordBody } from './schema.ts'
import { countOwnTry, type SignInDeps } from './sign-in.ts'

/** What people do with their own way in. */

/**
 * Gives whoever knows their password another one, and ends their other sessions. Whoever only holds an access token has
 * as few tries at the password as one who signs in.
 * @throws {Problem} `people_only`, `no_password`, `wrong_password`, `sign_in_locked`
 */
export async function changeOwnPassword(
  { database, clock }: SignInDeps,
  caller: Caller,
  { currentPassword, newPassword }: OwnPasswordBody,
): Promise<void> {
  const now = new Date(clock.now())
  const { organizationId, userId, email, sessionId } = personOf(caller)
  await countOwnTry(database, { id: userId, organizationId, email }, now)
  const counted = [organizationId, NO_ORGANIZATION]
  const passwordHash = await hashPassword(newPassword)
  await database.transaction(async tx => {
    const user = await lockUser(tx, organizationId, userId)
    if (!user?.passwordHash) {
      await forgetFailures(database, email, counted)
      throw new Problem(
        'no_password',
        'You sign in with Google. An administrator makes a link to set a password.',
      )
    }
    // Repeated after its answer was lost: it was changed then.
    if (caller.repeatable && (await isPassword(newPassword, user.passwordHash))) return
    if (!(await isPassword(currentPassword, user.passwordHash)))
      throw new Problem('wrong_password', 'The current password is another one. Nothing was changed.')
    await changeUser(tx, userId, { passwordHash, passwordSetAt: now, updatedAt: now })
    await voidLinks(tx, userId, now)
    const sessions = await endSessionsOf(tx, userId, 'password_set', now, sessionId)
    await forgetFailures(tx, email, counted)
    await note(caller, 'user.password_changed', { sessionsEnded: sessions }, tx)
  })
}

/** Ends every session of the caller, this one too. @throws {Problem} `people_only` */
export async function endOwnSessions({ database, clock }: SignInDeps, caller: Caller): Promise<void> {
  const { userId } = personOf(caller)
  await database.transaction(async tx => {
    const sessions = await endSessionsOf(tx, userId, 'ended_by_user', new Date(clock.now()))
    await note(caller, 'user.sessions_ended', { sessions }, tx)
  })
}

function personOf({ organizationId, principal, email, sessionId, kind }: Caller) {
  if (kind !== 'user' || email === null || sessionId === undefined)
    throw new Problem('people_only', 'Keys have neither password nor sessions: rotate or revoke the key.')
  return { organizationId, email, sessionId, userId: principal.replace('user:', '') }
}

function note(
  { organizationId, actor, principal: subject }: Caller,
  action: string,
  detail: Record<string, unknown>,
  tx: Parameters<typeof noteAudit>[0],
): Promise<void> {
  return noteAudit(tx, { organizationId, actor, action, subject, detail })
}
