// A database, a bucket and wires to both that can be made to fail.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { eq, sql } from 'drizzle-orm'
import { type FauxqsServer, startFauxqs } from 'fauxqs'
import { systemClock } from '../../clock.ts'
import { readConfig } from '../../config.ts'
import { openAttempt } from '../../db/attempts.ts'
import { openDatabase } from '../../db/connect.ts'
import { meetings, organizations, recordings, segments } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { createLog, type Log } from '../../log.ts'
import { createStore, type Store } from '../../storage/s3.ts'
import type { SegmentOwner } from './segment-queue.ts'
import type { openSpool } from './spool.ts'
import type { Patience } from './try-again.ts'

/** Quick, so that a test does not wait for what a call may wait for. */
export const HASTY: Patience = { firstWaitMs: 20, mostWaitMs: 200, uploadTryMs: () => 700, rowTryMs: 1000 }

export type SpoolDeps = Parameters<typeof openSpool>[0]

interface Wire {
  port: number
  url: string
  stop(): Promise<void>
}

/**
 * Opens everything; `close` closes it.
 * @param startWire puts a wire that can be made to fail before a server
 */
export async function openWorld<W extends Wire>(
  startWire: (options: { target: { host: string; port: number } }) => Promise<W>,
) {
  const dir = await mkdtemp(join(tmpdir(), 'testigo-spool-'))
  const server: FauxqsServer = await startFauxqs({ port: 0, host: '127.0.0.1', logger: false })
  const s3 = await startWire({ target: { host: '127.0.0.1', port: server.port } })
  const postgres = await openTestDatabase()
  const url = new URL(postgres.url)
  const database = await startWire({
    target: { host: url.hostname, port: Number(url.port) },
  })
  // By way of the wire, not of the socket.
  url.searchParams.delete('host')
  url.port = String(database.port)
  const direct = openDatabase(postgres.url)
  const wired = openDatabase(url.href, { max: 2 })
  const store = storeAt(s3.url)
  await store.ensureBucket()
  const organizationId = randomUUID()
  await direct.db.insert(organizations).values({ id: organizationId, name: organizationId })

  /** A recording with a living attempt. */
  async function beginAttempt(): Promise<SegmentOwner> {
    const [meetingId, recordingId] = [randomUUID(), randomUUID()]
    await direct.db.insert(meetings).values({
      id: meetingId,
      organizationId,
      topic: 'Consulta',
      startsAt: new Date(Date.now() - 3_600_000),
      endsAt: new Date(Date.now() + 60_000),
      timeZone: 'America/Bogota',
      organizer: 'agenda@clinica.example',
      eventId: meetingId.replaceAll('-', ''),
    })
    await direct.db.insert(recordings).values({ id: recordingId, organizationId, meetingId })
    const opened = await direct.db.transaction(tx =>
      openAttempt(tx, recordingId, { recorder: 'test', botAccount: null }),
    )
    if (opened.kind !== 'opened') throw new Error(`no attempt: ${opened.because}`)
    const { id: attemptId, number: attemptNumber } = opened.attempt
    return { organizationId, recordingId, attemptId, attemptNumber }
  }

  const workRoot = join(dir, 'work')
  return {
    dir,
    workRoot,
    /** The wires. */
    s3,
    database,
    /** Not by way of the wire. */
    db: direct.db,
    databaseUrl: postgres.url,
    wiredDatabaseUrl: url.href,
    store,
    beginAttempt,
    deps: (attemptId: string, changes: Partial<SpoolDeps> = {}): SpoolDeps => ({
      db: wired.db,
      store,
      prefix: 'p',
      workDir: join(workRoot, attemptId),
      log: createLog('silent'),
      clock: systemClock,
      boundBytes: 1_000_000_000,
      patience: HASTY,
      ...changes,
    }),
    /** In the order in which they were written. */
    rows: (attemptId: string) =>
      direct.db.select().from(segments).where(eq(segments.attemptId, attemptId)).orderBy(sql`ctid`),
    bytesIn: async (key: string) => buffer(await store.get(key)),
    async close() {
      await wired.close()
      await direct.close()
      await database.stop()
      await postgres[Symbol.asyncDispose]()
      store.close()
      await s3.stop()
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** A store that tries and waits for as short as a test can bear. */
export function storeAt(endpoint: string, bucket = 'testigo'): Store {
  const { storage } = readConfig({ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' })
  return createStore({ ...storage, bucket, endpoint, publicEndpoint: endpoint }, createLog('silent'), {
    connectMs: 500,
    tryMs: 500,
    longTryMs: 1000,
    requestMs: 5000,
  })
}

/** A log that remembers. */
export function rememberingLog(): Log & { lines: { level: string; message: string }[] } {
  const lines: { level: string; message: string }[] = []
  const say = (level: string) => (_: object, message: string) => void lines.push({ level, message })
  const log = { lines, debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  return { ...log, child: () => ({ ...log, child: () => rememberingLog() }) }
}
