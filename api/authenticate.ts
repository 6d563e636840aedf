import type { RequestHandler, Response } from 'express'
import type { Clock } from '../clock.ts'
import { findKey, findKeyById, type KeyInForce } from '../db/api-keys.ts'
import type { Database } from '../db/connect.ts'
import { findSessionUser } from '../db/sessions.ts'
import { type Caller, scopesInForce } from './caller.ts'
import { type OperationId, operationAt, permissionOf, reachOf, scopesOf } from './permissions.ts'
import { Problem } from './problem.ts'
import type { Refusals } from './refused-credentials.ts'
import { shareLookups } from './share-lookups.ts'
import type { AccessTokens, TokenFor } from './tokens/access-tokens.ts'

const CHALLENGE = { headers: { 'WWW-Authenticate': 'Bearer realm="testigo"' } }
const BAD_TOKEN = { headers: { 'WWW-Authenticate': 'Bearer realm="testigo", error="invalid_token"' } }
const JWT_SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Notes which operation of the permission table a request to `/v1` asks for. */
export const findOperation: RequestHandler = (request, response, next) => {
  response.locals.wanted = operationAt(request.method, request.baseUrl + request.path)
  next()
}

function wantedOf(response: Response): ReturnType<typeof operationAt> {
  return response.locals.wanted as ReturnType<typeof operationAt>
}

/** Is the operation for everybody, signed in or not? */
function isForEverybody(response: Response): boolean {
  const wanted = wantedOf(response)
  return 'operation' in wanted && permissionOf(wanted.operation).roles === 'everybody'
}

interface AuthenticateDeps {
  database: Database
  tokens: AccessTokens
  clock: Clock
  refusals: Refusals
}

/** Lets nobody through who does not say who they are, where that matters; puts the {@link Caller} into `response.locals`. */
export function authenticate(given: AuthenticateDeps): RequestHandler {
  const { database, clock } = given
  const lookUpKey = shareLookups((key: string) => findKey(database, key, new Date(clock.now())))
  const deps = { ...given, lookUpKey }
  return async (request, response, next) => {
    if (isForEverybody(response)) return next()
    const [, credential] = /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '') ?? []
    if (credential === undefined)
      throw new Problem(
        'missing_api_key',
        'Send the header "Authorization: Bearer <API key or access token>".',
        CHALLENGE,
      )
    response.locals.caller = JWT_SHAPE.test(credential)
      ? await callerByToken(deps, credential, request.ip)
      : await callerByKey(deps, credential, request.ip)
    next()
  }
}

async function callerByKey(
  { lookUpKey, refusals }: AuthenticateDeps & { lookUpKey: (key: string) => Promise<KeyInForce | undefined> },
  credential: string,
  address: string | undefined,
): Promise<Caller> {
  await refusals.throwIfTooMany(address, credential)
  const key = await lookUpKey(credential)
  if (!key) {
    await refusals.count(address, credential)
    throw new Problem(
      'wrong_api_key',
      'This API key is unknown, expired or revoked. An administrator makes one with POST /v1/keys.',
      BAD_TOKEN,
    )
  }
  refusals.remember(credential)
  return { ...ofKey(key), scopes: scopesInForce(key), actor: `api_key:${key.prefix}`, kind: 'api_key' }
}

/** A token is as good as what it was given for is now: a key revoked or a session ended ends it too. */
async function callerByToken(
  deps: AuthenticateDeps,
  token: string,
  address: string | undefined,
): Promise<Caller> {
  const { refusals } = deps
  const given = await deps.tokens.verify(token)
  if (given === undefined) {
    await refusals.throwIfTooMany(address, token)
    await refusals.count(address, token)
  }
  // One of ours that is over is no guess: whoever has it gets a new one and must be told to.
  const caller = given === undefined || given === 'over' ? undefined : await callerNow(deps, given)
  if (caller) return caller
  throw new Problem(
    'wrong_access_token',
    'This access token is not ours, is over, or was given for a key or a session that is. Get a new one.',
    BAD_TOKEN,
  )
}

async function callerNow(
  { database, clock }: AuthenticateDeps,
  given: TokenFor,
): Promise<Caller | undefined> {
  const now = new Date(clock.now())
  if (given.kind === 'client') {
    const key = await findKeyById(database, given.keyId, now)
    if (key) {
      const allowed = scopesInForce(key)
      const scopes = new Set(given.scopes.filter(scope => allowed.has(scope)))
      return { ...ofKey(key), scopes, actor: `client:${key.prefix}`, kind: 'client' }
    }
  }
  if (given.kind === 'user') {
    const user = await findSessionUser(database, given.sessionId, now)
    if (user?.id === given.userId) {
      const { organizationId, role, email, id } = user
      const who = `user:${id}`
      const { sessionId } = given
      const person = { organizationId, role, email, scopes: scopesOf(role), sessionId }
      return { ...person, actor: who, principal: who, kind: 'user' }
    }
  }
  return undefined
}

function ofKey({ organizationId, role, keyId }: KeyInForce) {
  return { organizationId, role, principal: `key:${keyId}`, email: null }
}

/** Lets only those through whom the permission table lets: no address and no method that it does not name. */
export const authorize: RequestHandler = (request, response, next) => {
  const wanted = wantedOf(response)
  if ('methods' in wanted) throw notThere(request.method, request.originalUrl, wanted.methods)
  const { operation } = wanted
  if (!isForEverybody(response)) refuseUnlessMay(response.locals.caller as Caller, operation)
  next()
}

function refuseUnlessMay(caller: Caller, operation: OperationId): void {
  if (!reachOf(operation, caller.role))
    throw new Problem('forbidden', `The role ${caller.role} may not do this. Ask an administrator.`)
  const { scope } = permissionOf(operation)
  if (scope !== null && !caller.scopes.has(scope))
    throw new Problem('scope_missing', `This needs the scope ${scope}, which was not granted.`, {
      headers: { 'WWW-Authenticate': `Bearer realm="testigo", error="insufficient_scope", scope="${scope}"` },
    })
}

function notThere(method: string, url: string, methods: string[]): Problem {
  if (methods.length === 0)
    return new Problem('route_not_found', `There is nothing at ${url.replace(/\?.*$/s, '')}. See /docs.`)
  const Allow = methods.join(', ')
  return new Problem('method_not_allowed', `${method} does not work here. Use ${Allow}.`, {
    headers: { Allow },
  })
}
