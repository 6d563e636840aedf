import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import type { Database, Transaction } from '../../db/connect.ts'
import { findByGoogleDomain } from '../../db/organizations.ts'
import { changeUser, findUserBySubject, findUsersByEmail, insertUser, type UserRow } from '../../db/users.ts'
import { Problem } from '../problem.ts'
import type { Vault } from '../webhooks/vault.ts'

/** Signing in with Google (OpenID Connect, authorisation code with PKCE) for the people of an organisation's domain. */
export interface GoogleSignIn {
  /** Where to send the browser, and what it has to bring back in a cookie. @throws {Problem} `google_sign_in_off` */
  start(): Promise<{ location: string; cookie: string; lifeSeconds: number }>
  /**
   * Who came back. Whoever is of the organisation's domain and no user yet becomes one, with the role `external`.
   * @throws {Problem} `google_sign_in_off`, `google_sign_in_refused`, `google_domain_unknown`, `google_unavailable`
   */
  finish(query: unknown, cookie: string | undefined): Promise<UserRow>
}

interface GoogleSignInDeps {
  database: Database
  vault: Vault
  clock: Clock
  settings: {
    clientId: string | undefined
    clientSecret: string | undefined
    issuerUrl: string
    publicUrl: string | undefined
  }
}

const LIFE_SECONDS = 600
const CALL_LIMIT_MS = 10_000
// Tokens with invented key ids must not become requests to Google.
const KEYS_READ_AGAIN_MS = 5000
const DISCOVERY_LIFE_MS = 3_600_000
const CLOCK_TOLERANCE_SECONDS = 60
const SEALED_FOR = 'google-sign-in'
export const CALLBACK_PATH = '/v1/auth/google/callback'

const discoverySchema = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  jwks_uri: z.url(),
})
const tokenSchema = z.object({ id_token: z.string() })
const claimsSchema = z.object({
  sub: z.string().min(1).max(255),
  email: z.email(),
  email_verified: z.literal(true),
  nonce: z.string(),
  hd: z.string().optional(),
  name: z.string().max(200).optional(),
})
const querySchema = z.object({ code: z.string(), state: z.string() })
const begunSchema = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  until: z.number(),
})

export function openGoogleSignIn({ database, vault, clock, settings }: GoogleSignInDeps): GoogleSignIn {
  let discovered: { promise: Promise<Discovered>; untilMs: number } | undefined

  function client() {
    const { clientId, clientSecret, publicUrl, issuerUrl } = settings
    if (clientId === undefined || clientSecret === undefined || publicUrl === undefined)
      throw new Problem(
        'google_sign_in_off',
        'Nobody signs in with Google here: TESTIGO_GOOGLE_CLIENT_ID, TESTIGO_GOOGLE_CLIENT_SECRET and TESTIGO_PUBLIC_URL have to be set.',
      )
    return { clientId, clientSecret, issuerUrl, redirectUri: publicUrl + CALLBACK_PATH }
  }

  async function discover(issuerUrl: string): Promise<Discovered> {
    if (!discovered || clock.now() >= discovered.untilMs)
      discovered = { promise: readDiscovery(issuerUrl), untilMs: clock.now() + DISCOVERY_LIFE_MS }
    try {
      return await discovered.promise
    } catch (error) {
      discovered = undefined
      throw error
    }
  }

  async function readBegun(cookie: string | undefined) {
    if (cookie === undefined) throw refused('This browser did not begin to sign in here, or long ago.')
    const begun = begunSchema.parse(
      JSON.parse(
        await vault.unseal(cookie, SEALED_FOR).catch((cause: unknown) => {
          throw refused('The cookie of this sign-in is not one of ours.', cause)
        }),
      ),
    )
    if (begun.until <= clock.now()) throw refused('Signing in took too long. Begin again.')
    return begun
  }

  return {
    async start() {
      const { clientId, issuerUrl, redirectUri } = client()
      const { authorization_endpoint } = await discover(issuerUrl)
      const random = () => randomBytes(32).toString('base64url')
      const begun = { state: random(), nonce: random(), verifier: random() }
      const until = clock.now() + LIFE_SECONDS * 1000
      const location = new URL(authorization_endpoint)
      const parameters = {
        client_id: clientId,
        redirect_uri: redirectUri,
        response_type: 'code',
        scope: 'openid email profile',
        state: begun.state,
        nonce: begun.nonce,
        code_challenge: createHash('sha256').update(begun.verifier).digest('base64url'),
        code_challenge_method: 'S256',
        prompt: 'select_account',
      }
      for (const [name, value] of Object.entries(parameters)) location.searchParams.set(name, value)
      const cookie = await vault.seal(JSON.stringify({ ...begun, until }), SEALED_FOR)
      return { location: location.href, cookie, lifeSeconds: LIFE_SECONDS }
    },

    async finish(query, cookie) {
      const { clientId, clientSecret, issuerUrl, redirectUri } = client()
      const begun = await readBegun(cookie)
      const came = querySchema.safeParse(query)
      // Nothing of the query is repeated in the answer: anybody can write one.
      if (!came.success) throw refused('Google sent nobody back, or was told not to.')
      if (!isSame(came.data.state, begun.state))
        throw refused('This is not the sign-in that the browser began.')
      const google = await discover(issuerUrl)
      const idToken = await exchange(google.token_endpoint, {
        grant_type: 'authorization_code',
        code: came.data.code,
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uri: redirectUri,
        code_verifier: begun.verifier,
      })
      const { payload } = await jwtVerify(idToken, google.keys, {
        issuer: issuerUrl,
        audience: clientId,
        algorithms: ['RS256'],
        requiredClaims: ['exp', 'iat', 'sub'],
        currentDate: new Date(clock.now()),
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
      }).catch((cause: unknown) => {
        if (cause instanceof errors.JWKSTimeout || !(cause instanceof errors.JOSEError)) throw away(cause)
        throw refused("Google's identity token does not hold.", cause)
      })
      const claims = claimsSchema.safeParse(payload)
      if (!claims.success) throw refused('Google does not say who this is, or has not verified the address.')
      if (!isSame(claims.data.nonce, begun.nonce))
        throw refused('This is not the sign-in that the browser began.')
      return keepUser(database, claims.data, new Date(clock.now()))
    },
  }
}

type Discovered = z.output<typeof discoverySchema> & { keys: ReturnType<typeof createRemoteJWKSet> }

async function readDiscovery(issuerUrl: string): Promise<Discovered> {
  const answer = await call(`${issuerUrl}/.well-known/openid-configuration`, {})
  const parsed = discoverySchema.safeParse(answer.body)
  if (!answer.ok || !parsed.success || parsed.data.issuer !== issuerUrl)
    throw away(new Error(`${issuerUrl} does not describe itself as an OpenID issuer`))
  const keys = createRemoteJWKSet(new URL(parsed.data.jwks_uri), {
    timeoutDuration: CALL_LIMIT_MS,
    cooldownDuration: KEYS_READ_AGAIN_MS,
  })
  return { ...parsed.data, keys }
}

async function exchange(endpoint: string, form: Record<string, string>): Promise<string> {
  const { status, ok, body } = await call(endpoint, { method: 'POST', body: new URLSearchParams(form) })
  if (status >= 500) throw away(new Error(`the token endpoint answered ${status}`))
  const parsed = tokenSchema.safeParse(body)
  if (!ok || !parsed.success) throw refused('Google does not know this sign-in. Begin again.')
  return parsed.data.id_token
}

async function call(url: string, init: RequestInit) {
  try {
    const signal = AbortSignal.timeout(CALL_LIMIT_MS)
    const response = await fetch(url, { redirect: 'error', ...init, signal })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return {
      status: response.status,
      ok: response.ok,
      body: isJson ? (JSON.parse(text) as unknown) : undefined,
    }
  } catch (cause) {
    throw away(cause)
  }
}

/** The user that a person of the organisation's domain is, made where there is none yet. */
async function keepUser(
  database: Database,
  { sub, hd, email: written, name }: z.output<typeof claimsSchema>,
  now: Date,
): Promise<UserRow> {
  const email = written.toLowerCase()
  // `hd` is what Google vouches for: the Workspace domain the account belongs to. An address alone says nothing of that.
  const organization = hd === undefined ? undefined : await findByGoogleDomain(database, hd.toLowerCase())
  if (!organization)
    throw new Problem('google_domain_unknown', 'No organisation here has the Google domain of this account.')
  const organizationId = organization.id
  const user = await database.transaction(async tx => {
    const known = await findUserBySubject(tx, organizationId, sub)
    if (known) return known
    const [byEmail] = await findUsersByEmail(tx, email, organizationId)
    if (byEmail) {
      // The address was somebody else's Google account before.
      if (byEmail.googleSubject !== null) return undefined
      const linked = await changeUser(tx, byEmail.id, { googleSubject: sub, updatedAt: now })
      await noteOf(tx, linked, 'user.google_linked', {})
      return linked
    }
    const made = await insertUser(tx, {
      ...{ organizationId, email, name: name ?? null, role: 'external' as const, googleSubject: sub },
    })
    if (made) await noteOf(tx, made, 'user.created', { role: made.role, way: 'google' })
    return made
  })
  if (!user)
    throw refused('This address belongs to another Google account. An administrator has to look at it.')
  if (user.disabledAt) throw refused('This user is disabled. Ask an administrator.')
  return user
}

function noteOf(
  tx: Transaction,
  { organizationId, id }: UserRow,
  action: string,
  detail: Record<string, unknown>,
): Promise<void> {
  const who = `user:${id}`
  return noteAudit(tx, { organizationId, actor: who, action, subject: who, detail })
}

function refused(detail: string, cause?: unknown): Problem {
  return new Problem('google_sign_in_refused', detail, {}, { cause })
}

function away(cause: unknown): Problem {
  return new Problem(
    'google_unavailable',
    'Google does not answer. Begin again in a moment.',
    {
      retryAfterSeconds: 15,
    },
    { cause },
  )
}

function isSame(one: string, other: string): boolean {
  const digest = (words: string) => createHash('sha256').update(words).digest()
  return timingSafeEqual(digest(one), digest(other))
}
