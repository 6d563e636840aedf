import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { closeAttempt, markAdmitted, openAttempt } from '../db/attempts.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import { type OpenJobs, openJobs } from '../db/jobs.ts'
import { findRecording, moveRecording } from '../db/recordings.ts'
import { meetings, organizations, recordings } from '../db/schema.ts'
import { openTestDatabase } from '../db/test-database.ts'
import { createLog } from '../log.ts'
import { type ObjectStore, startObjectStore } from '../sandbox/s3.ts'
import { createStore, type Store } from '../storage/s3.ts'
import { makeCapture, segmentsOf } from './capture/media-for-tests.ts'
import { probeMedia } from './capture/probe-media.ts'
import type { Segment } from './capture/segmenter.ts'
import { type FinishDeps, finishRecording } from './finish-recording.ts'
import { openSpool } from './spool/spool.ts'
import { sweep } from './sweep.ts'

// Finishing needs rows and a bucket, no browser: the segments come from ffmpeg.

const log = createLog('silent')
const organizationId = randomUUID()
let dir: string
let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let jobs: OpenJobs
let bucket: ObjectStore
let store: Store
let segments: Segment[]
let deps: FinishDeps

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-finish-'))
  server = await openTestDatabase()
  database = openDatabase(server.url)
  jobs = await openJobs(server.url, () => undefined)
  bucket = await startObjectStore({ dir: join(dir, 's3'), bucket: 'testigo' })
  const config = readConfig({
    TESTIGO_DATA_DIR: dir,
    TESTIGO_S3_ENDPOINT: bucket.endpoint,
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
  })
  store = createStore(config.storage, log)
  deps = { config, db: database.db, jobs, store, clock: systemClock, log }
  segments = await segmentsOf(await makeCapture(dir, { seconds: 10 }))
  await database.db.insert(organizations).values({ id: organizationId, name: 'Clínica' })
})
afterAll(async () => {
  await jobs?.close(0)
  await database?.close()
  await server?.[Symbol.asyncDispose]()
  await bucket?.stop()
  await rm(dir, { recursive: true, force: true })
})

/** A recording whose attempts hold these segments, ready to be finished. */
async function recorded(...attempts: Segment[][]): Promise<string> {
  const { db } = database
  const [meetingId, recordingId] = [randomUUID(), randomUUID()]
  await db.insert(meetings).values({
    id: meetingId,
    organizationId,
    topic: 'Consulta',
    startsAt: new Date(Date.now() - 3_600_000),
    endsAt: new Date(Date.now() - 60_000),
    timeZone: 'America/Bogota',
    organizer: 'agenda@clinica.example',
    eventId: meetingId.replaceAll('-', ''),
    joinUrl: 'https://meet.google.com/abc-defg-hij',
  })
  await db.insert(recordings).values({ id: recordingId, organizationId, meetingId })
  for (const of of attempts) {
    const opened = await db.transaction(tx =>
      openAttempt(tx, recordingId, { recorder: 'test', botAccount: null }),
    )
    if (opened.kind !== 'opened') throw new Error(`no attempt: ${opened.because}`)
    await db.transaction(tx => markAdmitted(tx, opened.attempt.id, new Date(), 'test'))
    const workDir = join(dir, 'spool', opened.attempt.id)
    await using taken = openSpool(
      { db, store, prefix: '', workDir, log, clock: systemClock, boundBytes: 1_000_000_000 },
      { organizationId, recordingId, attemptId: opened.attempt.id, attemptNumber: opened.attempt.number },
    )
    for (const segment of of) await taken.take(segment)
    await taken.drained(20_000)
    await db.transaction(tx =>
      closeAttempt(tx, opened.attempt.id, { ending: 'call_ended_by_host', at: new Date() }),
    )
    if (of !== attempts.at(-1))
      await db.transaction(tx => moveRecording(tx, recordingId, 'interrupted', { actor: 'test' }))
  }
  await db.transaction(tx =>
    moveRecording(tx, recordingId, 'finishing', { actor: 'test', ending: 'call_ended_by_host' }),
  )
  return recordingId
}

const finish = (recordingId: string, changed: Partial<FinishDeps> = {}) =>
  finishRecording({ ...deps, ...changed }, recordingId, new AbortController().signal)
const read = async (recordingId: string) => (await findRecording(database.db, { recordingId }))?.recording

async function listed(recordingId: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(`${organizationId}/${recordingId}/`))
    keys.push(key.split('/').slice(2).join('/'))
  return keys
}

test('the segments of a call become one video that is what the row says', async () => {
  const recordingId = await recorded(segments)
  await finish(recordingId)
  const row = await read(recordingId)
  expect(row).toMatchObject({ status: 'available', ending: 'call_ended_by_host', driveStatus: 'none' })
  const file = join(dir, 'back.mp4')
  const stored = await store.getToFile(row?.s3Key ?? '', file)
  expect(stored.sizeBytes).toBe(row?.sizeBytes)
  expect((await probeMedia(file)).durationMs).toBeCloseTo(10_000, -2)
  expect(row?.durationMs).toBeCloseTo(10_000, -2)
  expect(await listed(recordingId)).toContain('attempt-001/seg-00001.m4s')
})

test('finishing a second time changes nothing', async () => {
  const recordingId = await recorded(segments)
  await finish(recordingId)
  const before = await read(recordingId)
  await finish(recordingId)
  expect(await read(recordingId)).toEqual(before)
})

test('two attempts come out as one video, which is partial', async () => {
  const recordingId = await recorded(segments, segments)
  await finish(recordingId)
  const row = await read(recordingId)
  expect(row?.status).toBe('partial')
  expect(row?.durationMs).toBeCloseTo(20_000, -2)
})

test('a silent black picture is reported, not hidden', async () => {
  const dark = await segmentsOf(
    await makeCapture(dir, { seconds: 6, picture: 'color=c=black', sound: 'anullsrc=r=44100' }),
  )
  const recordingId = await recorded(dark)
  await finish(recordingId)
  const row = await read(recordingId)
  expect(row?.status).toBe('partial')
  expect(row?.checks).toMatchObject({ black: { ok: false }, silent: { ok: false }, decodable: { ok: true } })
})

test('a segment that is not what was recorded stops the finishing, and nothing is published', async () => {
  const recordingId = await recorded(segments)
  const victim = `${organizationId}/${recordingId}/attempt-001/seg-00002.m4s`
  await store.put(victim, Buffer.alloc(2000, 7), { contentType: 'video/mp4' })
  await expect(finish(recordingId)).rejects.toMatchObject({ code: 'segment_damaged' })
  expect(await read(recordingId)).toMatchObject({ status: 'finishing', s3Key: null })
})

test('where the settings say so the segments go, but only after the video is there', async () => {
  const recordingId = await recorded(segments)
  await finish(recordingId, {
    config: { ...deps.config, storage: { ...deps.config.storage, keepSegments: false } },
  })
  expect(await listed(recordingId)).toEqual(['recording.mp4'])
  expect((await read(recordingId))?.segmentsRemovedAt).not.toBeNull()
})

test('the sweep gives a recording that lost its job a new one, once', async () => {
  const recordingId = await recorded(segments)
  await sweep(deps)
  await sweep(deps)
  const rows = await database.db.execute(
    sql`select name from pgboss.job where singleton_key = ${recordingId}`,
  )
  expect([...rows].map(row => row.name)).toEqual(['finish-recording'])
})
