import { mkdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from '../db/connect.ts'
import { addSegment } from '../db/recordings.ts'
import type { Log } from '../log.ts'
import { segmentKey } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'
import type { Segment } from './capture/segmenter.ts'

export interface SegmentOwner {
  organizationId: string
  recordingId: string
  attemptId: string
  attemptNumber: number
}

export interface SegmentStore {
  /** Takes a closed segment onto the disk; rejects when an earlier one could not be stored or too many wait. */
  take(segment: Segment): Promise<void>
  /** Resolves when everything taken is stored, or rejects with the first failure. */
  drained(): Promise<void>
}

/** Segments could not be stored: the bucket refuses for good, or more wait than the disk bound allows. */
export class SegmentsNotStored extends Error {
  readonly code = 'segments_not_stored'
}

const AT_ONCE = 3
/** About two hours at 2.5 Mbit/s; a bucket away for longer than that needs a person. */
const MOST_WAITING_BYTES = 2_500_000_000

/**
 * Closed → hashed → on the disk → in S3 → in the database, in this order (DESIGN.md §2.5). Up to three uploads run at
 * once; rows are written in the order of the segments, so that the rows never name a segment before its predecessor.
 */
export function openSegmentStore(
  deps: { db: Database; store: Store; prefix: string; workDir: string; log: Log; now: () => number },
  owner: SegmentOwner,
): SegmentStore {
  const { db, store, log } = deps
  const running = new Set<Promise<void>>()
  let published: Promise<void> = Promise.resolve()
  let failure: unknown
  let waitingBytes = 0

  async function put(segment: Segment, file: string): Promise<{ key: string; storedAt: Date }> {
    const key = segmentKey({
      prefix: deps.prefix,
      organizationId: owner.organizationId,
      recordingId: owner.recordingId,
      attempt: owner.attemptNumber,
      number: segment.number,
    })
    await store.put(key, { file }, { contentType: 'video/mp4', sha256: segment.sha256 })
    return { key, storedAt: new Date(deps.now()) }
  }

  async function publish(
    segment: Segment,
    file: string,
    stored: Promise<{ key: string; storedAt: Date }>,
    before: Promise<void>,
  ): Promise<void> {
    const { key, storedAt } = await stored
    await before
    const startedAt = new Date(segment.wallClockStartMs)
    const endedAt = new Date(segment.wallClockStartMs + segment.durationMs)
    await addSegment(db, {
      organizationId: owner.organizationId,
      attemptId: owner.attemptId,
      number: segment.number,
      s3Key: key,
      sha256: segment.sha256,
      sizeBytes: segment.bytes.length,
      startMs: Math.round(segment.startMs),
      durationMs: Math.round(segment.durationMs),
      startedAt,
      endedAt,
      storedAt,
    })
    await unlink(file)
    log.debug(
      { segment: segment.number, afterLastFrameMs: storedAt.getTime() - endedAt.getTime() },
      'segment stored',
    )
  }

  return {
    async take(segment) {
      if (failure) throw failure
      if (waitingBytes + segment.bytes.length > MOST_WAITING_BYTES)
        throw new SegmentsNotStored('too many segments wait to be stored')
      await mkdir(deps.workDir, { recursive: true })
      const file = join(deps.workDir, `${String(segment.number).padStart(5, '0')}.part`)
      await writeFile(file, segment.bytes)
      while (running.size >= AT_ONCE) await Promise.race(running)
      waitingBytes += segment.bytes.length
      const stored = put(segment, file)
      const work = publish(segment, file, stored, published).catch((error: unknown) => {
        failure ??= new SegmentsNotStored(`segment ${segment.number} could not be stored`, { cause: error })
        log.error({ error, segment: segment.number }, 'a segment could not be stored')
      })
      published = work
      running.add(work)
      void work.then(() => {
        running.delete(work)
        waitingBytes -= segment.bytes.length
      })
    },
    async drained() {
      await Promise.all(running)
      if (failure) throw failure
    },
  }
}
