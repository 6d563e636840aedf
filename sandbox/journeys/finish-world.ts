// Recordings ready to be finished: rows in a real database, segments in a real bucket, no browser.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { systemClock } from '../../clock.ts'
import { type Config, readConfig } from '../../config.ts'
import { openDatabase } from '../../db/connect.ts'
import type { Ending } from '../../db/endings.ts'
import { openJobs } from '../../db/jobs.ts'
import { addSegment, findRecording } from '../../db/recordings.ts'
import { attempts, meetings, organizations, recordings } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { createLog } from '../../log.ts'
import type { Segment } from '../../recorder/capture/segmenter.ts'
import type { FinishDeps } from '../../recorder/finish-recording.ts'
import { segmentKey } from '../../storage/object-names.ts'
import { createStore, type Store } from '../../storage/s3.ts'
import { type ObjectStore, startObjectStore } from '../s3.ts'

type RecordedSegment = Pick<Segment, 'number' | 'bytes' | 'sha256' | 'startMs' | 'durationMs'>

/** One attempt as it was recorded. */
export interface RecordedAttempt {
  segments: Iterable<RecordedSegment> | AsyncIterable<RecordedSegment>
  /** When its first picture was taken, in milliseconds after the recording began. */
  atMs?: number
  lane?: number
  ending?: Ending
  clockOffsetMs?: number
  speech?: { fromMs: number; toMs: number }[]
  thinned?: readonly number[]
  /** Numbers of segments that get no row: the bucket alone knows of them. */
  withoutRow?: readonly number[]
}

export interface FinishWorld extends AsyncDisposable {
  dir: string
  databaseUrl: string
  /** Settings that another process needs to find the same world. */
  env: Record<string, string>
  config: Config
  store: Store
  bucket: ObjectStore
  deps: FinishDeps
  organizationId: string
  /** Stores the segments and rows of a recording that is `finishing`. @returns its id */
  recorded(...of: RecordedAttempt[]): Promise<string>
  read(recordingId: string): Promise<typeof recordings.$inferSelect>
  /** Names of the recording's objects, below its prefix. */
  listed(recordingId: string): Promise<string[]>
  /** Removes its objects from the bucket. */
  forget(recordingId: string): Promise<void>
}

/** When recordings of these tests begin, by the database's clock. */
export const BEGAN_AT = Date.parse('2026-11-22T15:00:00.000Z')

/** A database, a bucket and a job queue of their own. */
export async function openFinishWorld(): Promise<FinishWorld> {
  await using opened = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'testigo-finish-'))
  opened.defer(() => rm(dir, { recursive: true, force: true }))
  const server = opened.use(await openTestDatabase())
  const { db } = opened.use(openDatabase(server.url))
  const jobs = opened.use(await openJobs(server.url, () => undefined))
  const bucket = opened.use(await startObjectStore({ dir: join(dir, 's3'), bucket: 'testigo' }))
  const env = {
    DATABASE_URL: server.url,
    TESTIGO_DATA_DIR: dir,
    TESTIGO_S3_ENDPOINT: bucket.endpoint,
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
  }
  const config = readConfig(env)
  const log = createLog('silent')
  const store = createStore(config.storage, log)
  const organizationId = randomUUID()
  await db.insert(organizations).values({ id: organizationId, name: 'Clínica' })

  async function recorded(...of: RecordedAttempt[]): Promise<string> {
    const [meetingId, recordingId] = [randomUUID(), randomUUID()]
    await db.insert(meetings).values({
      id: meetingId,
      organizationId,
      topic: 'Consulta',
      startsAt: new Date(BEGAN_AT),
      endsAt: new Date(BEGAN_AT + 1_800_000),
      timeZone: 'America/Bogota',
      organizer: 'agenda@clinica.example',
      eventId: meetingId.replaceAll('-', ''),
      joinUrl: 'https://meet.google.com/abc-defg-hij',
    })
    const status = 'finishing' as const
    const ending = 'call_ended_by_host' as const
    await db.insert(recordings).values({ id: recordingId, organizationId, meetingId, status, ending })
    for (const [index, attempt] of of.entries()) await storeAttempt(recordingId, index + 1, attempt)
    return recordingId
  }

  async function storeAttempt(recordingId: string, number: number, of: RecordedAttempt): Promise<void> {
    const id = randomUUID()
    const { atMs = 0, lane = 0, ending = 'call_ended_by_host', clockOffsetMs = 0, speech = [] } = of
    let endMs = 0
    await db.insert(attempts).values({
      ...{ id, organizationId, recordingId, number, lane, ending, clockOffsetMs, speech },
      recorder: `host-${number}:1`,
      startedAt: new Date(BEGAN_AT + atMs - 1000),
      admittedAt: new Date(BEGAN_AT + atMs),
    })
    for await (const segment of of.segments) {
      endMs = segment.startMs + segment.durationMs
      const place = { prefix: '', organizationId, recordingId, attempt: number, number: segment.number }
      const s3Key = segmentKey(place)
      await store.put(s3Key, segment.bytes, { contentType: 'video/mp4' })
      if (of.withoutRow?.includes(segment.number)) continue
      const startedAtMs = BEGAN_AT + atMs + segment.startMs - clockOffsetMs
      await addSegment(db, {
        ...{ organizationId, attemptId: id, number: segment.number, s3Key, sha256: segment.sha256 },
        sizeBytes: segment.bytes.length,
        startMs: Math.round(segment.startMs),
        durationMs: Math.round(segment.durationMs),
        startedAt: new Date(startedAtMs),
        endedAt: new Date(startedAtMs + segment.durationMs),
        storedAt: new Date(startedAtMs + segment.durationMs),
        thinned: of.thinned?.includes(segment.number) ?? false,
      })
    }
    const endedAt = new Date(BEGAN_AT + atMs + endMs)
    await db.update(attempts).set({ endedAt }).where(eq(attempts.id, id))
  }

  const closing = opened.move()
  return {
    ...{ dir, databaseUrl: server.url, env, config, store, bucket, organizationId, recorded },
    deps: { config, db, jobs, store, clock: systemClock, log },
    async read(recordingId) {
      const found = await findRecording(db, { recordingId })
      if (!found) throw new Error(`recording ${recordingId} is not there`)
      return found.recording
    },
    async listed(recordingId) {
      const keys: string[] = []
      for await (const { key } of store.list(`${organizationId}/${recordingId}/`))
        keys.push(key.split('/').slice(2).join('/'))
      return keys
    },
    async forget(recordingId) {
      const keys: string[] = []
      for await (const { key } of store.list(`${organizationId}/${recordingId}/`)) keys.push(key)
      await store.remove(keys)
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
