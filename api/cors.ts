import type { RequestHandler } from 'express'

const METHODS = 'GET, POST, PUT, PATCH, DELETE'
const ASKED = 'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id'
const SHOWN = 'ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id'
const PREFLIGHT_SECONDS = '600'

/**
 * Lets pages of these origins call the API from a browser, with tokens that they send themselves: never with cookies.
 * Without origins no page of another site can.
 */
export function allowOrigins(origins: readonly string[]): RequestHandler {
  return (request, response, next) => {
    if (origins.length === 0) return next()
    response.vary('Origin')
    const origin = request.get('origin')
    if (origin === undefined || !origins.includes(origin)) return next()
    response.setHeader('Access-Control-Allow-Origin', origin)
    response.setHeader('Access-Control-Expose-Headers', SHOWN)
    if (request.method !== 'OPTIONS' || request.get('access-control-request-method') === undefined)
      return next()
    response.setHeader('Access-Control-Allow-Methods', METHODS)
    response.setHeader('Access-Control-Allow-Headers', ASKED)
    response.setHeader('Access-Control-Max-Age', PREFLIGHT_SECONDS)
    response.status(204).end()
  }
}
