import type { Clock } from '../../clock.ts'
import { type ApiKeyRow, insertKey, lockKey, revokeKey, rotateKey } from '../../db/api-keys.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import type { Transaction } from '../../db/connect.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, type Caller, refuseMoreThanOwn, scopesInForce } from '../caller.ts'
import { Problem } from '../problem.ts'
import { refusedBody } from '../read-input.ts'
import type { NewKeyBody } from './schema.ts'
import { type KeyView, type KeyWithSecret, keyView } from './views.ts'

export interface KeysDeps {
  db: TenantDatabase
  clock: Clock
}

const HOUR_MS = 3_600_000

/** Makes a key, which nobody can use for more than its maker may do. @throws {Problem} `beyond_own_scopes` */
export async function createKey(
  { db, clock }: KeysDeps,
  caller: Caller,
  { name, role, scopes = null, expiresAt = null }: NewKeyBody,
): Promise<KeyWithSecret> {
  const now = new Date(clock.now())
  if (expiresAt && expiresAt <= now)
    throw refusedBody([{ path: 'expiresAt', code: 'invalid_field', message: 'must be in the future' }])
  refuseMoreThanOwn(caller, scopesInForce({ role, scopes }))
  const { organizationId, principal: createdBy } = caller
  return asCaller(db, caller, async tx => {
    const { key, row } = await insertKey(tx, organizationId, { name, role, scopes, expiresAt, createdBy })
    await note(tx, caller, 'api_key.created', row)
    return { ...keyView(row, now), key }
  })
}

/** Gives a key a new secret. @throws {Problem} `key_not_found`, `key_not_in_force`, `beyond_own_scopes` */
export async function giveNewSecret(
  { db, clock }: KeysDeps,
  caller: Caller,
  id: string,
  overlapHours: number,
): Promise<KeyWithSecret> {
  const now = new Date(clock.now())
  return asCaller(db, caller, async tx => {
    const before = await locked(tx, caller, id)
    // The answer holds a secret with which all can be done that the key may do.
    refuseMoreThanOwn(caller, scopesInForce(before))
    if (keyView(before, now).status !== 'in_force')
      throw new Problem('key_not_in_force', 'The key is revoked or expired. Make a new one.')
    const previousUntil = new Date(now.getTime() + overlapHours * HOUR_MS)
    const { key, row } = await rotateKey(tx, before, { now, previousUntil })
    await note(tx, caller, 'api_key.rotated', row, { overlapHours, before: before.prefix })
    return { ...keyView(row, now), key }
  })
}

/** Ends a key at once; twice is the same as once. @throws {Problem} `key_not_found` */
export async function endKey({ db, clock }: KeysDeps, caller: Caller, id: string): Promise<void> {
  const now = new Date(clock.now())
  await asCaller(db, caller, async tx => {
    const row = await locked(tx, caller, id)
    if (row.revokedAt) return
    await revokeKey(tx, id, now)
    await note(tx, caller, 'api_key.revoked', row)
  })
}

/** One key. @throws {Problem} `key_not_found` */
export async function showKey({ db, clock }: KeysDeps, caller: Caller, id: string): Promise<KeyView> {
  return asCaller(db, caller, async tx => keyView(await locked(tx, caller, id), new Date(clock.now())))
}

/** Also the answer for a key of another organisation: whether it exists is not the caller's to know. */
export function noSuchKey(): Problem {
  return new Problem('key_not_found', 'Your organisation has no API key with this id.')
}

async function locked(tx: Transaction, { organizationId }: Caller, id: string): Promise<ApiKeyRow> {
  const row = await lockKey(tx, organizationId, id)
  if (!row) throw noSuchKey()
  return row
}

async function note(
  tx: Transaction,
  { organizationId, actor }: Caller,
  action: string,
  { id, name, role, scopes, prefix }: ApiKeyRow,
  more: Record<string, unknown> = {},
): Promise<void> {
  const detail = { name, role, scopes, prefix, ...more }
  await noteAudit(tx, { organizationId, actor, action, subject: `api_key:${id}`, detail })
}
