import { pino } from 'pino'

/** Words to the operator: JSON lines on standard error, secrets removed. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** The same log with `fields` on every line. */
  child(fields: object): Log
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

// Keys that carry credentials anywhere up to three levels deep.
const SECRET_KEYS = [
  'authorization',
  'Authorization',
  'token',
  'accessToken',
  'access_token',
  'assertion',
  'private_key',
  'apiKey',
  'key_hash',
  'secretAccessKey',
  'password',
  'passwordHash',
  'refreshToken',
  'refresh_token',
  'clientSecret',
  'client_secret',
  'sealedPrivate',
  'sessionUri',
  'driveSessionUri',
  'signedUrl',
  's3Url',
  'databaseUrl',
  'DATABASE_URL',
  'cookie',
  'set-cookie',
]
/**
 * An error as it is logged. Where a query failed, without its parameters: hashes of passwords and keys, people's
 * addresses. drizzle writes them into the message, and so into the stack.
 */
export function loggedError(error: Error): object {
  const written = pino.stdSerializers.err(error)
  let { message, stack } = written
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { params } = at as { params?: unknown }
    if (!Array.isArray(params) || params.length === 0) continue
    message = message.replaceAll(`params: ${params}`, 'params: [removed]')
    stack = stack?.replaceAll(`params: ${params}`, 'params: [removed]')
  }
  return { ...written, message, stack, params: undefined, cause: undefined }
}

const redactedPaths = SECRET_KEYS.flatMap(key => [key, `*.${key}`, `*.*.${key}`])

/**
 * Opens the log of one process. Lines go to standard error, so that a command's own output stays clean.
 * @param fields put on every line, e.g. `{ process: 'api' }`
 */
export function createLog(level: LogLevel, fields: object = {}): Log {
  return pino(
    {
      level,
      base: { ...fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: loggedError },
      redact: { paths: redactedPaths, censor: '[removed]' },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
