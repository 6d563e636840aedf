import { RequestLost } from '../db/idempotency.ts'
import { keyInUse } from './idempotency/answer-once.ts'
import { Problem } from './problem.ts'

/** What body-parser and Express put on the errors they make (http-errors). */
interface HttpError {
  type?: unknown
  status?: unknown
  limit?: unknown
}

// The database is away or overloaded; the same request may work in a moment.
const DATABASE_AWAY = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  // statement_timeout, deadlock, lock_timeout
  '57014',
  '40P01',
  '55P03',
])
const DATABASE_RETRY_SECONDS = 5

/** Reads any error as a {@link Problem}; what nobody foresaw becomes `internal_error` and tells the caller nothing. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof RequestLost) return keyInUse()
  const { type, status, limit } = (error ?? {}) as HttpError
  const cause = { cause: error }
  if (type === 'entity.parse.failed')
    return new Problem('malformed_json', 'The body is not valid JSON. Send one JSON object.', {}, cause)
  if (type === 'entity.too.large')
    return new Problem(
      'body_too_large',
      `The body is larger than ${Number(limit)} bytes. Send a smaller one.`,
      // What is left of the body is not read, so the connection cannot be used again.
      { headers: { Connection: 'close' } },
      cause,
    )
  if (type === 'encoding.unsupported' || type === 'charset.unsupported')
    return new Problem('unsupported_media_type', 'Send the body as JSON in UTF-8.', {}, cause)
  if (databaseIsAway(error))
    return new Problem(
      'temporarily_unavailable',
      'The database does not answer. Send the request again in a moment.',
      { retryAfterSeconds: DATABASE_RETRY_SECONDS },
      cause,
    )
  // A path that cannot be decoded, a body shorter than it said, a connection given up.
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new Problem('bad_request', 'The request cannot be read. Check its address and body.', {}, cause)
  return new Problem(
    'internal_error',
    'Testigo met an error it did not expect. It is logged under the request id.',
    {},
    cause,
  )
}

function databaseIsAway(error: unknown): boolean {
  // drizzle wraps the driver's error.
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, severity } = at as { code?: unknown; severity?: unknown }
    // FATAL is what PostgreSQL says when it ends or refuses a connection, whatever the reason.
    if (severity === 'FATAL' || severity === 'PANIC') return true
    if (typeof code === 'string' && DATABASE_AWAY.has(code)) return true
  }
  return false
}
