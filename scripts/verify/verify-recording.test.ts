import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../../config.ts'
import { appendAudit } from '../../db/audit.ts'
import { type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { attempts, recordings, segments } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { createLog } from '../../log.ts'
import { canonicalManifest } from '../../recorder/manifest.ts'
import { startLockingStore } from '../../sandbox/object-lock.ts'
import { type ObjectStore, startObjectStore } from '../../sandbox/s3.ts'
import { createStore, type Store } from '../../storage/s3.ts'
import { describeFindings, type Finding, verdictOf } from './findings.ts'
import { readManifest } from './read-manifest.ts'
import { makeProvenRecording, type ProvenRecording } from './recording-for-tests.ts'
import { verifyManifest, verifyRecording } from './verify-recording.ts'

let dir: string
let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let bucket: ObjectStore
let store: Store
let proven: ProvenRecording

const settings = (endpoint: string) =>
  readConfig({ TESTIGO_S3_ENDPOINT: endpoint, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' }).storage

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-verify-'))
  server = await openTestDatabase()
  database = openDatabase(server.url)
  bucket = await startObjectStore({ dir, bucket: 'testigo' })
  store = createStore(settings(bucket.endpoint), createLog('silent'))
})
afterAll(async () => {
  store?.close()
  await bucket?.stop()
  await database?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  proven = await makeProvenRecording(database.db, store)
})

async function prove(from: Pick<Store, 'get' | 'head'> = store) {
  const proof = await verifyRecording({ db: database.db, store: from }, proven.recordingId)
  const findings = proof?.findings ?? []
  return { findings, verdict: verdictOf(findings), bad: findings.filter(({ state }) => state !== 'ok') }
}
const rowOf = () => eq(recordings.id, proven.recordingId)
const segmentKey = () => proven.manifest.segments[4]?.key ?? ''
const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

test('a recording of which everything is as it should be is proven', async () => {
  expect(await prove()).toMatchObject({ verdict: 'holds', bad: [] })
})

test('segments that were removed as set do not spoil the proof', async () => {
  await store.remove(proven.manifest.segments.map(({ key }) => key))
  await database.db.update(recordings).set({ segmentsRemovedAt: new Date() }).where(rowOf())
  const { verdict, findings } = await prove()
  expect(verdict).toBe('holds')
  expect(describeFindings(findings)).toContain('segment: 6 of them: removed after publishing, as set.')
})

test('a manifest of before still stands when a newer video was made, and that is said', async () => {
  const given = readManifest(canonicalManifest(proven.manifest), 'manifest.json')
  await database.db.update(recordings).set({ revision: 2, s3Key: 'newer' }).where(rowOf())
  await database.db.transaction(tx =>
    appendAudit(tx, {
      ...{
        organizationId: proven.organizationId,
        actor: 'job:finish-recording',
        action: 'recording.finished',
      },
      ...{
        subject: `recording:${proven.recordingId}`,
        detail: { revision: 2, manifestSha256: 'f'.repeat(64) },
      },
    }),
  )
  const { findings } = await verifyManifest({ db: database.db, store }, given)
  expect(verdictOf(findings)).toBe('holds')
  expect(describeFindings(findings)).toMatch(/A newer video was made after it: row 2/)
})

test('what Object Lock keeps is said, with the date', async () => {
  const rules = { objectLock: { byDefault: { mode: 'COMPLIANCE' as const, days: 30 } }, now: Date.now }
  await using locking = await startLockingStore({ behind: bucket.endpoint, bucket: 'testigo', ...rules })
  const locked = createStore(settings(locking.endpoint), createLog('silent'))
  proven = await makeProvenRecording(database.db, locked)
  const { findings, verdict } = await prove(locked)
  locked.close()
  expect(verdict).toBe('holds')
  const words = describeFindings(findings)
  expect(words).toMatch(/^ok .* lock: .*recording\.mp4 is locked by Object Lock until /m)
  expect(words).toMatch(/^ok .* lock: .*manifest\.json is locked by Object Lock until /m)
})

test('what could not be looked at because the bucket is away is no fault, and no proof', async () => {
  const limits = { connectMs: 200, tryMs: 200, longTryMs: 200, requestMs: 400 }
  const away = createStore(settings('http://127.0.0.1:9'), createLog('silent'), limits)
  const get: Store['get'] = key => (key === proven.manifestKey ? store : away).get(key)
  const { verdict, bad, findings } = await prove({ get, head: away.head })
  away.close()
  expect(verdict).toBe('not_all_checked')
  expect(bad).toHaveLength(8)
  expect(bad.every(({ state }) => state === 'not_checked')).toBe(true)
  expect(describeFindings(findings)).toMatch(
    /^not checked {2}file: .*recording\.mp4 was not looked at\. S3: /m,
  )
})

describe('the proof fails, and says where, when', () => {
  async function failsWith(expected: Partial<Finding>, count = 1) {
    const answer = await prove()
    expect(answer.bad).toEqual(Array.from({ length: count }, () => expect.objectContaining(expected)))
    expect(answer.verdict).toBe('fails')
  }

  test('the video is another one of the same size', async () => {
    await store.put(proven.videoKey, Buffer.alloc(proven.video.length, 1), { contentType: 'video/mp4' })
    await failsWith({ what: 'file', state: 'different', key: proven.videoKey })
  })
  test('the video is gone', async () => {
    await store.remove([proven.videoKey])
    await failsWith({ what: 'file', state: 'missing', key: proven.videoKey })
  })
  test('a segment is gone that nobody removed knowingly', async () => {
    await store.remove([segmentKey()])
    await failsWith({ what: 'segment', state: 'missing', key: segmentKey() })
  })
  test('a segment is shorter', async () => {
    await store.put(segmentKey(), Buffer.from('short'), { contentType: 'video/mp4' })
    await failsWith({
      what: 'segment',
      state: 'different',
      sentence: expect.stringContaining('has 5 bytes instead of'),
    })
  })
  test('segments were removed as set, but another one lies in the place of one of them', async () => {
    await database.db.update(recordings).set({ segmentsRemovedAt: new Date() }).where(rowOf())
    await store.put(segmentKey(), Buffer.from('other'), { contentType: 'video/mp4' })
    await failsWith({ what: 'segment', state: 'different' })
  })
  test('the manifest is gone', async () => {
    await store.remove([proven.manifestKey])
    await failsWith({ what: 'manifest', state: 'missing' })
  })
  test('the manifest is something else', async () => {
    await store.put(proven.manifestKey, Buffer.from('{"schema": "x"}'), { contentType: 'application/json' })
    await failsWith({
      what: 'manifest',
      state: 'different',
      sentence: expect.stringContaining('not a manifest'),
    })
  })
  test('a row of a segment was changed', async () => {
    await database.db
      .update(segments)
      .set({ sha256: 'f'.repeat(64) })
      .where(eq(segments.s3Key, segmentKey()))
    await failsWith({
      what: 'rows',
      state: 'different',
      sentence: expect.stringContaining('segment 1 of attempt 2'),
    })
  })
  test('a row of a segment was removed', async () => {
    await database.db.delete(segments).where(eq(segments.s3Key, segmentKey()))
    await failsWith({ what: 'rows', sentence: 'The database no longer has segment 1 of attempt 2.' })
  })
  test('an attempt was moved in time', async () => {
    await database.db
      .update(attempts)
      .set({ admittedAt: new Date(0) })
      .where(eq(attempts.id, proven.attemptIds[0]))
    await failsWith({ what: 'rows', sentence: expect.stringContaining('Of attempt 1 the database says') })
  })
  test("the video's hash, its length and the gaps were changed in the row", async () => {
    await database.db
      .update(recordings)
      .set({ sha256: 'f'.repeat(64), durationMs: 1, gaps: [] })
      .where(rowOf())
    await failsWith({ what: 'rows', state: 'different' }, 3)
  })
  test('video, manifest and rows were all changed to agree with each other', async () => {
    const video = Buffer.from('another video')
    await store.put(proven.videoKey, video, { contentType: 'video/mp4' })
    const manifest = structuredClone(proven.manifest)
    const [file] = manifest.files
    if (!file) throw new Error('no file')
    file.sizeBytes = video.length
    file.sha256 = sha256Of(video)
    const bytes = canonicalManifest(manifest)
    await store.put(proven.manifestKey, bytes, { contentType: 'application/json' })
    await database.db
      .update(recordings)
      .set({ sha256: file.sha256, sizeBytes: file.sizeBytes, manifestSha256: sha256Of(bytes) })
      .where(rowOf())
    await failsWith({
      what: 'audit log',
      state: 'different',
      sentence: expect.stringContaining('no row about this recording'),
    })
  })
  test('the audit log was changed', async () => {
    await database.db.transaction(async tx => {
      await tx.execute(sql`alter table audit_log disable trigger audit_log_append_only`)
      await tx.execute(
        sql`update audit_log set actor = 'nobody' where organization_id = ${proven.organizationId}`,
      )
      await tx.execute(sql`alter table audit_log enable always trigger audit_log_append_only`)
    })
    await failsWith({
      what: 'audit log',
      state: 'different',
      sentence: expect.stringContaining('Row 1 of the audit log was changed'),
    })
  })
})
