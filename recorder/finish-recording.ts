import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { eq } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { type Attempt, listAttempts } from '../db/attempts.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { findRecording, listSegments, moveRecording, type Recording, type Segment } from '../db/recordings.ts'
import { recordings } from '../db/schema.ts'
import type { Log } from '../log.ts'
import { videoKey } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'
import { joinSegments } from './capture/join-segments.ts'
import { checkRecording } from './check-recording.ts'

export interface FinishDeps {
  config: Config
  db: Database
  jobs: OpenJobs
  store: Store
  clock: Clock
  log: Log
}

/** A stored segment is not what was recorded. */
export class SegmentDamaged extends Error {
  readonly code = 'segment_damaged'
}

const FETCHES_AT_ONCE = 8

/**
 * The job `finish-recording`: segments from S3 → one MP4 → checked → S3 → `available`. Needs nothing of the machine that
 * recorded, and may be repeated: until the last step nothing that exists is changed.
 */
export async function finishRecording(
  { config, db, jobs, store, clock, log: parentLog }: FinishDeps,
  recordingId: string,
  signal: AbortSignal,
): Promise<void> {
  const log = parentLog.child({ recording: recordingId })
  const found = await findRecording(db, { recordingId })
  if (found?.recording.status !== 'finishing') {
    log.info({ status: found?.recording.status }, 'nothing to finish')
    return
  }
  const { recording } = found
  const workDir = join(config.dataDir, 'work', `finish-${recordingId}`)
  await rm(workDir, { recursive: true, force: true })
  await mkdir(workDir, { recursive: true })
  try {
    const startedAt = clock.now()
    const parts = await fetchParts(db, store, recordingId, workDir, signal)
    const file = join(workDir, 'recording.mp4')
    await joinSegments(parts, file, { signal })
    const { durationMs, checks } = await checkRecording(file, expectationOf(parts, signal))
    const sha256 = await hashFile(file)
    const { size } = await stat(file)
    const key = videoKey({
      prefix: config.storage.prefix,
      organizationId: recording.organizationId,
      recordingId,
    })
    await store.put(key, { file }, { contentType: 'video/mp4', sha256, signal })
    const whole = parts.length === 1 && Object.values(checks).every(result => result.ok)
    await db.transaction(async tx => {
      const drive = config.google.driveFolder !== undefined
      await moveRecording(tx, recordingId, whole ? 'available' : 'partial', {
        actor: 'job:finish-recording',
        set: {
          s3Key: key,
          sha256,
          sizeBytes: size,
          durationMs,
          checks,
          availableAt: new Date(clock.now()),
          driveStatus: drive ? 'pending' : 'none',
        },
        detail: { tookMs: clock.now() - startedAt, attempts: parts.length },
      })
      if (drive) await jobs.send(tx, 'copy-to-drive', { recordingId }, { key: recordingId })
    })
    log.info({ tookMs: clock.now() - startedAt, durationMs, sizeBytes: size, whole }, 'recording available')
    if (!config.storage.keepSegments) await removeSegments({ db, store, log, clock }, recording)
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

interface Part {
  attempt: Attempt
  init: string
  media: string[]
  mediaMs: number
}

async function fetchParts(
  db: Database,
  store: Store,
  recordingId: string,
  workDir: string,
  signal: AbortSignal,
): Promise<Part[]> {
  const attempts = await listAttempts(db, recordingId)
  const segments = await listSegments(db, recordingId)
  const parts: Part[] = []
  for (const attempt of attempts) {
    const own = segments.filter(segment => segment.attemptId === attempt.id)
    if (!own.some(segment => segment.number > 0)) continue
    const pathOf = (segment: Segment) =>
      join(workDir, `${attempt.number}-${String(segment.number).padStart(5, '0')}`)
    const waiting = [...own]
    await Promise.all(
      Array.from({ length: FETCHES_AT_ONCE }, async () => {
        for (let segment = waiting.shift(); segment; segment = waiting.shift()) {
          signal.throwIfAborted()
          await store.getToFile(segment.s3Key, pathOf(segment), signal)
          if ((await hashFile(pathOf(segment))) !== segment.sha256)
            throw new SegmentDamaged(`${segment.s3Key} is not what was recorded`)
        }
      }),
    )
    const init = own.find(segment => segment.number === 0)
    if (!init) throw new SegmentDamaged(`attempt ${attempt.number} has no initialisation segment`)
    const media = own.filter(segment => segment.number > 0)
    parts.push({
      attempt,
      init: pathOf(init),
      media: media.map(pathOf),
      mediaMs: media.reduce((sum, segment) => sum + segment.durationMs, 0),
    })
  }
  return parts
}

function expectationOf(parts: readonly Part[], signal: AbortSignal) {
  const expectedDurationMs = parts.reduce((sum, part) => sum + part.mediaMs, 0)
  const lobbyMs = parts.reduce((sum, part) => sum + part.attempt.notInCallMs, 0)
  return { expectedDurationMs, lobbyMs, signal }
}

/** SHA-256 of a file, in hexadecimal. */
async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

// Only after the video is published: until then the segments are the recording.
async function removeSegments(
  { db, store, log, clock }: Pick<FinishDeps, 'db' | 'store' | 'log' | 'clock'>,
  recording: Recording,
): Promise<void> {
  try {
    const keys = (await listSegments(db, recording.id)).map(segment => segment.s3Key)
    await store.remove(keys)
    await db
      .update(recordings)
      .set({ segmentsRemovedAt: new Date(clock.now()) })
      .where(eq(recordings.id, recording.id))
  } catch (error) {
    log.warn({ error }, 'the segments could not be removed; they stay')
  }
}
