import { type ChildProcess, fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { sql } from 'drizzle-orm'
import { systemClock } from '../../clock.ts'
import { createApiKey } from '../../db/api-keys.ts'
import { type Database, migrateDatabase, openDatabase } from '../../db/connect.ts'
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts'
import { fillWithMeetings } from '../../db/fill-with-meetings.ts'
import { openJobs } from '../../db/jobs.ts'
import type { GoogleCalls, SlowGoogle } from './slow-google.ts'

/** An organisation that asks: its key, and some of its meetings. */
export interface Asker {
  key: string
  meetingIds: string[]
}

export interface BenchWorld extends AsyncDisposable {
  apiUrl: string
  apiPid: number
  databaseUrl: string
  env: Record<string, string>
  askers: Asker[]
  databaseBytes: number
  /** Calls to Google since it was last asked. */
  googleCalls(): Promise<GoogleCalls>
}

const ORGANIZATIONS = ['Clínica Andina', 'Hospital del Valle', 'Centro Médico Norte', 'Laboratorio Sur']
const IDS_OF_EACH = 5000
const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 30_000

/**
 * The whole of it: embedded PostgreSQL with its usual durability, full of meetings; a Google that takes its time; and the API
 * as its own process, with a log as usual, written to a file.
 */
export async function openBenchWorld(of: {
  meetings: number
  /** Folder in which the database stays, and is found again by the next run; without it all goes at the end. */
  data?: string
  googleMs: number
  apiEnv?: Record<string, string>
  onProgress: (text: string) => void
}): Promise<BenchWorld> {
  await using opened = new AsyncDisposableStack()
  const dir = of.data ? resolve(of.data) : await mkdtemp(join(tmpdir(), 'testigo-bench-api-'))
  if (of.data) await mkdir(dir, { recursive: true })
  else opened.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  await chmod(dir, 0o755)
  const server = opened.use(await startEmbeddedPostgres(dir))
  await migrateDatabase(server.url)
  const queue = await openJobs(server.url, error => of.onProgress(String(error)))
  await queue.close(0)
  const database = opened.use(openDatabase(server.url, { max: 1, statementTimeoutMs: 600_000 }))
  const keys = []
  for (const organization of ORGANIZATIONS)
    keys.push(await createApiKey(database.db, { organization, name: 'bench', role: 'service' }))
  const startedMs = performance.now()
  const [have] = await database.db.execute<{ some: boolean }>(
    sql`select exists (select from meetings) as some`,
  )
  if (!have?.some)
    await fillWithMeetings(server.url, {
      count: of.meetings,
      organizations: keys.map(({ organizationId }) => organizationId),
      withJobs: true,
      onProgress: done =>
        of.onProgress(`${done} meetings, ${Math.round((performance.now() - startedMs) / 1000)} s`),
    })
  of.onProgress('reading the database into memory')
  await readIntoMemory(database.db)
  const askers = []
  for (const { key, organizationId } of keys) {
    const rows = await database.db.execute<{ id: string }>(
      sql`select id from meetings where organization_id = ${organizationId} order by md5(id::text) limit ${IDS_OF_EACH}`,
    )
    askers.push({ key, meetingIds: rows.map(({ id }) => id) })
  }
  const [size] = await database.db.execute<{ bytes: string }>(
    sql`select pg_database_size(current_database()) as bytes`,
  )
  const google = fork(join(import.meta.dirname, 'slow-google.ts'), [String(of.googleMs)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  opened.defer(() => endChild(google, () => google.disconnect()))
  const { url, tokenUrl, keyFile } = await answerOf<SlowGoogle>(google)
  const keyPath = join(dir, 'google-key.json')
  await writeFile(keyPath, JSON.stringify(keyFile), { mode: 0o600 })
  const port = String(await freePort())
  const env = {
    DATABASE_URL: server.url,
    PORT: port,
    TESTIGO_DATA_DIR: join(dir, 'data'),
    TESTIGO_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    // One key asks thousands of times a second here.
    TESTIGO_RATE_LIMIT: '0',
    TESTIGO_GOOGLE_KEY_FILE: keyPath,
    TESTIGO_GOOGLE_ORGANIZER: 'agenda@clinica.example',
    TESTIGO_GOOGLE_TOKEN_URL: tokenUrl,
    TESTIGO_GOOGLE_API_URL: url,
    TESTIGO_GOOGLE_MEET_URL: url,
    TESTIGO_BOT_EMAIL: 'testigo@clinica.example',
    TESTIGO_S3_ENDPOINT: 'http://127.0.0.1:9',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
  }
  const logFile = join(dir, 'api.log')
  const log = await open(logFile, 'w')
  opened.defer(() => log.close())
  const api = spawn(process.execPath, [join(import.meta.dirname, '..', '..', 'api', 'main.ts')], {
    env: { PATH: process.env.PATH ?? '', ...env, ...of.apiEnv },
    stdio: ['ignore', log.fd, log.fd],
  })
  opened.defer(() => endChild(api, () => api.kill('SIGINT')))
  const apiUrl = `http://127.0.0.1:${port}`
  await untilReady(apiUrl, api, logFile)
  const parts = opened.move()
  return {
    apiUrl,
    apiPid: api.pid ?? 0,
    databaseUrl: server.url,
    env,
    askers,
    databaseBytes: Number(size?.bytes),
    async googleCalls() {
      const answer = answerOf<GoogleCalls>(google)
      google.send('count')
      return answer
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

// As it is where it has been running: what a disk does when everything is read for the first time is another question.
async function readIntoMemory(db: Database): Promise<void> {
  await db.execute(sql`create extension if not exists pg_prewarm`)
  await db.execute(sql`
    select pg_prewarm(c.oid::regclass, 'read') from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'pgboss') and c.relkind in ('r', 'i')`)
}

async function untilReady(url: string, api: ChildProcess, logFile: string): Promise<void> {
  const endMs = Date.now() + START_LIMIT_MS
  while (Date.now() < endMs && api.exitCode === null) {
    // Refused until it listens.
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) }).catch(() => undefined)
    if (answer?.ok) return
    await systemClock.sleep(100)
  }
  throw new Error(`The API did not start:\n${(await readFile(logFile, 'utf8')).slice(-2000)}`)
}

async function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  const [answer] = await once(child, 'message', { signal: AbortSignal.timeout(START_LIMIT_MS) })
  return answer as Answer
}

async function endChild(child: ChildProcess, end: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  end()
  const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
  await gone
  clearTimeout(limit)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no free port on loopback')
  return address.port
}
