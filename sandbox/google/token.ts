import { verify } from 'node:crypto'
import { knownScopes } from './discovery.ts'
import { TokenError } from './errors.ts'
import type { Identity } from './identity.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const longestLifeSeconds = 65 * 60
const skewSeconds = 5 * 60
/** Scopes outside the discovery documents we carry that a service account may ask for itself. */
const otherScopes = new Set([
  'https://www.googleapis.com/auth/cloud-platform',
  'https://www.googleapis.com/auth/pubsub',
])

export interface TokenAnswer {
  access_token: string
  expires_in: number
  token_type: 'Bearer'
}

/**
 * Google's token endpoint for the JWT bearer grant: the RS256 signature is checked for real, with and without `kid`
 * in the header; then audience, times, scopes, subject. Errors are those of google-apis.md §5.1 (`TokenError`).
 */
export function exchangeAssertion(
  identity: Identity,
  form: URLSearchParams,
  nowMs: number,
  origin: string,
): TokenAnswer {
  if (form.get('grant_type') !== grantType)
    throw new TokenError(400, 'unsupported_grant_type', `Invalid grant_type: ${form.get('grant_type')}`)
  const { header, claims, signed, signature } = decode(form.get('assertion') ?? '')
  if (header.alg !== 'RS256') throw new TokenError(400, 'invalid_grant', 'Invalid JWT Signature.')
  if (claims.iss !== identity.serviceAccountEmail)
    throw new TokenError(400, 'invalid_grant', 'Invalid grant: account not found')
  const keyId = typeof header.kid === 'string' ? header.kid : undefined
  if (!identity.publicKeys(keyId).some(key => verify('RSA-SHA256', signed, key, signature)))
    throw new TokenError(400, 'invalid_grant', 'Invalid JWT Signature.')
  const audiences = [
    'https://oauth2.googleapis.com/token',
    'https://www.googleapis.com/oauth2/v4/token',
    `${origin}/token`,
  ]
  if (typeof claims.aud !== 'string' || !audiences.includes(claims.aud))
    throw new TokenError(400, 'invalid_grant', 'Invalid JWT: Failed audience check.')
  checkTimes(claims, nowMs / 1000)
  const scopes = readScopes(claims.scope)
  const expiresAtMs = nowMs + 3_599_000
  if (claims.sub === undefined || claims.sub === identity.serviceAccountEmail) {
    const caller = { email: identity.serviceAccountEmail, isServiceAccount: true, scopes, expiresAtMs }
    return { access_token: identity.issue(caller), expires_in: 3599, token_type: 'Bearer' }
  }
  for (const scope of scopes) {
    if (!identity.delegatedScopes.has(scope))
      throw new TokenError(
        401,
        'unauthorized_client',
        'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
      )
  }
  const user = identity.user(String(claims.sub))
  if (!user) throw new TokenError(400, 'invalid_grant', 'Invalid email or User ID')
  const caller = { email: user.email, isServiceAccount: false, scopes, expiresAtMs }
  return { access_token: identity.issue(caller), expires_in: 3599, token_type: 'Bearer' }
}

function decode(assertion: string) {
  const [head = '', body = '', signature = ''] = assertion.split('.')
  try {
    return {
      header: JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>,
      claims: JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>,
      signed: Buffer.from(`${head}.${body}`),
      signature: Buffer.from(signature, 'base64url'),
    }
  } catch (cause) {
    const error = new TokenError(400, 'invalid_request', 'Bad Request')
    error.cause = cause
    throw error
  }
}

function checkTimes(claims: Record<string, unknown>, now: number): void {
  const { iat, exp } = claims
  const fine =
    typeof iat === 'number' &&
    typeof exp === 'number' &&
    iat <= now + skewSeconds &&
    exp > now - skewSeconds &&
    exp > iat &&
    exp - iat <= longestLifeSeconds
  if (!fine)
    throw new TokenError(
      400,
      'invalid_grant',
      'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
    )
}

function readScopes(scope: unknown): Set<string> {
  const scopes = new Set(typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [])
  const unknown = [...scopes].some(name => !knownScopes.has(name) && !otherScopes.has(name))
  if (scopes.size === 0 || unknown)
    throw new TokenError(400, 'invalid_scope', 'Invalid OAuth scope or ID token audience provided.')
  return scopes
}
