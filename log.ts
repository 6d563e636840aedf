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
  'sessionUri',
  'driveSessionUri',
  'signedUrl',
  's3Url',
  'databaseUrl',
  'DATABASE_URL',
  'cookie',
]
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
      serializers: { error: pino.stdSerializers.err },
      redact: { paths: redactedPaths, censor: '[removed]' },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
