import type { Clock } from '../../clock.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import type { Transaction } from '../../db/connect.ts'
import { makePasswordLink, voidLinks } from '../../db/password-links.ts'
import { endSessionsOf } from '../../db/sessions.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { changeUser, findUser, insertUser, lockUser, type UserRow } from '../../db/users.ts'
import { asCaller, type Caller, refuseMoreThanOwn } from '../caller.ts'
import { scopesOf } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { type IfMatch, refuseOtherVersion } from '../versions/if-match.ts'
import type { NewUserBody, UserChangeBody } from './schema.ts'
import { type UserView, userView } from './views.ts'

export interface UsersDeps {
  db: TenantDatabase
  clock: Clock
}

/** Makes a user, who cannot sign in before they have a password or come by Google. @throws {Problem} `email_taken` */
export async function createUser(
  { db }: UsersDeps,
  caller: Caller,
  { email, name = null, role }: NewUserBody,
): Promise<UserView> {
  refuseMoreThanOwn(caller, scopesOf(role))
  const { organizationId } = caller
  return asCaller(db, caller, async tx => {
    const row = await insertUser(tx, { organizationId, email, name, role })
    if (!row) throw new Problem('email_taken', 'Your organisation has a user with this address already.')
    await note(tx, caller, 'user.created', undefined, row)
    return userView(row)
  })
}

/** Changes, enables or disables a user. @throws {Problem} `user_not_found`, `not_yourself`, `beyond_own_scopes` */
export async function updateUser(
  { db, clock }: UsersDeps,
  caller: Caller,
  id: string,
  { name, role, status }: UserChangeBody,
  ifMatch?: IfMatch,
): Promise<UserView> {
  const now = new Date(clock.now())
  if (name === undefined && role === undefined && status === undefined)
    throw new Problem('invalid_request', 'Name at least one field to change.')
  return asCaller(db, caller, async tx => {
    const before = await locked(tx, caller, id)
    if (caller.principal === `user:${id}` && (role !== undefined || status !== undefined))
      throw new Problem('not_yourself', 'Another administrator changes your role or disables you.')
    refuseMoreThanOwn(caller, scopesOf(before.role))
    if (role !== undefined) refuseMoreThanOwn(caller, scopesOf(role))
    await refuseOtherVersion(ifMatch, () => userView(before))
    const row = await changeUser(tx, id, {
      ...(name !== undefined && { name }),
      ...(role !== undefined && { role }),
      ...(status === 'enabled' && { disabledAt: null }),
      ...(status === 'disabled' && { disabledAt: before.disabledAt ?? now }),
      updatedAt: now,
    })
    if (status === 'disabled') {
      await endSessionsOf(tx, id, 'disabled', now)
      await voidLinks(tx, id, now)
    }
    await note(tx, caller, 'user.changed', before, row)
    return userView(row)
  })
}

/** Makes a one-time link with which a user sets a password. @throws {Problem} `user_not_found`, `user_disabled` */
export async function linkForPassword(
  { db, clock }: UsersDeps,
  caller: Caller,
  id: string,
): Promise<{ token: string; expiresAt: string }> {
  const now = new Date(clock.now())
  return asCaller(db, caller, async tx => {
    const row = await locked(tx, caller, id)
    // Whoever has the link can be that person.
    refuseMoreThanOwn(caller, scopesOf(row.role))
    if (row.disabledAt) throw new Problem('user_disabled', 'Enable the user first.')
    const { token, expiresAt } = await makePasswordLink(tx, row, now)
    await note(tx, caller, 'user.password_link_made', undefined, row)
    return { token, expiresAt: expiresAt.toISOString() }
  })
}

/** Ends every session of a user at once. @throws {Problem} `user_not_found`, `beyond_own_scopes` */
export async function endSessionsOfUser({ db, clock }: UsersDeps, caller: Caller, id: string): Promise<void> {
  const now = new Date(clock.now())
  await asCaller(db, caller, async tx => {
    const row = await locked(tx, caller, id)
    refuseMoreThanOwn(caller, scopesOf(row.role))
    const sessions = await endSessionsOf(tx, id, 'ended_by_administrator', now)
    const { organizationId, actor } = caller
    const subject = `user:${id}`
    await noteAudit(tx, {
      organizationId,
      actor,
      action: 'user.sessions_ended',
      subject,
      detail: { sessions },
    })
  })
}

/** One user. @throws {Problem} `user_not_found` */
export async function showUser({ db }: UsersDeps, caller: Caller, id: string): Promise<UserView> {
  return asCaller(db, caller, async tx => {
    const row = await findUser(tx, caller.organizationId, id)
    if (!row) throw noSuchUser()
    return userView(row)
  })
}

/** Also the answer for a user of another organisation: whether it exists is not the caller's to know. */
export function noSuchUser(): Problem {
  return new Problem('user_not_found', 'Your organisation has no user with this id.')
}

async function locked(tx: Transaction, { organizationId }: Caller, id: string): Promise<UserRow> {
  const row = await lockUser(tx, organizationId, id)
  if (!row) throw noSuchUser()
  return row
}

async function note(
  tx: Transaction,
  { organizationId, actor }: Caller,
  action: string,
  before: UserRow | undefined,
  after: UserRow,
): Promise<void> {
  const told = ({ role, disabledAt }: UserRow) => ({ role, disabled: disabledAt !== null })
  await noteAudit(tx, {
    ...{ organizationId, actor, action, subject: `user:${after.id}` },
    ...(before && { before: told(before) }),
    after: told(after),
  })
}
