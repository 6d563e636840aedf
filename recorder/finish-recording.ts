import { createHash } from 'node:crypto'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { type Attempt, listAttempts } from '../db/attempts.ts'
import { readAuditHead } from '../db/audit.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { findRecording, listSegments, type Recording, type Segment } from '../db/recordings.ts'
import type { ContentChecks } from '../db/schema.ts'
import type { Log } from '../log.ts'
import { manifestKey, type RecordingPlace, videoKey } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'
import { checkRecording } from './check-recording.ts'
import { expectationOf } from './expect-content.ts'
import { isLastTry, markFinishFailed } from './give-up-finishing.ts'
import { type MadeVideo, makeVideo, NoVideo } from './make-video.ts'
import { buildManifest, canonicalManifest, type Manifest } from './manifest.ts'
import { proveStored } from './prove-stored.ts'
import { type FinishedFiles, publishVideo } from './publish-video.ts'
import { rebuildSegmentRows } from './rebuild-rows.ts'
import { removeWhatWasReplaced } from './remove-replaced.ts'
import { returnMemory } from './return-memory.ts'

/** Where the job is. It may die after any of them and is then done again from the beginning. */
export const FINISH_STEPS = [
  'planned',
  'joined',
  'uploaded',
  'checked',
  'verified',
  'manifest_stored',
  'published',
  'cleaned',
] as const
export type FinishStep = (typeof FINISH_STEPS)[number]

export interface FinishDeps {
  config: Config
  db: Database
  jobs: OpenJobs
  store: Store
  clock: Clock
  log: Log
  /** Told after each step. What it throws ends the job there. */
  onStep?: (step: FinishStep) => void | Promise<void>
}

/** Segments may keep coming while a video is made of those before them. */
const MOST_STARTS = 20

/**
 * The job `finish-recording`: segments from S3 → one MP4 → checked → S3, with a manifest beside it → `available`, or
 * `partial` when something is missing or wrong. Needs nothing of the machine that recorded, only the rows and the bucket
 * (rows that are missing are made from the bucket). May be repeated and may be killed at any step: what is published
 * changes in one transaction, and nothing is removed before that. Segments that come meanwhile start it anew.
 */
export async function finishRecording(
  parent: FinishDeps,
  recordingId: string,
  signal: AbortSignal,
): Promise<void> {
  const deps = { ...parent, log: parent.log.child({ recording: recordingId }) }
  const found = await findRecording(deps.db, { recordingId })
  if (!found) return
  const { recording } = found
  if (recording.status !== 'finishing') {
    // Killed between publishing and removing: the rest is done now.
    if (recording.s3Key !== null) await removeWhatWasReplaced(deps, recording, signal)
    return
  }
  try {
    for (let start = 1; start <= MOST_STARTS; start++) {
      if ((await finishOnce(deps, recording, signal)) === 'published') return
      deps.log.info({}, 'more segments came meanwhile; the video is made anew')
    }
    throw new Error(`segments kept coming for ${MOST_STARTS} videos`)
  } catch (error) {
    signal.throwIfAborted()
    const hopeless = error instanceof NoVideo && error.code === 'no_media'
    if (!hopeless && !(error instanceof NoVideo && (await isLastTry(deps.db, recordingId)))) throw error
    await markFinishFailed(deps, recordingId, error)
  }
}

async function finishOnce(
  deps: FinishDeps,
  recording: Recording,
  signal: AbortSignal,
): Promise<'published' | 'segments_came'> {
  const { config, db, store, clock, log } = deps
  const step = async (name: FinishStep) => {
    await deps.onStep?.(name)
    signal.throwIfAborted()
  }
  const workDir = join(config.dataDir, 'work', `finish-${recording.id}`)
  await rm(workDir, { recursive: true, force: true })
  await mkdir(workDir, { recursive: true })
  const startedAt = clock.now()
  returnMemory()
  try {
    await rebuildSegmentRows({ db, store, log, prefix: config.storage.prefix }, recording, signal)
    const attempts = await listAttempts(db, recording.id)
    const segments = await listSegments(db, recording.id)
    await step('planned')
    const video = await makeVideo({ store, log, workDir, signal }, { attempts, segments })
    returnMemory()
    await step('joined')
    const place: RecordingPlace & { revision: number } = {
      prefix: config.storage.prefix,
      organizationId: recording.organizationId,
      recordingId: recording.id,
      revision: recording.revision + 1,
    }
    // Looking at it and bringing it away touch nothing of each other; it is published only after both.
    const [stored, looked] = await inParallel(
      signal,
      async both => {
        const file = await storeVideo(deps, video.file, videoKey(place), both)
        await step('uploaded')
        return file
      },
      async both => {
        const result = await checkRecording(video.file, expectationOf(video, attempts, both))
        await step('checked')
        return result
      },
    )
    await proveStored(store, stored, { reread: !config.storage.keepSegments, signal })
    await step('verified')
    const { timeline, gaps } = video.plan
    const facts = { timeline, gaps, checks: looked.checks }
    const manifest = await storeManifest(
      deps,
      recording,
      { ...facts, attempts, segments, stored, place },
      signal,
    )
    await step('manifest_stored')
    const files: FinishedFiles = { video: stored, manifest, durationMs: looked.durationMs, ...facts }
    const outcome = await publishVideo(deps, recording, {
      files,
      segments,
      whole: isWhole(video, looked.checks),
      detail: { tookMs: Math.round(clock.now() - startedAt), attempts: countAttempts(video) },
    })
    if (outcome.kind === 'segments_came') return 'segments_came'
    await step('published')
    if (outcome.kind === 'published') await removeWhatWasReplaced(deps, outcome.recording, signal)
    await step('cleaned')
    return 'published'
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

/** Both, or the first failure after the other one has ended too: nothing goes on working in a folder that is gone. */
async function inParallel<One, Other>(
  signal: AbortSignal,
  one: (signal: AbortSignal) => Promise<One>,
  other: (signal: AbortSignal) => Promise<Other>,
): Promise<[One, Other]> {
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const guarded = async <T>(work: Promise<T>) => {
    try {
      return await work
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }
  const settled = await Promise.allSettled([guarded(one(both)), guarded(other(both))])
  const failed = settled.find(result => result.status === 'rejected')
  if (failed) throw stop.signal.aborted ? stop.signal.reason : failed.reason
  return settled.map(result => (result as PromiseFulfilledResult<unknown>).value) as [One, Other]
}

function isWhole({ plan, encodedAgain }: MadeVideo, checks: ContentChecks): boolean {
  const thinned = plan.pieces.some(({ segments }) => segments.some(segment => segment.thinned))
  return plan.gaps.length === 0 && !thinned && !encodedAgain && Object.values(checks).every(({ ok }) => ok)
}

const countAttempts = ({ plan }: MadeVideo) => new Set(plan.pieces.map(({ attemptId }) => attemptId)).size

async function storeVideo({ store }: FinishDeps, file: string, key: string, signal: AbortSignal) {
  const [sha256, { size }] = await Promise.all([hashFile(file), stat(file)])
  const contentType = 'video/mp4'
  await store.put(key, { file }, { contentType, sha256, lock: true, signal })
  return { key, sha256, sizeBytes: size, contentType }
}

async function storeManifest(
  { db, store }: FinishDeps,
  recording: Recording,
  facts: Pick<Manifest, 'timeline' | 'gaps' | 'checks'> & {
    attempts: readonly Attempt[]
    segments: readonly Segment[]
    stored: Manifest['files'][number]
    place: RecordingPlace & { revision: number }
  },
  signal: AbortSignal,
) {
  const { attempts, segments, stored, place, timeline, gaps, checks } = facts
  const manifest = buildManifest({
    recording,
    revision: place.revision,
    auditHead: await readAuditHead(db, recording.organizationId),
    attempts,
    segments,
    files: [stored],
    timeline,
    gaps,
    checks,
    coverage: recording.coverage,
  })
  const bytes = canonicalManifest(manifest)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const key = manifestKey(place)
  await store.put(key, bytes, { contentType: 'application/json', sha256, lock: true, signal })
  return { key, sha256 }
}

const HASH_BYTES = 1024 * 1024

/** SHA-256 of a file, in hexadecimal. */
async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  await using handle = await open(file, 'r')
  const held = Buffer.allocUnsafeSlow(HASH_BYTES)
  for (;;) {
    const { bytesRead } = await handle.read(held, 0, held.length)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(held.subarray(0, bytesRead))
  }
}
