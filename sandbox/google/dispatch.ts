import type { IncomingMessage, ServerResponse } from 'node:http'
import { calendarHandlers } from './calendar/handlers.ts'
import { controlAnswer } from './control.ts'
import { type Match, matchMethod } from './discovery.ts'
import { driveHandlers } from './drive/handlers.ts'
import { continueUpload, startUpload } from './drive/uploads.ts'
import { viewerAnswer } from './drive/viewer-page.ts'
import { errorBody, GoogleError, insufficientScopes, invalidCredentials, TokenError } from './errors.ts'
import type { ServiceName } from './faults.ts'
import { iamHandlers } from './iam.ts'
import { recordHandlers } from './meet/record-handlers.ts'
import { spaceHandlers } from './meet/space-handlers.ts'
import { metadataAnswer } from './metadata-server.ts'
import { selectFields } from './partial-answer.ts'
import { readJson, readText } from './request-body.ts'
import { checkAnswer, checkBody, readParameters } from './request-check.ts'
import { authorize, exchangeCode, openIdConfiguration } from './sign-in.ts'
import { exchangeAssertion } from './token.ts'
import { workspaceEventHandlers } from './workspace-events/handlers.ts'
import type { Answer, Handlers, World } from './world.ts'

const handlers: Handlers = {
  ...calendarHandlers,
  ...driveHandlers,
  ...spaceHandlers,
  ...recordHandlers,
  ...iamHandlers,
  ...workspaceEventHandlers,
}
const mostRequestsKept = 10_000

interface Route {
  service: ServiceName
  method: string
  family: 'classic' | 'rpc' | 'token'
  answer: () => Answer | Promise<Answer>
}

/** Takes one request from its first to its last byte: faults, checks, the work, Google's form of the answer. */
export async function dispatch(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const cameAtMs = performance.now()
  const url = new URL(request.url ?? '/', world.origin)
  if (url.pathname.startsWith('/_sandbox/')) return send(response, await controlAnswer(world, request, url))
  if (url.pathname.startsWith('/file/d/')) return send(response, viewerAnswer(world, request, url))
  const route = routeOf(world, request, url)
  if (!route) return send(response, { status: 404, text: 'Not Found' })
  const before = world.faults.take(['down', 'hang', 'error'], route.service, route.method)
  if (before?.kind === 'down') return cut(world, route, request)
  if (before?.kind === 'hang') return note(world, route, 'hang')
  let answer: Answer
  try {
    if (before) throw faultError(before)
    answer = await route.answer()
  } catch (error) {
    answer = failureAnswer(route, error)
  }
  if (world.faults.take(['cut'], route.service, route.method)) return cut(world, route, request)
  note(world, route, answer.status ?? 200)
  await world.beforeAnswer({ service: route.service, cameAtMs })
  await send(response, answer)
}

function routeOf(world: World, request: IncomingMessage, url: URL): Route | undefined {
  const { pathname } = url
  const http = request.method ?? 'GET'
  if (pathname === '/token' && http === 'POST')
    return {
      service: 'token',
      method: 'token',
      family: 'token',
      answer: async () => {
        const form = new URLSearchParams(await readText(request))
        if (form.get('grant_type') === 'authorization_code') return { json: exchangeCode(world, form) }
        return { json: exchangeAssertion(world.identity, form, world.nowMs(), world.origin) }
      },
    }
  if (pathname === '/.well-known/openid-configuration' || pathname === '/o/oauth2/v2/auth')
    return {
      service: 'signIn',
      method: pathname === '/o/oauth2/v2/auth' ? 'authorize' : 'openid-configuration',
      family: 'classic',
      answer: () =>
        pathname === '/o/oauth2/v2/auth' ? authorize(world, url.searchParams) : openIdConfiguration(world),
    }
  if (pathname.startsWith('/computeMetadata/'))
    return {
      service: 'metadata',
      method: 'metadata',
      family: 'token',
      answer: () => metadataAnswer(world, request, url),
    }
  if (pathname === '/oauth2/v3/certs' || pathname === '/oauth2/v1/certs')
    return {
      service: 'certs',
      method: 'certs',
      family: 'classic',
      answer: () => ({
        headers: { 'cache-control': 'public, max-age=22000, must-revalidate, no-transform' },
        json: pathname === '/oauth2/v3/certs' ? world.oidc.jwks() : world.oidc.pems(),
      }),
    }
  if (pathname.startsWith('/upload/') && url.searchParams.has('upload_id'))
    return {
      service: 'driveUpload',
      method: `drive.upload.${http.toLowerCase()}`,
      family: 'classic',
      answer: () => continueUpload(world, request, url),
    }
  const match = matchMethod(http, pathname)
  if (!match || match.method.api.name === 'oauth2') return undefined
  const { api, id } = match.method
  return {
    service: match.upload ? 'driveUpload' : (api.name as ServiceName),
    method: id,
    family: api.family,
    answer: () => callMethod(world, request, url, match),
  }
}

async function callMethod(world: World, request: IncomingMessage, url: URL, match: Match): Promise<Answer> {
  const { method, upload } = match
  const { family } = method.api
  const caller = world.identity.callerOf(request.headers.authorization, world.nowMs())
  if (!caller) throw invalidCredentials(family)
  const scopes = method.scopes
  if (!scopes.some(scope => caller.scopes.has(scope))) throw insufficientScopes(family, scopes)
  const parameters = readParameters(method, url.searchParams, match.path)
  const body = await readJson(request)
  checkBody(method, body)
  const handler = upload ? startUpload : handlers[method.id]
  if (!handler) throw new GoogleError(501, `The sandbox does not play ${method.id}`)
  const answer = await handler({ world, caller, parameters, body, request, url })
  if (answer.json === undefined) return answer
  // As JSON carries it: no undefined, nothing that still hangs on the state.
  const json: unknown = JSON.parse(JSON.stringify(answer.json))
  checkAnswer(method, json)
  const fields = parameters.fields ?? defaultFields[method.id]
  return { ...answer, json: (typeof fields === 'string' ? selectFields(json, fields) : json) as object }
}

/** Drive answers with little unless asked for more (google-apis.md §4.4). */
const fileFields = 'kind,id,name,mimeType'
const defaultFields: Record<string, string> = {
  'drive.files.create': fileFields,
  'drive.files.get': fileFields,
  'drive.files.update': fileFields,
  'drive.files.list': `kind,nextPageToken,incompleteSearch,files(${fileFields})`,
  'drive.permissions.create': 'kind,id,type,role',
  'drive.permissions.get': 'kind,id,type,role',
  'drive.permissions.list': 'kind,nextPageToken,permissions(kind,id,type,role)',
  'drive.drives.get': 'kind,id,name',
  'drive.drives.list': 'kind,nextPageToken,drives(kind,id,name)',
}

function faultError(fault: {
  status: number
  reason?: string | undefined
  message?: string | undefined
  retryAfterSeconds?: number | undefined
}): GoogleError {
  const { status, reason, message, retryAfterSeconds } = fault
  const limited =
    reason === 'rateLimitExceeded' ||
    reason === 'userRateLimitExceeded' ||
    reason === 'quotaExceeded' ||
    reason === 'storageQuotaExceeded'
  return new GoogleError(status, message ?? reason ?? `Sandbox fault ${status}`, {
    ...(reason && { reason }),
    ...(limited && { domain: 'usageLimits' }),
    ...(retryAfterSeconds !== undefined && { headers: { 'retry-after': String(retryAfterSeconds) } }),
  })
}

function failureAnswer(route: Route, error: unknown): Answer {
  if (error instanceof TokenError)
    return { status: error.status, json: { error: error.code, error_description: error.message } }
  if (error instanceof GoogleError) {
    const headers = error.details.headers ?? {}
    if (route.family === 'token') {
      const json = { error: error.details.reason ?? 'internal_failure', error_description: error.message }
      return { status: error.status, headers, json }
    }
    return { status: error.status, headers, json: errorBody(route.family, error) }
  }
  // A defect of the sandbox: say so as loudly as an answer can.
  const message = `Sandbox defect in ${route.method}: ${error instanceof Error ? error.message : String(error)}`
  const family = route.family === 'token' ? 'classic' : route.family
  return { status: 500, json: errorBody(family, new GoogleError(500, message, { reason: 'sandboxDefect' })) }
}

function cut(world: World, route: Route, request: IncomingMessage): void {
  note(world, route, 'cut')
  request.socket.destroy()
}

function note(world: World, route: Route, status: number | 'cut' | 'hang'): void {
  const { requests } = world.state
  requests.push({ service: route.service, method: route.method, status })
  if (requests.length > mostRequestsKept) requests.shift()
}

async function send(response: ServerResponse, answer: Answer): Promise<void> {
  const { status = 200, headers = {}, json, text, stream } = answer
  const type = json ? 'application/json; charset=UTF-8' : 'text/plain; charset=UTF-8'
  const hasBody = json !== undefined || text !== undefined
  response.writeHead(status, { ...(hasBody && { 'content-type': type }), ...headers })
  if (stream) await stream(response)
  else response.end(json ? JSON.stringify(json) : text)
}
