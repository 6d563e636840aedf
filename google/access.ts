import { auth } from 'googleapis/build/src/apis/calendar/index.js'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { expectAnswer, openSigner, type Signer, type TokenPost } from './assertion.ts'
import { type GoogleFault, readFault } from './fault.ts'
import { retryConfig, TRANSPORT } from './retry.ts'
import { explainTokenFault } from './token-fault.ts'

export type AuthClient = InstanceType<typeof auth.OAuth2>

interface Token {
  accessToken: string
  expiresAtMs: number
}

/** Tokens of impersonated users. */
export interface Access {
  /**
   * A token that is good for a while, fetched at most once however many ask.
   * @throws {GoogleFault} `misconfigured` with what to fix, or `unavailable`
   */
  token(subject: string, scopes: readonly string[]): Promise<Token>
  /** The client that googleapis takes as `auth`. */
  client(subject: string, scopes: readonly string[]): AuthClient
  /** Drops a token that Google refused, so that the next call fetches another. */
  forget(subject: string, scopes: readonly string[]): void
}

type AccessSettings = Pick<
  Config['google'],
  'keyFile' | 'serviceAccount' | 'tokenUrl' | 'iamUrl' | 'metadataUrl' | 'timeoutMs'
>

// The same five minutes that google-auth-library counts as "expiring": the two caches agree.
const RENEW_BEFORE_MS = 5 * 60_000
const ASSERTION_SECONDS = 3600
const RETRIES = 8

const answerSchema = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })

/**
 * Tokens by service account and domain-wide delegation: a signed assertion that names the user, exchanged for a token
 * (google-apis.md §5.1, §5.2). One per subject and set of scopes; the URL is ours, which `JWT` of
 * google-auth-library does not allow (§0.5).
 */
export function createAccess(settings: AccessSettings, deps: { log: Log; clock: Clock }): Access {
  const { log, clock } = deps
  const tokens = new Map<string, Token>()
  const flights = new Map<string, Promise<Token>>()
  const clients = new Map<string, AuthClient>()
  const { transporter } = new auth.OAuth2()
  let signer: Signer | undefined

  const keyOf = (subject: string, scopes: readonly string[]) => `${subject} ${[...scopes].sort().join(' ')}`

  /** A wall clock for everything one token needs. */
  const poster = (): TokenPost => {
    const signal = AbortSignal.timeout(settings.timeoutMs)
    const deadlineMs = clock.now() + settings.timeoutMs
    return async (options, { service, what }) => {
      const rule = { service, what, idempotent: true, retries: RETRIES, deadlineMs, signal, clock, log }
      try {
        const answer = await transporter.request<unknown>({
          ...options,
          ...TRANSPORT,
          responseType: 'json',
          signal,
          timeout: Math.ceil(settings.timeoutMs / 2),
          retryConfig: retryConfig(rule),
        })
        return answer.data
      } catch (error) {
        throw readFault(error, service, what, clock.now())
      }
    }
  }

  const fetchToken = async (subject: string, scopes: readonly string[]): Promise<Token> => {
    const post = poster()
    signer ??= await openSigner(settings)
    const issuedAtSeconds = Math.floor(clock.now() / 1000)
    const { serviceAccount } = signer
    const claims = {
      iss: serviceAccount,
      sub: subject,
      scope: scopes.join(' '),
      aud: settings.tokenUrl,
      iat: issuedAtSeconds,
      exp: issuedAtSeconds + ASSERTION_SECONDS,
    }
    const assertion = await signer.sign(claims, post)
    const data = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion })
    const answer = await post(
      { url: settings.tokenUrl, method: 'POST', data },
      { service: 'token', what: 'token' },
    ).catch((fault: GoogleFault) => {
      throw explainTokenFault(fault, { serviceAccount, subject, scopes })
    })
    const { access_token: accessToken, expires_in: expiresInSeconds } = expectAnswer(answerSchema, answer)
    log.debug({ subject, scopes }, 'token of Google renewed')
    return { accessToken, expiresAtMs: clock.now() + expiresInSeconds * 1000 }
  }

  const access: Access = {
    token: async (subject, scopes) => {
      const key = keyOf(subject, scopes)
      const kept = tokens.get(key)
      if (kept && kept.expiresAtMs - RENEW_BEFORE_MS > clock.now()) return kept
      const inFlight = flights.get(key)
      if (inFlight) return inFlight
      const flight = fetchToken(subject, scopes).then(token => {
        tokens.set(key, token)
        return token
      })
      flights.set(key, flight)
      try {
        return await flight
      } finally {
        flights.delete(key)
      }
    },

    client: (subject, scopes) => {
      const key = keyOf(subject, scopes)
      const known = clients.get(key)
      if (known) return known
      const client = new auth.OAuth2()
      client.refreshHandler = async () => {
        const { accessToken, expiresAtMs } = await access.token(subject, scopes)
        return { access_token: accessToken, expiry_date: expiresAtMs }
      }
      clients.set(key, client)
      return client
    },

    forget: (subject, scopes) => {
      const key = keyOf(subject, scopes)
      tokens.delete(key)
      clients.get(key)?.setCredentials({})
    },
  }
  return access
}
