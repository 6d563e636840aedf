import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { createApiKey } from '../db/api-keys.ts'
import { type Database, openDatabase } from '../db/connect.ts'
import type { Role } from '../db/roles.ts'
import { openTestDatabase } from '../db/test-database.ts'
import { createLog, type Log } from '../log.ts'
import { startApi } from './start.ts'

/** An answer as a test looks at it. */
export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: what comes over the wire has no type
  body: any
}

export interface CallOptions {
  body?: unknown
  /** Sent as it is, in the place of `body`. */
  text?: string
  /** An API key or an access token. */
  key?: string
  headers?: Record<string, string>
}

/** Where a Google stands in for the real one. */
interface GoogleAt {
  keyFile: object
  baseUrls: Record<'token' | 'calendar' | 'meet', string>
}

/** The outside world of an API under test: a database of its own, and the settings that point at it and at Google. */
export interface TestWorld extends AsyncDisposable {
  databaseUrl: string
  db: Database
  env: Record<string, string>
  /** A key of this organisation, which is made where it is missing. An administrator's, unless another role is named. */
  key(organization: string, role?: Role): Promise<string>
}

/** Opens a world with nothing in it. @param googleTimeoutSeconds limit of one call to Google */
export async function openTestWorld(google: GoogleAt, googleTimeoutSeconds = 10): Promise<TestWorld> {
  await using opened = new AsyncDisposableStack()
  const server = opened.use(await openTestDatabase())
  const database = opened.use(openDatabase(server.url))
  const folder = await mkdtemp(join(tmpdir(), 'testigo-api-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const keyFile = join(folder, 'key.json')
  await writeFile(keyFile, JSON.stringify(google.keyFile), { mode: 0o600 })
  const env = {
    DATABASE_URL: server.url,
    PORT: '0',
    TESTIGO_LOG_LEVEL: 'silent',
    TESTIGO_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    TESTIGO_WEBHOOK_ALLOW_PRIVATE: 'on',
    TESTIGO_GOOGLE_KEY_FILE: keyFile,
    TESTIGO_GOOGLE_ORGANIZER: 'agenda@clinica.example',
    TESTIGO_GOOGLE_TOKEN_URL: google.baseUrls.token,
    TESTIGO_GOOGLE_API_URL: google.baseUrls.calendar,
    TESTIGO_GOOGLE_MEET_URL: google.baseUrls.meet,
    TESTIGO_GOOGLE_TIMEOUT_SECONDS: String(googleTimeoutSeconds),
    // Most tests count what Google is asked for.
    TESTIGO_CALENDAR_POLL_SECONDS: '0',
    TESTIGO_BOT_EMAIL: 'testigo@clinica.example',
    TESTIGO_SECOND_BOT_EMAIL: 'testigo2@clinica.example',
    TESTIGO_S3_ENDPOINT: 'http://127.0.0.1:9',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  }
  const parts = opened.move()
  return {
    databaseUrl: server.url,
    db: database.db,
    env,
    key: async (organization, role = 'admin') =>
      (await createApiKey(database.db, { organization, name: 'test', role })).key,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/**
 * The API in this process on a world of its own, with one organisation's key at hand.
 * @param given settings beside those of the world
 */
export async function openTestApi(
  google: GoogleAt,
  googleTimeoutSeconds?: number,
  given: { env?: Record<string, string>; log?: Log; clock?: Clock } = {},
) {
  await using opened = new AsyncDisposableStack()
  const world = opened.use(await openTestWorld(google, googleTimeoutSeconds))
  const config = readConfig({ ...world.env, ...given.env })
  const { log = createLog(config.logLevel), clock } = given
  const api = opened.use(
    await startApi(config, { databaseUrl: world.databaseUrl, log, ...(clock && { clock }) }),
  )
  const key = await world.key('Clínica Andina')
  const parts = opened.move()
  const call = (method: string, path: string, call: CallOptions = {}) =>
    callApi(api.url, method, path, { key, ...call })
  return { ...world, url: api.url, key, keyOf: world.key, call, close: () => parts.disposeAsync() }
}

export type TestApi = Awaited<ReturnType<typeof openTestApi>>

/** One request, with `key` as its bearer (none when it is empty). */
export async function callApi(
  url: string,
  method: string,
  path: string,
  { body, text, key, headers = {} }: CallOptions,
): Promise<Answer> {
  const payload = text ?? (body === undefined ? undefined : JSON.stringify(body))
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(payload === undefined ? {} : { body: payload }),
    signal: AbortSignal.timeout(30_000),
  })
  const answer = await response.text()
  const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(answer) : answer }
}

/** A user with a password who has just signed in. @param admin key of the organisation's administrator */
export async function signInUser(
  url: string,
  admin: string,
  { role, email, password = 'caballo batería grapa' }: { role: Role; email: string; password?: string },
): Promise<{ id: string; accessToken: string; refreshToken: string; password: string }> {
  const done = async (path: string, body: unknown, key = '') => {
    const answer = await callApi(url, 'POST', path, { body, key })
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const { id } = await done('/v1/users', { email, role }, admin)
  const { token } = await done(`/v1/users/${id}/password-link`, {}, admin)
  await done('/v1/auth/password', { token, password })
  const { accessToken, refreshToken } = await done('/v1/auth/sign-in', { email, password })
  return { id, accessToken, refreshToken, password }
}

/** A good request for a meeting in some years' time. */
export function newMeeting(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    topic: 'Comité clínico',
    start: '2031-03-04T10:00:00-05:00',
    end: '2031-03-04T11:00:00-05:00',
    timeZone: 'America/Bogota',
    participants: [
      { email: 'ana@clinica.example', name: 'Ana Ruiz', role: 'host' },
      { email: 'luis@otra.example', name: 'Luis Paz' },
    ],
    ...changes,
  }
}

/** Waits until `look` gives something; fails after `limitMs`. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 15_000,
): Promise<T> {
  const end = Date.now() + limitMs
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`${what} did not happen within ${limitMs} ms`)
    await delay(20)
  }
}

/** Jobs of a key that are queued or worked on, by name. */
export async function openJobsOf(db: Database, key: string) {
  const rows = await db.execute<{ name: string; state: string; start_after: string }>(
    sql`select name, state, start_after from pgboss.job where singleton_key = ${key} and state <= 'active' order by name`,
  )
  return rows.map(row => ({ name: row.name, state: row.state, due: new Date(row.start_after) }))
}

/** Makes queued jobs of a key due now. */
export async function makeDue(db: Database, key: string): Promise<void> {
  await db.execute(
    sql`update pgboss.job set start_after = now() where singleton_key = ${key} and state < 'active'`,
  )
}
