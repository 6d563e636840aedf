import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { z } from 'zod'
import type { Clock } from '../clock.ts'

/**
 * Why a push is not let in.
 * `missing`, `malformed`: no token, or none that can be read. `signature`: not signed by a key that Google shows.
 * `issuer`, `audience`, `email`: signed by Google, for somebody else. `expired`: over, or not yet valid.
 * `keys_unavailable`: Google's keys cannot be had now, so nothing is known: answer 503, and it will come again.
 */
export type PushTokenReason =
  | 'missing'
  | 'malformed'
  | 'signature'
  | 'issuer'
  | 'audience'
  | 'email'
  | 'expired'
  | 'keys_unavailable'

/** A push whose identity token does not prove that it is ours. Messages never carry the token. */
export class PushTokenError extends Error {
  override readonly name = 'PushTokenError'
  readonly reason: PushTokenReason
  /** Whether the same push may be let in a moment later. */
  readonly retryable: boolean

  constructor(reason: PushTokenReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
    this.retryable = reason === 'keys_unavailable'
  }
}

export interface PushTokenSettings {
  /** What the push subscription names as its audience; by default the address it pushes to. */
  audience: string
  /** Service account that the push subscription pushes as. */
  email: string
  /** Google's keys as a JWK set. */
  certsUrl?: string
}

/** Checks the `Authorization` header of Pub/Sub's pushes. */
export interface PushTokens {
  /** @throws {PushTokenError} */
  verify(authorization: string | undefined): Promise<void>
}

const CERTS_URL = 'https://www.googleapis.com/oauth2/v3/certs'
const ISSUERS = ['https://accounts.google.com', 'accounts.google.com']
// As Google's own library allows (google-apis.md §6.2).
const SKEW_SECONDS = 300
const KEYS_WITHIN_MS = 5000
// Google shows a new key a day before it signs with it, so a key that is not there is looked for at most this often.
const LOOK_AGAIN_AFTER_MS = 10_000
const KEEP_KEYS_MS = 6 * 3600_000

const claimsSchema = z.object({ email: z.string(), email_verified: z.literal(true) })

/**
 * Identity tokens as google-apis.md §6.2 describes them: RS256 by a key of accounts.google.com, for our audience, and
 * for the account of our push subscription, as anybody can have Google sign a token for any audience. Keys are kept for
 * six hours and asked for again when a token names one that is not among them.
 */
export function createPushTokens(settings: PushTokenSettings, { clock }: { clock: Clock }): PushTokens {
  const { audience, email, certsUrl = CERTS_URL } = settings
  const keys = createRemoteJWKSet(new URL(certsUrl), {
    timeoutDuration: KEYS_WITHIN_MS,
    cooldownDuration: LOOK_AGAIN_AFTER_MS,
    cacheMaxAge: KEEP_KEYS_MS,
  })
  return {
    verify: async authorization => {
      const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1]
      if (token === undefined)
        throw new PushTokenError('missing', 'The push carries no identity token (Authorization: Bearer …)')
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ['RS256'],
        issuer: ISSUERS,
        audience,
        clockTolerance: SKEW_SECONDS,
        currentDate: new Date(clock.now()),
        requiredClaims: ['exp', 'iat'],
      }).catch((error: unknown) => {
        throw explained(error)
      })
      const claims = claimsSchema.safeParse(payload)
      if (!claims.success || claims.data.email !== email)
        throw new PushTokenError('email', `The push is signed for another account than ${email}`)
    },
  }
}

function explained(error: unknown): PushTokenError {
  const options = { cause: error }
  if (error instanceof errors.JWTExpired)
    return new PushTokenError('expired', "The push's identity token is over", options)
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud')
      return new PushTokenError('audience', "The push's identity token is for another audience", options)
    if (error.claim === 'iss')
      return new PushTokenError('issuer', "The push's identity token is not of accounts.google.com", options)
    return new PushTokenError(
      'expired',
      `The push's identity token is not valid now (${error.claim})`,
      options,
    )
  }
  if (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JOSEAlgNotAllowed
  )
    return new PushTokenError('signature', "The push's identity token is not signed by Google", options)
  if (
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSENotSupported
  )
    return new PushTokenError('malformed', "The push's identity token cannot be read", options)
  return new PushTokenError('keys_unavailable', "Google's keys cannot be read now", options)
}
