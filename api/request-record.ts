import { randomUUID } from 'node:crypto'
import type { RequestHandler } from 'express'
import { fromOrigin } from '../db/audit-origin.ts'
import type { Log } from '../log.ts'
import type { Caller } from './caller.ts'

// Asked every few seconds by whoever runs the process.
const PROBES = new Set(['/healthz', '/readyz', '/metrics'])
const USABLE_ID = /^[\w.-]{1,64}$/

/**
 * Gives every request an id (the caller's own `X-Request-Id` where it is usable), sends it back, and logs the request
 * when it is answered or given up: without query and headers, which carry addresses and keys. The audit log has the origin
 * of all that the request does.
 */
export function recordRequests(log: Log): RequestHandler {
  return (request, response, next) => {
    const given = request.get('x-request-id')
    const requestId = given !== undefined && USABLE_ID.test(given) ? given : randomUUID()
    response.locals.requestId = requestId
    response.setHeader('X-Request-Id', requestId)
    const startedAt = performance.now()
    const { method, path } = request
    response.once('close', () => {
      const caller = response.locals.caller as Caller | undefined
      const fields = {
        requestId,
        method,
        path,
        status: response.statusCode,
        durationMs: Math.round(performance.now() - startedAt),
        ...(caller && { organizationId: caller.organizationId, actor: caller.actor }),
      }
      if (!response.writableFinished) log.warn(fields, 'the caller went away before the answer')
      else if (PROBES.has(path)) log.debug(fields, 'request answered')
      else log.info(fields, 'request answered')
    })
    fromOrigin({ ip: request.ip, userAgent: request.get('user-agent'), requestId }, next)
  }
}
