import type { Transaction } from '../db/connect.ts'
import type { ClaimedRequest } from '../db/idempotency.ts'
import type { Role, Scope } from '../db/roles.ts'
import { asOrganization, type TenantDatabase } from '../db/tenant.ts'
import { scopesOf } from './permissions.ts'
import { Problem } from './problem.ts'

/** Who sends a request, whatever the way in. */
export interface Caller {
  organizationId: string
  role: Role
  /** What it may use of what its role may do. */
  scopes: ReadonlySet<Scope>
  /** For logs and the audit trail: `api_key:<prefix>`, `client:<prefix>`, `user:<id>`. */
  actor: string
  /** Whose own meetings are meant, as in `meetings.created_by`: `key:<id>`, `user:<id>`. */
  principal: string
  /** Of a person, lower-cased. */
  email: string | null
  kind: 'api_key' | 'client' | 'user'
  /** Of a person: the signing in that the access token was given for. */
  sessionId?: string
  /** Its request has an `Idempotency-Key`. */
  repeatable?: ClaimedRequest
  /** The transaction that all of its request runs in, where there is one. */
  within?: Transaction
}

/** What may be used of what a role may do. @param scopes null: all */
export function scopesInForce({ role, scopes }: { role: Role; scopes: Scope[] | null }): ReadonlySet<Scope> {
  const allowed = scopesOf(role)
  return scopes === null ? allowed : new Set(scopes.filter(scope => allowed.has(scope)))
}

/** Nobody hands on more than they have. @throws {Problem} `beyond_own_scopes` */
export function refuseMoreThanOwn(caller: Caller, scopes: ReadonlySet<Scope>): void {
  const beyond = [...scopes].filter(scope => !caller.scopes.has(scope))
  if (beyond.length > 0)
    throw new Problem('beyond_own_scopes', `You do not have these scopes yourself: ${beyond.join(', ')}.`)
}

/** Who sends a request, behind `authenticate`. */
export function callerOf(response: { locals: Record<string, unknown> }): Caller {
  const { caller } = response.locals
  if (!caller) throw new Error('callerOf was called on a route that is not behind authenticate')
  return caller as Caller
}

/** Runs `work` in a transaction that sees what the caller may see, and nothing else (see {@link asOrganization}). */
export function asCaller<T>(
  db: TenantDatabase,
  { organizationId, role, principal, email, within }: Caller,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  if (within) return within.transaction(work)
  return asOrganization(db, organizationId, work, role === 'external' ? { principal, email } : undefined)
}
