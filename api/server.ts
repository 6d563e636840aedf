import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import helmet from 'helmet'
import type { Database } from '../db/connect.ts'
import { tenantDatabase } from '../db/tenant.ts'
import type { PushTokens } from '../google/push-token.ts'
import type { Log } from '../log.ts'
import { auditRoutes } from './audit/routes.ts'
import { authenticate, authorize, findOperation } from './authenticate.ts'
import { allowOrigins } from './cors.ts'
import { customFieldsRoutes } from './custom-fields/routes.ts'
import { docsRoutes } from './docs.ts'
import { healthRoutes } from './health.ts'
import { hookRoutes } from './hooks/routes.ts'
import { icsRoutes, readCalendarFile, seriesIcsRoutes } from './ics/routes.ts'
import { answerOnce } from './idempotency/answer-once.ts'
import { keysRoutes } from './keys/routes.ts'
import { limitAddresses, limitCallers } from './limits.ts'
import { meetingsRoutes, type RouteDeps } from './meetings.routes.ts'
import { metricsRoutes } from './metrics.ts'
import { organizationRoutes } from './organization/routes.ts'
import { googleRoutes } from './people/google-routes.ts'
import type { GoogleSignIn } from './people/google-sign-in.ts'
import { authRoutes, meRoutes, usersRoutes } from './people/routes.ts'
import { Problem, problemDocument } from './problem.ts'
import { openRefusals } from './refused-credentials.ts'
import { recordRequests } from './request-record.ts'
import { retentionRoutes } from './retention/routes.ts'
import { seriesRoutes } from './series/routes.ts'
import { toProblem } from './to-problem.ts'
import type { AccessTokens } from './tokens/access-tokens.ts'
import { jwksRoutes } from './tokens/jwks.ts'
import { oauthRoutes } from './tokens/oauth.ts'
import type { SigningKeys } from './tokens/signing-keys.ts'
import { readIfMatch } from './versions/if-match.ts'
import { webhooksRoutes } from './webhooks/routes.ts'
import type { Vault } from './webhooks/vault.ts'

// 200 people with names and addresses and full custom fields fit several times.
const BODY_LIMIT_BYTES = 256 * 1024
// A request may wait for the database before and after it waits for Google.
const BEYOND_GOOGLE_MS = 10_000

/** The HTTP application, not yet listening. */
export function createServer(
  given: Omit<RouteDeps, 'db'> & {
    /** With the rights of its owner: for what has to know whose a request is before it is anybody's. */
    database: Database
    log: Log
    vault: Vault
    tokens: AccessTokens
    signingKeys: SigningKeys
    google: GoogleSignIn
    /** Undefined where no push of Pub/Sub is expected. */
    pushTokens: PushTokens | undefined
    publicUrl: string | undefined
    trustedProxies: readonly string[]
    corsOrigins: readonly string[]
    /** 0: no limit. */
    requestsPerMinute: number
    signInsPerMinute: number
    allowPrivateWebhooks: boolean
    metricsToken: string | undefined
  },
): Express {
  const deps = { ...given, db: tenantDatabase(given.database) }
  const app = express()
  app.disable('x-powered-by')
  // Only what has a version has a tag, and that is a strong one.
  app.disable('etag')
  if (deps.trustedProxies.length > 0) app.set('trust proxy', [...deps.trustedProxies])
  app.set('query parser', 'simple')
  app.use(recordRequests(deps.log))
  app.use((request, _response, next) => {
    // Express would answer 304 to "If-None-Match: *" also where nothing has a version.
    Object.defineProperty(request, 'fresh', { value: false })
    next()
  })
  app.use(
    helmet({
      contentSecurityPolicy: {
        // TLS ends in front of this server; on plain http the upgrade would break the page of /docs.
        directives: { 'upgrade-insecure-requests': null, 'style-src': ["'self'", "'unsafe-inline'"] },
      },
    }),
  )
  app.use(allowOrigins(deps.corsOrigins))
  app.use(healthRoutes(deps))
  app.use(metricsRoutes(deps))
  app.use(docsRoutes())
  app.use(jwksRoutes(deps.signingKeys))
  app.use(
    '/v1',
    // Answers carry people's data and download links.
    (_request, response, next) => {
      response.setHeader('Cache-Control', 'no-store')
      next()
    },
    findOperation,
    authenticate({ ...deps, refusals: openRefusals(deps.signInsPerMinute) }),
    limitCallers(deps.requestsPerMinute),
    authorize,
  )
  app.use(['/v1/auth', '/v1/oauth'], limitAddresses(deps.signInsPerMinute))
  app.use('/v1/oauth', oauthRoutes(deps))
  app.use('/v1/hooks/google', hookRoutes(deps))
  app.use('/v1/meetings/import', readCalendarFile())
  app.use(
    '/v1',
    onlyJson,
    whereBodiesCount(express.json({ limit: BODY_LIMIT_BYTES, type: 'application/json' })),
  )
  const limitMs = deps.googleLimitMs + BEYOND_GOOGLE_MS
  app.use('/v1', readIfMatch, answerOnce({ ...deps, limitMs, fail: answerProblem(deps.log) }))
  app.use('/v1/meetings', icsRoutes(deps), meetingsRoutes(deps))
  app.use('/v1/audit', auditRoutes(deps))
  app.use('/v1/organization', organizationRoutes(deps))
  app.use('/v1', retentionRoutes(deps))
  app.use('/v1/auth/google', googleRoutes(deps))
  app.use('/v1/auth', authRoutes(deps))
  app.use('/v1/me', meRoutes(deps))
  app.use('/v1/keys', keysRoutes(deps))
  app.use('/v1/users', usersRoutes(deps))
  app.use('/v1/series', seriesRoutes(deps), seriesIcsRoutes(deps))
  app.use('/v1/organization/custom-fields', customFieldsRoutes(deps))
  app.use('/v1/webhooks', webhooksRoutes({ ...deps, allowPrivate: deps.allowPrivateWebhooks }))
  app.use(request => {
    throw new Problem('route_not_found', `There is nothing at ${request.path}. See /docs.`)
  })
  app.use(answerProblem(deps.log))
  return app
}

// A body of GET or DELETE means nothing (RFC 9110 §9.3.1, §9.3.5), so nothing is wrong with it either.
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH'])

function whereBodiesCount(handler: RequestHandler): RequestHandler {
  return (request, response, next) => {
    if (WITH_BODY.has(request.method)) handler(request, response, next)
    else next()
  }
}

const onlyJson: RequestHandler = whereBodiesCount((request, _response, next) => {
  // Without a body there is nothing to object to here; the route misses it where it needs one.
  const hasBody = request.get('transfer-encoding') !== undefined || Number(request.get('content-length')) > 0
  const wasRead = request.body !== undefined
  if (hasBody && !wasRead && request.is('application/json') === false)
    throw new Problem('unsupported_media_type', 'Send the body with "Content-Type: application/json".')
  next()
})

// Four arguments make Express take it for an error handler.
function answerProblem(log: Log): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const problem = toProblem(error)
    const requestId = String(response.locals.requestId)
    if (problem.status >= 500)
      log.error({ requestId, code: problem.code, error: problem.cause ?? problem }, problem.message)
    if (response.headersSent) {
      response.destroy()
      return
    }
    const { headers = {}, retryAfterSeconds } = problem.extras
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(retryAfterSeconds))
    response
      .status(problem.status)
      .type('application/problem+json')
      .send(
        JSON.stringify(
          problemDocument(problem, { path: request.originalUrl.replace(/\?.*$/s, ''), requestId }),
        ),
      )
  }
}
