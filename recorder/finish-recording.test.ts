import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { listAuditOf } from '../db/audit.ts'
import { attempts, segments as segmentRows } from '../db/schema.ts'
import { BEGAN_AT, type FinishWorld, openFinishWorld } from '../sandbox/journeys/finish-world.ts'
import { makeCapture, segmentsOf, withBrokenEnd } from './capture/media-for-tests.ts'
import { probeMedia } from './capture/probe-media.ts'
import type { Segment } from './capture/segmenter.ts'
import { compareWithBucket } from './compare-bucket.ts'
import { FINISH_STEPS, type FinishDeps, finishRecording } from './finish-recording.ts'
import { canonicalManifest, manifestSchema } from './manifest.ts'
import { findRowsWithoutObjects, rebuildSegmentRows } from './rebuild-rows.ts'
import { sweep } from './sweep.ts'

// Finishing needs rows and a bucket, no browser: the segments come from ffmpeg.

let world: FinishWorld
let segments: Segment[]
let smaller: Segment[]

beforeAll(async () => {
  world = await openFinishWorld()
  segments = await segmentsOf(await makeCapture(world.dir, { seconds: 10 }))
  smaller = await segmentsOf(await makeCapture(world.dir, { seconds: 6, width: 160, height: 120 }))
})
afterAll(() => world?.[Symbol.asyncDispose]())

const finish = (recordingId: string, changed: Partial<FinishDeps> = {}) =>
  finishRecording({ ...world.deps, ...changed }, recordingId, new AbortController().signal)
const at = (ms: number) => new Date(BEGAN_AT + ms).toISOString()
const keyOf = (recordingId: string, name: string) => `${world.organizationId}/${recordingId}/${name}`
const withoutSegments = (): Partial<FinishDeps> => ({
  config: { ...world.config, storage: { ...world.config.storage, keepSegments: false } },
})

async function bytesOf(key: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of await world.store.get(key)) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

async function fileOf(key: string | null): Promise<string> {
  const file = join(world.dir, `${randomUUID()}.mp4`)
  await world.store.getToFile(key ?? '', file)
  return file
}

test('the segments of a call become one video that is what the row says', async () => {
  const recordingId = await world.recorded({ segments })
  await finish(recordingId)
  const row = await world.read(recordingId)
  expect(row).toMatchObject({
    status: 'available',
    ending: 'call_ended_by_host',
    revision: 1,
    gaps: [],
    driveStatus: 'none',
  })
  const file = await fileOf(row.s3Key)
  expect((await probeMedia(file)).durationMs).toBeCloseTo(10_000, -2)
  expect(row.durationMs).toBeCloseTo(10_000, -2)
  expect(row.timeline).toMatchObject([{ fileStartMs: 0, clockStart: at(0), attempt: 1 }])
  expect(row.timeline?.[0]?.fileEndMs).toBeCloseTo(10_000, -2)
  expect(await world.listed(recordingId)).toContain('attempt-001/seg-00001.m4s')
})

test('the manifest beside the video says what it was made of, and its hash stands in the audit log', async () => {
  const recordingId = await world.recorded({ segments })
  await finish(recordingId)
  const row = await world.read(recordingId)
  const bytes = await bytesOf(row.manifestKey ?? '')
  const manifest = manifestSchema.parse(JSON.parse(bytes.toString('utf8')))
  expect(canonicalManifest(manifest).equals(bytes)).toBe(true)
  expect(manifest.segments).toHaveLength(segments.length)
  expect(manifest.files).toEqual([
    { key: row.s3Key, sha256: row.sha256, sizeBytes: row.sizeBytes, contentType: 'video/mp4' },
  ])
  const about = await listAuditOf(world.deps.db, world.organizationId, `recording:${recordingId}`)
  const told = about.find(entry => entry.action === 'recording.finished')
  expect(told).toMatchObject({
    action: 'recording.finished',
    detail: { revision: 1, manifestSha256: row.manifestSha256, fileSha256: row.sha256 },
  })
})

test('finishing a second time changes nothing', async () => {
  const recordingId = await world.recorded({ segments })
  await finish(recordingId)
  const before = await world.read(recordingId)
  await finish(recordingId)
  expect(await world.read(recordingId)).toEqual(before)
})

test('two attempts come out as one video with chapters; the gap between them has its reason and its time', async () => {
  const recordingId = await world.recorded(
    { segments, ending: 'browser_died' },
    { segments, atMs: 17_500, clockOffsetMs: 4321 },
  )
  await finish(recordingId)
  const row = await world.read(recordingId)
  expect(row.status).toBe('partial')
  expect(row.durationMs).toBeCloseTo(20_000, -2)
  const [gap] = row.gaps ?? []
  expect(gap).toMatchObject({ to: at(17_500), reason: 'browser_died' })
  expect(gap?.ms).toBeCloseTo(7_500, -2)
  const [first, second] = row.timeline ?? []
  expect(second).toMatchObject({ fileStartMs: first?.fileEndMs, attempt: 2 })
  expect(Date.parse(second?.clockStart ?? '')).toBeCloseTo(BEGAN_AT + 17_500, -1.5)
  expect((await bytesOf(row.s3Key ?? '')).includes("browser or the call's page crashed")).toBe(true)
})

test('an overlap of two attempts is in the video once, and the recording is whole', async () => {
  const recordingId = await world.recorded({ segments, ending: 'handed_over' }, { segments, atMs: 5_000 })
  await finish(recordingId)
  const row = await world.read(recordingId)
  expect(row).toMatchObject({ status: 'available', gaps: [] })
  expect(row.durationMs).toBeCloseTo(15_000, -2)
  expect(row.timeline?.map(({ attempt }) => attempt)).toEqual([1, 2])
})

test('a silent black picture is reported, not hidden', async () => {
  const dark = await segmentsOf(
    await makeCapture(world.dir, { seconds: 6, picture: 'color=c=black', sound: 'anullsrc=r=44100' }),
  )
  const recordingId = await world.recorded({ segments: dark })
  await finish(recordingId)
  const row = await world.read(recordingId)
  expect(row.status).toBe('partial')
  expect(row.checks).toMatchObject({
    black: { ok: false },
    silent: { ok: false },
    decodable: { ok: true },
    tracks: { ok: true },
  })
})

test('silence while somebody was seen speaking is reported', async () => {
  const sound = "aevalsrc='if(lt(t,2),0.2*sin(2*PI*300*t),0)':s=44100"
  const mute = await segmentsOf(await makeCapture(world.dir, { seconds: 11, sound }))
  const speech = [{ fromMs: 3_000, toMs: 9_500 }]
  const recordingId = await world.recorded({ segments: mute, speech })
  await finish(recordingId)
  expect(await world.read(recordingId)).toMatchObject({
    status: 'partial',
    checks: { silent: { ok: true }, speech: { ok: false, speechSilentMs: expect.closeTo(6_500, -2) } },
  })
})

test.each(['damaged', 'gone', 'stored broken'] as const)(
  'a segment that is %s costs its own seconds and nothing else',
  async how => {
    const stored =
      how === 'stored broken'
        ? segments.map(segment => (segment.number === 2 ? withBrokenEnd(segment) : segment))
        : segments
    const recordingId = await world.recorded({ segments: stored })
    const victim = keyOf(recordingId, 'attempt-001/seg-00002.m4s')
    if (how === 'gone') await world.store.remove([victim])
    else if (how === 'damaged')
      await world.store.put(victim, Buffer.alloc(2000, 7), { contentType: 'video/mp4' })
    await finish(recordingId)
    const row = await world.read(recordingId)
    expect(row).toMatchObject({
      status: 'partial',
      gaps: [{ from: at(4_000), to: at(8_000), ms: 4_000, reason: 'segment_lost' }],
    })
    expect(row.durationMs).toBeCloseTo(6_000, -2)
    expect(row.timeline?.map(({ clockStart }) => clockStart.slice(17, 22))).toEqual(['00.00', '08.00'])
  },
)

test('an attempt whose init piece is lost borrows that of another one', async () => {
  const recordingId = await world.recorded({ segments, ending: 'recorder_died' }, { segments, atMs: 12_000 })
  await world.store.remove([keyOf(recordingId, 'attempt-002/init.mp4')])
  await finish(recordingId)
  const row = await world.read(recordingId)
  expect(row.durationMs).toBeCloseTo(20_000, -2)
  expect(row.checks).toMatchObject({ decodable: { ok: true } })
})

test('attempts of different picture sizes are encoded alike', async () => {
  const recordingId = await world.recorded(
    { segments, ending: 'recorder_died' },
    { segments: smaller, atMs: 12_000 },
  )
  await finish(recordingId)
  const row = await world.read(recordingId)
  expect(row.status).toBe('partial')
  expect(row.durationMs).toBeCloseTo(16_000, -2.5)
  expect(row.checks).toMatchObject({ decodable: { ok: true }, duration: { ok: true }, tracks: { ok: true } })
  const { video } = await probeMedia(await fileOf(row.s3Key))
  expect(video).toMatchObject({ width: 320, height: 180 })
})

test('a recording of which nothing can be read ends as failed, with its reason', async () => {
  const recordingId = await world.recorded({ segments })
  await world.store.remove(segments.map(({ number }) => keyOf(recordingId, nameOf(number))))
  await finish(recordingId)
  expect(await world.read(recordingId)).toMatchObject({
    status: 'failed',
    ending: 'finish_failed',
    s3Key: null,
  })
})

const nameOf = (number: number) =>
  number === 0 ? 'attempt-001/init.mp4' : `attempt-001/seg-${String(number).padStart(5, '0')}.m4s`

test('while the bucket is away nothing is decided: the job comes back', async () => {
  const recordingId = await world.recorded({ segments })
  const store = { ...world.store, get: () => Promise.reject(new Error('the bucket is away')) }
  await expect(finish(recordingId, { store })).rejects.toThrow('the bucket is away')
  expect((await world.read(recordingId)).status).toBe('finishing')
})

test('where the settings say so the segments go, but only after the video was read back', async () => {
  const recordingId = await world.recorded({ segments })
  await finish(recordingId, withoutSegments())
  expect(await world.listed(recordingId)).toEqual(['manifest.json', 'recording.mp4'])
  expect((await world.read(recordingId)).segmentsRemovedAt).not.toBeNull()
})

test('a video that was damaged on its way into the bucket is not published, and no segment is removed', async () => {
  const recordingId = await world.recorded({ segments })
  const get: typeof world.store.get = async (key, signal) => {
    if (key.endsWith('recording.mp4'))
      await world.store.put(key, Buffer.alloc(100), { contentType: 'video/mp4' })
    return world.store.get(key, signal)
  }
  const damaging = { ...world.store, get }
  await expect(finish(recordingId, { ...withoutSegments(), store: damaging })).rejects.toMatchObject({
    code: 'not_stored',
  })
  expect(await world.read(recordingId)).toMatchObject({ status: 'finishing', s3Key: null })
  expect(await world.listed(recordingId)).toContain('attempt-001/seg-00001.m4s')
})

test('segments that come while the video is made are in it', async () => {
  const recordingId = await world.recorded({ segments: segments.slice(0, 3), withoutRow: [] })
  const late = segments[3] as Segment
  let came = false
  await finish(recordingId, {
    onStep: async step => {
      if (step !== 'verified' || came) return
      came = true
      await addLate(recordingId, late)
    },
  })
  const row = await world.read(recordingId)
  expect(row).toMatchObject({ status: 'available', revision: 1, gaps: [] })
  expect(row.durationMs).toBeCloseTo(10_000, -2)
})

/** A segment of the first attempt that reaches the bucket late. */
async function addLate(
  recordingId: string,
  { number, bytes, sha256, startMs, durationMs }: Segment,
): Promise<void> {
  const { db } = world.deps
  const s3Key = keyOf(recordingId, nameOf(number))
  await world.store.put(s3Key, bytes, { contentType: 'video/mp4' })
  const [attempt] = await db.select().from(attempts).where(eq(attempts.recordingId, recordingId))
  if (!attempt) throw new Error('the attempt is not there')
  const startedAt = new Date(BEGAN_AT + startMs)
  const endedAt = new Date(BEGAN_AT + startMs + durationMs)
  await db.insert(segmentRows).values({
    ...{ organizationId: world.organizationId, attemptId: attempt.id, number, s3Key, sha256 },
    sizeBytes: bytes.length,
    startMs: Math.round(startMs),
    durationMs: Math.round(durationMs),
    ...{ startedAt, endedAt, storedAt: new Date() },
  })
}

const reopen = (recordingId: string) =>
  world.deps.db.execute(sql`update recordings set status = 'finishing' where id = ${recordingId}`)

test('late segments make a new revision, which replaces the video before it', async () => {
  const recordingId = await world.recorded({ segments: segments.slice(0, 3) })
  await finish(recordingId)
  await addLate(recordingId, segments[3] as Segment)
  await reopen(recordingId)
  await finish(recordingId)
  const row = await world.read(recordingId)
  expect(row).toMatchObject({
    status: 'available',
    revision: 2,
    s3Key: keyOf(recordingId, 'recording-r2.mp4'),
  })
  expect(row.durationMs).toBeCloseTo(10_000, -2)
  const names = await world.listed(recordingId)
  expect(names.filter(name => !name.startsWith('attempt'))).toEqual([
    'manifest-r2.json',
    'manifest.json',
    'recording-r2.mp4',
  ])
})

test('a video whose segments are gone is never replaced by a shorter one', async () => {
  const recordingId = await world.recorded({ segments: segments.slice(0, 3) })
  await finish(recordingId, withoutSegments())
  const before = await world.read(recordingId)
  await world.store.put(keyOf(recordingId, nameOf(0)), (segments[0] as Segment).bytes, {
    contentType: 'video/mp4',
  })
  await addLate(recordingId, segments[3] as Segment)
  await reopen(recordingId)
  await finish(recordingId, withoutSegments())
  expect(await world.read(recordingId)).toMatchObject({
    status: 'partial',
    revision: 1,
    s3Key: before.s3Key,
    sha256: before.sha256,
    durationMs: before.durationMs,
  })
  expect(await world.listed(recordingId)).toContain('recording.mp4')
  expect(await world.listed(recordingId)).toContain(nameOf(3))
})

test('rows that are missing are made from the bucket, with the times they had', async () => {
  const recordingId = await world.recorded({ segments, withoutRow: [2, 3] })
  await world.store.put(keyOf(recordingId, 'attempt-001/seg-00009.m4s'), Buffer.from('no media'), {
    contentType: 'video/mp4',
  })
  const written = await rebuildSegmentRows(
    { ...world.deps, prefix: '' },
    await world.read(recordingId),
    new AbortController().signal,
  )
  expect(written).toBe(2)
  await finish(recordingId)
  expect(await world.read(recordingId)).toMatchObject({ status: 'available', gaps: [] })
})

test('without a single row the recording is made from the bucket alone', async () => {
  const recordingId = await world.recorded({ segments, withoutRow: segments.map(({ number }) => number) })
  await finish(recordingId)
  expect(await world.read(recordingId)).toMatchObject({
    status: 'available',
    timeline: [{ clockStart: at(0) }],
  })
})

test('rows whose objects are gone are found', async () => {
  const recordingId = await world.recorded({ segments })
  await world.store.remove([keyOf(recordingId, nameOf(2))])
  const found = await findRowsWithoutObjects({ ...world.deps, prefix: '' }, await world.read(recordingId))
  expect(found.map(({ number }) => number)).toEqual([2])
})

test.each(FINISH_STEPS)(
  'a job that ends after "%s" is done again, and leaves nothing behind',
  async dieAfter => {
    const recordingId = await world.recorded({ segments })
    const dying = finish(recordingId, {
      ...withoutSegments(),
      onStep: step => {
        if (step === dieAfter) throw new Error('killed')
      },
    })
    await expect(dying).rejects.toThrow('killed')
    await finish(recordingId, withoutSegments())
    const row = await world.read(recordingId)
    expect(row).toMatchObject({ status: 'available', revision: 1 })
    expect(await world.listed(recordingId)).toEqual(['manifest.json', 'recording.mp4'])
    expect((await probeMedia(await fileOf(row.s3Key))).durationMs).toBeCloseTo(10_000, -2)
  },
)

test('a job whose process is killed by SIGKILL after each of its steps in turn still ends with the whole video', async () => {
  const recordingId = await world.recorded({ segments })
  for (const dieAfter of FINISH_STEPS.filter(step => step !== 'cleaned'))
    expect(await runFinish(recordingId, dieAfter), dieAfter).toEqual({ code: null, signal: 'SIGKILL' })
  expect(await runFinish(recordingId)).toEqual({ code: 0, signal: null })
  const row = await world.read(recordingId)
  expect(row).toMatchObject({ status: 'available', revision: 1, gaps: [] })
  expect((await probeMedia(await fileOf(row.s3Key))).durationMs).toBeCloseTo(10_000, -2)
}, 120_000)

/** The job in a process of its own, which ends itself after a step. */
async function runFinish(recordingId: string, ...dieAfter: string[]) {
  const entry = join(import.meta.dirname, 'finish-for-tests.ts')
  const child = spawn(process.execPath, [entry, recordingId, ...dieAfter], {
    env: { PATH: process.env.PATH, ...world.env },
    stdio: 'ignore',
    timeout: 60_000,
  })
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return { code, signal }
}

test('the sweep gives a recording that lost its job a new one, once', async () => {
  const recordingId = await world.recorded({ segments })
  await sweep(world.deps, AbortSignal.timeout(30_000))
  await sweep(world.deps, AbortSignal.timeout(30_000))
  const rows = await world.deps.db.execute(
    sql`select name from pgboss.job where name = 'finish-recording' and singleton_key = ${recordingId}`,
  )
  expect([...rows]).toHaveLength(1)
})

test('what is in the bucket and not in the rows comes back into the video; what is missing there is told', async () => {
  const { db } = world.deps
  const recordingId = await world.recorded({ segments })
  const rows = await db
    .select()
    .from(segmentRows)
    .innerJoin(attempts, eq(attempts.id, segmentRows.attemptId))
    .where(eq(attempts.recordingId, recordingId))
  const last = rows.map(row => row.segments).sort((one, other) => other.number - one.number)[0]
  if (!last) throw new Error('there is no segment')
  const late = await bytesOf(last.s3Key)
  await db.delete(segmentRows).where(eq(segmentRows.s3Key, last.s3Key))
  await world.store.remove([last.s3Key])
  await finish(recordingId)
  const short = await world.read(recordingId)
  await world.store.put(last.s3Key, late, { contentType: 'video/mp4' })
  // A pass looks at a bounded number of recordings: those of the other tests count as looked at.
  await db.execute(sql`update recordings set bucket_checked_at = updated_at where id <> ${recordingId}`)
  const compare = () => compareWithBucket(world.deps, AbortSignal.timeout(30_000), -60_000)
  await compare()
  expect(await world.read(recordingId)).toMatchObject({ status: 'finishing' })
  await finish(recordingId)
  const whole = await world.read(recordingId)
  expect(whole).toMatchObject({ revision: 2, status: 'available' })
  expect((whole.durationMs ?? 0) - (short.durationMs ?? 0)).toBeGreaterThan(last.durationMs - 100)
  await world.store.remove([last.s3Key])
  await compare()
  const told = await db.execute(
    sql`select detail from meeting_events where meeting_id = ${whole.meetingId} and kind = 'recording.segments_missing'`,
  )
  expect([...told]).toEqual([{ detail: { count: 1, keys: [last.s3Key] } }])
  await compare()
  expect((await world.read(recordingId)).revision).toBe(2)
})
