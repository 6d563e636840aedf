import type { Request, RequestHandler, Response } from 'express'
import { ipKeyGenerator, type RateLimitInfo, rateLimit } from 'express-rate-limit'
import type { Caller } from './caller.ts'
import { Problem } from './problem.ts'

/**
 * Limits on how often somebody may ask, counted in the memory of each API process by windows of one minute, with the
 * headers of draft-ietf-httpapi-ratelimit-headers-08 (`RateLimit`, `RateLimit-Policy`).
 */

const WINDOW_MS = 60_000

/** Limits each key and each person, behind `authenticate`; whoever has not signed in is not counted. @param perMinute 0: no limit */
export function limitCallers(perMinute: number): RequestHandler {
  return limit('caller', perMinute, (_request, response) => {
    const caller = response.locals.caller as Caller | undefined
    return caller?.principal
  })
}

/** Limits each address: for signing in. @param perMinute 0: no limit */
export function limitAddresses(perMinute: number): RequestHandler {
  // One household has a whole network of IPv6 addresses, so that counts as one.
  return limit('address', perMinute, request => ipKeyGenerator(request.ip ?? ''))
}

function limit(
  identifier: string,
  perMinute: number,
  whoIs: (request: Request, response: Response) => string | undefined,
): RequestHandler {
  if (perMinute === 0) return (_request, _response, next) => next()
  return rateLimit({
    windowMs: WINDOW_MS,
    limit: perMinute,
    identifier,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // It would complain of proxies on the console; TESTIGO_TRUSTED_PROXIES says which are believed.
    validate: false,
    skip: (request, response) => whoIs(request, response) === undefined,
    keyGenerator: (request, response) => whoIs(request, response) ?? '',
    handler(request, _response, next) {
      const { resetTime } = (request as Request & { rateLimit: RateLimitInfo }).rateLimit
      const waitMs = (resetTime?.getTime() ?? Date.now() + WINDOW_MS) - Date.now()
      next(
        new Problem('too_many_requests', `At most ${perMinute} requests a minute are answered here.`, {
          retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
        }),
      )
    },
  })
}
