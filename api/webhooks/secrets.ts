import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { SealedSecret } from '../../db/schema.ts'
import type { Vault } from './vault.ts'

/** Signing secrets of webhooks, as Standard Webhooks has them: `whsec_` and 32 bytes in base64. */

// More would only make the header long: each rotation while older secrets still sign adds one.
const MOST_SECRETS = 5

/** A first secret. @returns it, to be shown once, and what is kept of it */
export async function firstSecret(
  vault: Vault,
  endpointId: string,
  now: Date,
): Promise<{ secret: string; secrets: SealedSecret[] }> {
  const secret = `whsec_${randomBytes(32).toString('base64')}`
  const sealed = await vault.seal(secret, endpointId)
  return { secret, secrets: [{ sealed, createdAt: now.toISOString(), expiresAt: null }] }
}

/** A new secret before the others, which sign beside it until `overlapMs` from now (or until their own end before that). */
export async function rotateSecret(
  vault: Vault,
  endpoint: { id: string; secrets: SealedSecret[] },
  overlapMs: number,
  now: Date,
): Promise<{ secret: string; secrets: SealedSecret[] }> {
  const { secret, secrets } = await firstSecret(vault, endpoint.id, now)
  const end = new Date(now.getTime() + overlapMs).toISOString()
  const older = endpoint.secrets
    .map(old => ({ ...old, expiresAt: old.expiresAt !== null && old.expiresAt < end ? old.expiresAt : end }))
    .filter(old => inForce(old, now))
  return { secret, secrets: [...secrets, ...older].slice(0, MOST_SECRETS) }
}

/**
 * The three headers of Standard Webhooks, signed with every secret in force.
 * @throws {CannotUnseal}
 */
export async function signatureHeaders(
  vault: Vault,
  endpoint: { id: string; secrets: SealedSecret[] },
  message: { id: string; body: string },
  now: Date,
): Promise<Record<string, string>> {
  const signatures = await Promise.all(
    endpoint.secrets
      .filter(secret => inForce(secret, now))
      .map(async ({ sealed }) =>
        new Webhook(await vault.unseal(sealed, endpoint.id)).sign(message.id, now, message.body),
      ),
  )
  return {
    'webhook-id': message.id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  }
}

/** Does a secret still sign? */
export function inForce({ expiresAt }: Pick<SealedSecret, 'expiresAt'>, now: Date): boolean {
  return expiresAt === null || expiresAt > now.toISOString()
}
