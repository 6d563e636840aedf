import express, { type ErrorRequestHandler, Router } from 'express'
import type { Clock } from '../../clock.ts'
import { findKey, type KeyInForce } from '../../db/api-keys.ts'
import type { Database } from '../../db/connect.ts'
import { scopesInForce } from '../caller.ts'
import { Problem } from '../problem.ts'
import type { AccessTokens } from './access-tokens.ts'

const FORM_LIMIT_BYTES = 16 * 1024
const MOST_PARAMETERS = 20

type OAuthCode = 'invalid_request' | 'invalid_client' | 'invalid_scope' | 'unsupported_grant_type'

/** A refusal in the form of RFC 6749 §5.2. */
class OAuthRefusal extends Error {
  readonly code: OAuthCode
  constructor(code: OAuthCode, description: string) {
    super(description)
    this.name = 'OAuthRefusal'
    this.code = code
  }
}

/** `POST /v1/oauth/token`: client credentials (RFC 6749 §4.4). Every API key is a client: its id, and the key as secret. */
export function oauthRoutes(deps: { database: Database; tokens: AccessTokens; clock: Clock }): Router {
  const { database, tokens, clock } = deps
  const router = Router({ strict: false })
  router.post(
    '/token',
    express.text({ type: 'application/x-www-form-urlencoded', limit: FORM_LIMIT_BYTES }),
    async (request, response) => {
      const form = readForm(request.body)
      const { id, secret } = credentialsOf(request.get('authorization'), form)
      const grant = form.get('grant_type')
      if (grant === undefined) throw new OAuthRefusal('invalid_request', 'grant_type is missing')
      if (grant !== 'client_credentials')
        throw new OAuthRefusal('unsupported_grant_type', 'grant_type must be client_credentials')
      const key = await findKey(database, secret, new Date(clock.now()))
      if (!key || key.keyId !== id)
        throw new OAuthRefusal(
          'invalid_client',
          'The client is unknown, its secret is wrong, expired or revoked',
        )
      const scopes = wantedScopes(form.get('scope'), key)
      const { organizationId, keyId } = key
      const signed = await tokens.sign({ kind: 'client', organizationId, keyId, scopes })
      response.setHeader('Pragma', 'no-cache')
      response.json({
        access_token: signed.token,
        token_type: 'Bearer',
        expires_in: signed.expiresInSeconds,
        scope: scopes.join(' '),
      })
    },
  )
  router.use(answerRefusal)
  return router
}

/** RFC 6749 §3.2: no parameter twice; one without a value counts as absent. */
function readForm(body: unknown): Map<string, string> {
  if (typeof body !== 'string')
    throw new OAuthRefusal('invalid_request', 'Send a form: application/x-www-form-urlencoded')
  const entries = [...new URLSearchParams(body)].filter(([, value]) => value !== '')
  if (entries.length > MOST_PARAMETERS)
    throw new OAuthRefusal('invalid_request', 'There are too many parameters')
  const form = new Map(entries)
  if (form.size < entries.length) throw new OAuthRefusal('invalid_request', 'A parameter is there twice')
  return form
}

/** RFC 6749 §2.3.1: by Basic authentication or in the form, not both. */
function credentialsOf(authorization: string | undefined, form: Map<string, string>) {
  const inForm = { id: form.get('client_id'), secret: form.get('client_secret') }
  if (authorization === undefined) {
    const { id, secret } = inForm
    if (id === undefined || secret === undefined)
      throw new OAuthRefusal(
        'invalid_client',
        'Send client_id and client_secret, by Basic authentication or in the form',
      )
    return { id, secret }
  }
  if (inForm.secret !== undefined)
    throw new OAuthRefusal('invalid_request', 'Send the client secret once: in the header or in the form')
  const basic = readBasic(authorization)
  if (!basic) throw new OAuthRefusal('invalid_client', 'The header Authorization is not of the scheme Basic')
  if (inForm.id !== undefined && inForm.id !== basic.id)
    throw new OAuthRefusal('invalid_request', 'client_id differs from the one in the header')
  return basic
}

function readBasic(authorization: string): { id: string; secret: string } | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+=*) *$/i.exec(authorization) ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(text) ?? []
  if (id === undefined || secret === undefined) return undefined
  try {
    return { id: fromForm(id), secret: fromForm(secret) }
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

const fromForm = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))

function wantedScopes(wanted: string | undefined, key: KeyInForce) {
  const allowed = [...scopesInForce(key)]
  if (wanted === undefined) return allowed
  const words = wanted.split(' ').filter(Boolean)
  const wrong = words.find(word => !(allowed as string[]).includes(word))
  if (wrong !== undefined)
    // The words of a refusal hold no quotation marks (RFC 6749 §5.2).
    throw new OAuthRefusal('invalid_scope', `The client may have: ${allowed.join(' ')}`)
  return allowed.filter(scope => words.includes(scope))
}

// Four arguments make Express take it for an error handler.
const answerRefusal: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  const refusal = error instanceof OAuthRefusal ? error : unreadable(error)
  if (!refusal) return next(error)
  const isClient = refusal.code === 'invalid_client'
  if (isClient) response.setHeader('WWW-Authenticate', 'Basic realm="testigo", charset="UTF-8"')
  response.setHeader('Pragma', 'no-cache')
  response.status(isClient ? 401 : 400).json({ error: refusal.code, error_description: refusal.message })
}

/** What the body parser refused. */
function unreadable(error: unknown): OAuthRefusal | undefined {
  if (error instanceof Problem) return undefined
  const { type, status } = (error ?? {}) as { type?: unknown; status?: unknown }
  // What cannot be unpacked has a status and no type.
  const isOfBody =
    typeof type === 'string' ? /^(entity|encoding|charset|request)\./.test(type) : status === 400
  return isOfBody ? new OAuthRefusal('invalid_request', 'The form cannot be read') : undefined
}
