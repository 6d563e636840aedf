import { createHash, randomBytes } from 'node:crypto'
import { TokenError } from './errors.ts'
import type { Answer, World } from './world.ts'

/** The OAuth client that the sandbox's Google knows for signing people in. */
export const SIGN_IN_CLIENT = {
  clientId: '104857600000-sandbox.apps.googleusercontent.com',
  clientSecret: 'GOCSPX-sandbox-secret',
}

interface Grant {
  email: string
  nonce: string | null
  redirectUri: string
  challenge: string | null
  expiresAtMs: number
}

const codeLifeMs = 10 * 60_000
const grants = new WeakMap<World, Map<string, Grant>>()

/** As `https://accounts.google.com/.well-known/openid-configuration` answers, with the sandbox's addresses. */
export function openIdConfiguration({ origin }: World): Answer {
  return {
    json: {
      issuer: origin,
      authorization_endpoint: `${origin}/o/oauth2/v2/auth`,
      token_endpoint: `${origin}/token`,
      jwks_uri: `${origin}/oauth2/v3/certs`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      scopes_supported: ['openid', 'email', 'profile'],
      code_challenge_methods_supported: ['plain', 'S256'],
    },
  }
}

/**
 * The page on which people choose an account, as if `authuser` (an address; the domain's first user without it) had been
 * clicked; `cancelled` is somebody who says no.
 */
export function authorize(world: World, query: URLSearchParams): Answer {
  const redirectUri = query.get('redirect_uri')
  const scopes = query.get('scope')?.split(' ') ?? []
  if (query.get('client_id') !== SIGN_IN_CLIENT.clientId)
    return { status: 401, text: 'Error 401: invalid_client' }
  if (!redirectUri || !URL.canParse(redirectUri))
    return { status: 400, text: 'Error 400: redirect_uri_mismatch' }
  if (query.get('response_type') !== 'code' || !scopes.includes('openid'))
    return { status: 400, text: 'Error 400: invalid_request' }
  const back = new URL(redirectUri)
  const state = query.get('state')
  if (state !== null) back.searchParams.set('state', state)
  const email = query.get('authuser') ?? world.identity.users[0]?.email ?? ''
  if (email === 'cancelled') back.searchParams.set('error', 'access_denied')
  else {
    const code = `4/0A${randomBytes(24).toString('base64url')}`
    codesOf(world).set(code, {
      email,
      nonce: query.get('nonce'),
      redirectUri,
      challenge: query.get('code_challenge_method') === 'S256' ? query.get('code_challenge') : null,
      expiresAtMs: world.nowMs() + codeLifeMs,
    })
    back.searchParams.set('code', code)
  }
  return { status: 302, headers: { location: back.href }, text: '' }
}

/** The token endpoint for an authorisation code: works once, for the client and the verifier it was asked for with. */
export function exchangeCode(world: World, form: URLSearchParams): object {
  const { clientId, clientSecret } = SIGN_IN_CLIENT
  if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret)
    throw new TokenError(401, 'invalid_client', 'Unauthorized')
  const code = form.get('code') ?? ''
  const grant = codesOf(world).get(code)
  codesOf(world).delete(code)
  if (!grant || grant.expiresAtMs <= world.nowMs()) throw new TokenError(400, 'invalid_grant', 'Bad Request')
  if (form.get('redirect_uri') !== grant.redirectUri)
    throw new TokenError(400, 'redirect_uri_mismatch', 'Bad Request')
  const challenge = createHash('sha256')
    .update(form.get('code_verifier') ?? '')
    .digest('base64url')
  if (grant.challenge !== null && grant.challenge !== challenge)
    throw new TokenError(400, 'invalid_grant', 'Invalid code verifier.')
  const user = world.identity.user(grant.email)
  const idToken = world.oidc.token(
    {
      iss: world.origin,
      aud: clientId,
      azp: clientId,
      sub: user?.id ?? createHash('sha256').update(grant.email).digest('hex').slice(0, 21),
      email: grant.email,
      // Only accounts of a Workspace domain have one.
      ...(user && { hd: world.identity.domain }),
      ...(user && { name: user.name }),
      ...(grant.nonce !== null && { nonce: grant.nonce }),
    },
    world.nowMs(),
  )
  return {
    access_token: `ya29.sandbox-${randomBytes(24).toString('base64url')}`,
    expires_in: 3599,
    scope:
      'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile',
    token_type: 'Bearer',
    id_token: idToken,
  }
}

function codesOf(world: World): Map<string, Grant> {
  const known = grants.get(world) ?? new Map<string, Grant>()
  grants.set(world, known)
  return known
}
