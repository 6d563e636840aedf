import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { and, eq, like } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { moveRecording } from '../../db/recordings.ts'
import { segments as segmentRows } from '../../db/schema.ts'
import { makeCapture, segmentsOf } from '../../recorder/capture/media-for-tests.ts'
import type { Segment } from '../../recorder/capture/segmenter.ts'
import { finishRecording } from '../../recorder/finish-recording.ts'
import {
  type FinishWorld,
  openFinishWorld,
  type RecordedAttempt,
} from '../../sandbox/journeys/finish-world.ts'
import { describeFindings, verdictOf } from './findings.ts'
import { readManifest } from './read-manifest.ts'
import { verifyManifest, verifyRecording } from './verify-recording.ts'

// What finishing itself leaves behind is proven, whatever happened to the call.

let world: FinishWorld
let segments: Segment[]

beforeAll(async () => {
  world = await openFinishWorld()
  segments = await segmentsOf(await makeCapture(world.dir, { seconds: 12 }))
})
afterAll(() => world?.[Symbol.asyncDispose]())

async function finish(recordingId: string, keepSegments = true): Promise<void> {
  const config = { ...world.config, storage: { ...world.config.storage, keepSegments } }
  await finishRecording({ ...world.deps, config }, recordingId, new AbortController().signal)
}
async function prove(recordingId: string) {
  const proof = await verifyRecording({ db: world.deps.db, store: world.store }, recordingId)
  const findings = proof?.findings ?? []
  return { verdict: verdictOf(findings), words: describeFindings(findings) }
}
async function loseObject(recordingId: string, name: string): Promise<void> {
  await world.store.remove([`${world.organizationId}/${recordingId}/${name}`])
}

test.each<[string, (all: Segment[]) => RecordedAttempt[], string]>([
  ['one attempt', all => [{ segments: all }], 'from 1 stretch of the call, with 0 named gaps'],
  [
    'two attempts with a gap, on machines with other clocks',
    all => [
      { segments: all, ending: 'browser_died', clockOffsetMs: -60_000 },
      { segments: all, atMs: 19_500, clockOffsetMs: 4321 },
    ],
    'from 2 stretches of the call, with 1 named gap',
  ],
  [
    'a handover that overlaps',
    all => [
      { segments: all, ending: 'handed_over' },
      { segments: all, atMs: 5000 },
    ],
    'from 2 stretches of the call, with 0 named gaps',
  ],
  [
    'a segment that never got anywhere',
    all => [{ segments: all.filter(({ number }) => number !== 2), clockOffsetMs: -3000 }],
    'from 2 stretches of the call, with 1 named gap',
  ],
])('%s', async (_name, attempts, words) => {
  const recordingId = await world.recorded(...attempts(segments))
  await finish(recordingId)
  const proof = await prove(recordingId)
  expect(proof.words).toContain(words)
  expect(proof.verdict, proof.words).toBe('holds')
})

test('a segment that was gone when the video was made is told from one that went later', async () => {
  const recordingId = await world.recorded({ segments, clockOffsetMs: -3000 })
  await loseObject(recordingId, 'attempt-001/seg-00002.m4s')
  await finish(recordingId)
  const before = await prove(recordingId)
  expect(before.words).toMatch(/^lost .* segment: .*seg-00002\.m4s was gone when the video was made/m)
  expect(before.verdict).toBe('holds')
  await loseObject(recordingId, 'attempt-001/seg-00003.m4s')
  const after = await prove(recordingId)
  expect(after.words).toMatch(/^MISSING .* segment: .*seg-00003\.m4s is not in the bucket/m)
  expect(after.verdict).toBe('fails')
})

test('segments that finishing removed itself', async () => {
  const recordingId = await world.recorded({ segments })
  await finish(recordingId, false)
  const { verdict, words } = await prove(recordingId)
  expect(words).toMatch(/^removed .* segment: 4 of them: removed after publishing, as set\.$/m)
  expect(verdict).toBe('holds')
})

test('a second revision, and the manifest of the first', async () => {
  const late = 3
  const recordingId = await world.recorded({ segments, withoutRow: [late] })
  const key = `${world.organizationId}/${recordingId}/attempt-001/seg-00003.m4s`
  const file = join(world.dir, 'late.m4s')
  await world.store.getToFile(key, file)
  await world.store.remove([key])
  await finish(recordingId)
  const first = await readBytes((await world.read(recordingId)).manifestKey ?? '')
  await world.store.put(key, { file }, { contentType: 'video/mp4' })
  await rm(file)
  await world.deps.db.transaction(tx => moveRecording(tx, recordingId, 'finishing', { actor: 'test' }))
  await finish(recordingId)
  expect(await world.read(recordingId)).toMatchObject({ revision: 2 })
  const rows = await world.deps.db
    .select()
    .from(segmentRows)
    .where(and(like(segmentRows.s3Key, `%${recordingId}%`), eq(segmentRows.number, late)))
  expect(rows).toHaveLength(1)

  const now = await prove(recordingId)
  expect(now.verdict, now.words).toBe('holds')
  const { findings } = await verifyManifest(
    { db: world.deps.db, store: world.store },
    readManifest(first, 'manifest.json'),
  )
  const words = describeFindings(findings)
  expect(words).toMatch(/^ok .* manifest: It is of revision 1; the database stands at revision 2\.$/m)
  expect(words).toMatch(/^removed .* file: .*recording\.mp4 was replaced by the video of revision 2\.$/m)
  expect(verdictOf(findings), words).toBe('holds')
})

async function readBytes(key: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of await world.store.get(key)) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}
