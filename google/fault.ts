/** Which of Google's services answered, or did not. `iam` covers signJwt and the metadata server. */
export type GoogleService = 'calendar' | 'meet' | 'drive' | 'workspaceEvents' | 'token' | 'iam'

/**
 * What went wrong, in our words.
 * `rate_limited`: too fast, wait. `quota`: a limit of hours or days. `storage_quota`: the target takes no more.
 * `misconfigured`: a person has to change something first; the message says what.
 * `sync_token_expired`: the changes since then are not known any more, everything has to be read again.
 */
export type GoogleFaultCode =
  | 'unauthorized'
  | 'forbidden'
  | 'rate_limited'
  | 'not_found'
  | 'conflict'
  | 'gone'
  | 'precondition_failed'
  | 'invalid'
  | 'unavailable'
  | 'quota'
  | 'storage_quota'
  | 'misconfigured'
  | 'sync_token_expired'

interface FaultFields {
  service: GoogleService
  code: GoogleFaultCode
  httpStatus?: number | undefined
  reason?: string | undefined
  retryable?: boolean
  retryAfterSeconds?: number | undefined
}

/** Google refused, failed or stayed silent. Messages never carry a token or a session URI. */
export class GoogleFault extends Error {
  readonly service: GoogleService
  readonly code: GoogleFaultCode
  /** HTTP status of the answer; absent when there was none. */
  readonly httpStatus: number | undefined
  /** Google's own reason word (`rateLimitExceeded`, `PERMISSION_DENIED`), or a network code, or ours. */
  readonly reason: string | undefined
  /** Whether the same request may work later without anybody changing anything. */
  readonly retryable: boolean
  /** How long to leave it alone, when that is known. */
  readonly retryAfterSeconds: number | undefined

  constructor(fields: FaultFields, message: string) {
    super(message)
    this.name = 'GoogleFault'
    this.service = fields.service
    this.code = fields.code
    this.httpStatus = fields.httpStatus
    this.reason = fields.reason
    this.retryable = fields.retryable ?? (fields.code === 'rate_limited' || fields.code === 'unavailable')
    this.retryAfterSeconds = fields.retryAfterSeconds
  }
}

/** Whether an error is Google's, of this kind. */
export function isFault(error: unknown, code: GoogleFaultCode): error is GoogleFault {
  return error instanceof GoogleFault && error.code === code
}

/** What gaxios throws, as far as we read it. */
interface HttpFailure {
  response?: { status: number; headers: Headers; data: unknown }
  code?: unknown
  name?: string
}

// google-apis.md §1.10 and §4.10.
const BY_REASON: Record<string, GoogleFaultCode> = {
  rateLimitExceeded: 'rate_limited',
  userRateLimitExceeded: 'rate_limited',
  sharingRateLimitExceeded: 'quota',
  dailyLimitExceeded: 'quota',
  quotaExceeded: 'quota',
  storageQuotaExceeded: 'storage_quota',
  teamDriveFileLimitExceeded: 'storage_quota',
  numChildrenInNonRootLimitExceeded: 'storage_quota',
  fullSyncRequired: 'sync_token_expired',
  updatedMinTooLongAgo: 'sync_token_expired',
}

const BY_STATUS: Record<number, GoogleFaultCode> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  408: 'unavailable',
  409: 'conflict',
  410: 'gone',
  412: 'precondition_failed',
  429: 'rate_limited',
}

// An abuse limit ends by itself after hours (google-apis.md §1.10); asking every few seconds prolongs it.
const QUOTA_PAUSE_SECONDS = 3600

/**
 * Reads an error of gaxios as a {@link GoogleFault}: the old `errors[].reason` family (Calendar, Drive), the
 * `status` + `details[]` family (Meet, IAM), the flat family of the token endpoint, and no answer at all
 * (google-apis.md §10). Anything else is thrown as it came: it is a mistake of ours, not of Google's.
 */
export function readFault(error: unknown, service: GoogleService, what: string, nowMs: number): GoogleFault {
  if (error instanceof GoogleFault) return error
  if (!isHttpFailure(error)) throw error
  const { response } = error
  if (!response) {
    const reason = networkReason(error)
    return new GoogleFault(
      { service, code: 'unavailable', reason },
      `${what}: no answer from Google (${reason})`,
    )
  }
  const { reason, message } = readBody(response.data)
  const code = codeOf(service, response.status, reason)
  const retryAfterSeconds =
    readRetryAfter(response.headers, nowMs) ?? (code === 'quota' ? QUOTA_PAUSE_SECONDS : undefined)
  return new GoogleFault(
    {
      service,
      code,
      httpStatus: response.status,
      reason,
      retryAfterSeconds,
      retryable: code === 'rate_limited' || code === 'unavailable' || code === 'quota',
    },
    `${what}: ${response.status}${reason ? ` ${reason}` : ''}${message ? `: ${message}` : ''}`,
  )
}

function codeOf(service: GoogleService, status: number, reason: string | undefined): GoogleFaultCode {
  if (status >= 500) return 'unavailable'
  if (status === 403 || status === 410 || status === 429) {
    // Old Drive accounts say quotaExceeded for a full Drive (google-apis.md §4.10).
    if (service === 'drive' && reason === 'quotaExceeded') return 'storage_quota'
    const known = reason === undefined ? undefined : BY_REASON[reason]
    if (known) return known
  }
  return BY_STATUS[status] ?? 'invalid'
}

function isHttpFailure(error: unknown): error is Error & HttpFailure {
  if (!(error instanceof Error)) return false
  const { response } = error as HttpFailure
  // gaxios wraps every failure of the network into an error with its `config`.
  return response !== undefined ? typeof response.status === 'number' : 'config' in error || isAbort(error)
}

function isAbort(error: Error): boolean {
  return error.name === 'AbortError' || error.name === 'TimeoutError'
}

// The message of a network error names the URL, and the URL may be an upload session: only its code is safe.
function networkReason(error: Error & HttpFailure): string {
  if (error.code === 'TimeoutError' || error.name === 'TimeoutError') return 'timeout'
  // gaxios wraps fetch's "fetch failed", which wraps what happened.
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string') return code
  }
  return 'network'
}

function readBody(data: unknown): { reason: string | undefined; message: string | undefined } {
  const { error, error_description: description } = record(data)
  if (typeof error === 'string') return { reason: error, message: text(description) }
  const { errors, details, status, message } = record(error)
  const [first] = Array.isArray(errors) ? errors : []
  const detail = Array.isArray(details)
    ? details.map(item => text(record(item).reason)).find(Boolean)
    : undefined
  return { reason: text(record(first).reason) ?? detail ?? text(status), message: text(message) }
}

function readRetryAfter(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get('retry-after')
  if (value === null) return undefined
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - nowMs) / 1000
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
