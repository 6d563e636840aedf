/**
 * What went wrong with the object store, in our words.
 * `checksum_mismatch`: the bytes there are not the bytes here. `misconfigured`: the message says what to set. `locked`:
 * Object Lock keeps it.
 */
export type StorageFaultCode =
  | 'not_found'
  | 'forbidden'
  | 'unavailable'
  | 'timeout'
  | 'checksum_mismatch'
  | 'invalid'
  | 'locked'
  | 'misconfigured'

/** The object store refused, failed or stayed silent. Messages carry object names, never keys or links. */
export class StorageFault extends Error {
  readonly code: StorageFaultCode
  /** Whether the same request may work later without anybody changing anything. */
  readonly retryable: boolean
  /** The store's own word (`NoSuchKey`, `SlowDown`) or a network code (`ECONNREFUSED`). */
  readonly reason: string | undefined
  readonly httpStatus: number | undefined

  constructor(
    fields: {
      code: StorageFaultCode
      retryable: boolean
      reason?: string | undefined
      httpStatus?: number | undefined
    },
    message: string,
  ) {
    super(message)
    this.name = 'StorageFault'
    this.code = fields.code
    this.retryable = fields.retryable
    this.reason = fields.reason
    this.httpStatus = fields.httpStatus
  }
}

interface SdkFailure {
  name: string
  code?: unknown
  $metadata?: { httpStatusCode?: number | undefined }
}

const BUSY = new Set([
  'SlowDown',
  'RequestTimeout',
  'InternalError',
  'ServiceUnavailable',
  'OperationAborted',
])
const WRONG_BYTES = new Set([
  'BadDigest',
  'XAmzContentChecksumMismatch',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
])

/**
 * Reads an error of the AWS SDK or of Node's network as a {@link StorageFault}.
 * @param what words for the operator, with the object's name, e.g. `put a/b.mp4`
 */
export function readStorageFault(error: unknown, what: string): StorageFault {
  if (error instanceof StorageFault) return error
  if (!(error instanceof Error)) throw error
  const failure: SdkFailure = error
  const httpStatus = failure.$metadata?.httpStatusCode
  const reason = typeof failure.code === 'string' ? failure.code : failure.name
  const fault = (code: StorageFaultCode, retryable: boolean, hint = '') =>
    new StorageFault({ code, retryable, reason, httpStatus }, `S3: ${what} failed: ${reason}${hint}`)

  if (WRONG_BYTES.has(failure.name)) return fault('checksum_mismatch', true)
  if (failure.name === 'NoSuchBucket')
    return fault('misconfigured', false, '. Make the bucket or set TESTIGO_S3_BUCKET to one that exists.')
  if (failure.name === 'CredentialsProviderError')
    return fault(
      'misconfigured',
      false,
      '. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.',
    )
  if (failure.name === 'RequestTimeTooSkewed')
    return fault('misconfigured', false, ". This machine's clock is wrong: set it by NTP.")
  if (
    failure.name === 'PermanentRedirect' ||
    failure.name === 'AuthorizationHeaderMalformed' ||
    httpStatus === 301
  )
    return fault('misconfigured', false, '. The bucket is in another region: set AWS_REGION.')
  if (BUSY.has(failure.name)) return fault('unavailable', true)
  if (httpStatus === undefined) return isNetwork(failure) ? fault('unavailable', true) : unexpected(error)
  if (httpStatus === 404) return fault('not_found', false)
  if (httpStatus === 401 || httpStatus === 403)
    return fault('forbidden', false, '. Check the AWS keys and what they may do with the bucket.')
  // What the store never learnt it will not learn while we wait.
  if (httpStatus === 501) return fault('invalid', false)
  // A success that could not be read was cut off on its way.
  if (httpStatus < 300 || httpStatus === 408 || httpStatus === 429 || httpStatus >= 500)
    return fault('unavailable', true)
  return fault('invalid', false)
}

// Only these: a full disk of ours carries a code too, and must not be waited out.
const NETWORK = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE', 'HPE_INVALID_CONSTANT'],
])

function isNetwork({ name, code }: SdkFailure): boolean {
  return NETWORK.has(String(code)) || name === 'TimeoutError' || name === 'AbortError'
}

// A mistake in our own program must not look like trouble of the store.
function unexpected(error: Error): never {
  throw error
}
