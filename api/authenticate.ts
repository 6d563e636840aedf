import type { RequestHandler, Response } from 'express'
import type { Clock } from '../clock.ts'
import { findKey, type KeyInForce } from '../db/api-keys.ts'
import type { Database } from '../db/connect.ts'
import type { Caller } from './caller.ts'
import { type OperationId, operationAt, permissionOf, reachOf, scopesOf } from './permissions.ts'
import { Problem } from './problem.ts'

const CHALLENGE = { headers: { 'WWW-Authenticate': 'Bearer realm="testigo"' } }

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

/** Lets nobody through who does not say who they are, where that matters; puts the {@link Caller} into `response.locals`. */
export function authenticate(deps: { database: Database; clock: Clock }): RequestHandler {
  return async (request, response, next) => {
    if (isForEverybody(response)) return next()
    const [, credential] = /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '') ?? []
    if (credential === undefined)
      throw new Problem('missing_api_key', 'Send the header "Authorization: Bearer <API key>".', CHALLENGE)
    const key = await findKey(deps.database, credential, new Date(deps.clock.now()))
    if (!key)
      throw new Problem(
        'wrong_api_key',
        'This API key is unknown, expired or revoked. An administrator makes one with POST /v1/keys.',
        CHALLENGE,
      )
    response.locals.caller = callerByKey(key)
    next()
  }
}

function callerByKey(key: KeyInForce): Caller {
  const { organizationId, role } = key
  const allowed = scopesOf(role)
  return {
    organizationId,
    role,
    scopes: key.scopes === null ? allowed : new Set(key.scopes.filter(scope => allowed.has(scope))),
    actor: `api_key:${key.prefix}`,
    principal: `key:${key.keyId}`,
    email: null,
    kind: 'api_key',
  }
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
