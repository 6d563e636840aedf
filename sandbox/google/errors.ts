/** The two shapes in which Google's APIs report errors (google-apis.md §10). */
export type ErrorFamily = 'classic' | 'rpc'

export interface GoogleErrorDetails {
  /** Reason word of the classic family, e.g. `notFound`; also `details[].reason` of the rpc family. */
  reason?: string
  /** Domain of the classic family; `global` when absent. */
  domain?: string
  /** Status word of the rpc family, where it is not the usual one of the HTTP status. */
  rpcStatus?: string
  location?: { type: 'header' | 'parameter'; name: string }
  headers?: Record<string, string>
}

/** An error that the sandbox answers with in Google's words. `status` is the HTTP status. */
export class GoogleError extends Error {
  override readonly name = 'GoogleError'
  readonly status: number
  readonly details: GoogleErrorDetails

  constructor(status: number, message: string, details: GoogleErrorDetails = {}) {
    super(message)
    this.status = status
    this.details = details
  }
}

/** An error of the token endpoint: flat `{error, error_description}` (google-apis.md §5.1). */
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, description: string) {
    super(description)
    this.status = status
    this.code = code
  }
}

/** `google.rpc.Code` names by HTTP status, as the rpc family sends them. */
const rpcStatusNames: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  412: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

/** Reason words of the classic family for errors that carry none. */
const classicReasons: Record<number, string> = {
  400: 'badRequest',
  401: 'authError',
  403: 'forbidden',
  404: 'notFound',
  409: 'conflict',
  410: 'gone',
  412: 'conditionNotMet',
  429: 'rateLimitExceeded',
  500: 'backendError',
  503: 'backendError',
}

/** The JSON body of an error in the shape of the API that answers (google-apis.md §1.10, §2.6). */
export function errorBody(family: ErrorFamily, error: GoogleError): object {
  const { reason, domain, rpcStatus, location } = error.details
  if (family === 'rpc') {
    const details = reason
      ? [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' }]
      : undefined
    const status = rpcStatus ?? rpcStatusNames[error.status] ?? 'UNKNOWN'
    return { error: { code: error.status, message: error.message, status, ...(details && { details }) } }
  }
  const item = {
    domain: domain ?? 'global',
    reason: reason ?? classicReasons[error.status] ?? 'unknown',
    message: error.message,
    ...(location && { locationType: location.type, location: location.name }),
  }
  return { error: { errors: [item], code: error.status, message: error.message } }
}

/** 401 of an API call without a usable access token. */
export function invalidCredentials(family: ErrorFamily): GoogleError {
  const headers = { 'www-authenticate': 'Bearer realm="https://accounts.google.com/", error="invalid_token"' }
  if (family === 'rpc') {
    return new GoogleError(
      401,
      'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
      { headers },
    )
  }
  return new GoogleError(401, 'Invalid Credentials', {
    reason: 'authError',
    location: { type: 'header', name: 'Authorization' },
    headers,
  })
}

/** 403 of a token whose scopes do not cover the method. */
export function insufficientScopes(family: ErrorFamily, scopes: readonly string[]): GoogleError {
  const headers = {
    'www-authenticate': `Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="${scopes.join(' ')}"`,
  }
  return family === 'rpc'
    ? new GoogleError(403, 'Request had insufficient authentication scopes.', {
        reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT',
        headers,
      })
    : new GoogleError(403, 'Insufficient Permission', { reason: 'insufficientPermissions', headers })
}
