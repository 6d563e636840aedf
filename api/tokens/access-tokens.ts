import { randomUUID } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import { SCOPES, type Scope } from '../../db/roles.ts'
import type { SigningKeys } from './signing-keys.ts'

/** Access tokens (RFC 9068): short-lived, and good only while what they were given for is still in force. */
export interface AccessTokens {
  sign(token: TokenFor): Promise<{ token: string; expiresInSeconds: number }>
  /** What a token says; `over` for one of ours whose time is up, undefined for one that is not ours or was changed. */
  verify(token: string): Promise<TokenFor | 'over' | undefined>
}

/** What a token was given for. */
export type TokenFor =
  | { kind: 'client'; organizationId: string; keyId: string; scopes: Scope[] }
  | { kind: 'user'; organizationId: string; userId: string; sessionId: string }

const LIFE_SECONDS = 600
const AUDIENCE = 'testigo-api'
const CLOCK_TOLERANCE_SECONDS = 5

const claimsSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('client'), org: z.uuid(), sub: z.uuid(), scope: z.string() }),
  z.object({ kind: z.literal('user'), org: z.uuid(), sub: z.uuid(), sid: z.uuid() }),
])

/** @param deps.issuer address of this API, or a name where it has none that it knows of */
export function openAccessTokens(deps: { keys: SigningKeys; issuer: string; clock: Clock }): AccessTokens {
  const { keys, issuer, clock } = deps
  return {
    async sign(given) {
      const { kid, key } = await keys.current()
      const issuedAt = Math.floor(clock.now() / 1000)
      const { organizationId: org, kind } = given
      const claims =
        given.kind === 'client'
          ? { kind, org, client_id: given.keyId, scope: given.scopes.join(' ') }
          : { kind, org, sid: given.sessionId }
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid })
        .setIssuer(issuer)
        .setAudience(AUDIENCE)
        .setSubject(given.kind === 'client' ? given.keyId : given.userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + LIFE_SECONDS)
        .setJti(randomUUID())
        .sign(key)
      return { token, expiresInSeconds: LIFE_SECONDS }
    },

    async verify(token) {
      try {
        const { payload } = await jwtVerify(
          token,
          async ({ kid }) => {
            const key = kid === undefined ? undefined : await keys.find(kid)
            if (!key) throw new errors.JWKSNoMatchingKey()
            return key
          },
          {
            issuer,
            audience: AUDIENCE,
            typ: 'at+jwt',
            algorithms: ['EdDSA'],
            requiredClaims: ['exp', 'iat', 'sub'],
            currentDate: new Date(clock.now()),
            clockTolerance: CLOCK_TOLERANCE_SECONDS,
          },
        )
        return read(payload)
      } catch (error) {
        // Told only of a token whose signature holds.
        if (error instanceof errors.JWTExpired) return 'over'
        if (error instanceof errors.JOSEError) return undefined
        throw error
      }
    },
  }
}

function read(payload: unknown): TokenFor | undefined {
  const parsed = claimsSchema.safeParse(payload)
  if (!parsed.success) return undefined
  const { data } = parsed
  if (data.kind === 'user')
    return { kind: 'user', organizationId: data.org, userId: data.sub, sessionId: data.sid }
  const scopes = SCOPES.filter(scope => data.scope.split(' ').includes(scope))
  return { kind: 'client', organizationId: data.org, keyId: data.sub, scopes }
}
