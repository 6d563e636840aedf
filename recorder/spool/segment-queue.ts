import type { Clock } from '../../clock.ts'
import { withTimeout } from '../../clock.ts'
import type { Database } from '../../db/connect.ts'
import { addSegment } from '../../db/recordings.ts'
import type { segments } from '../../db/schema.ts'
import type { Log } from '../../log.ts'
import { segmentKey } from '../../storage/object-names.ts'
import type { Store } from '../../storage/s3.ts'
import { type Patience, reportTrouble, tryAgain } from './try-again.ts'
import type { SegmentFacts } from './work-folder.ts'

/** Whose segments they are. */
export interface SegmentOwner {
  organizationId: string
  recordingId: string
  attemptId: string
  attemptNumber: number
}

/** A segment between its closing and its row. */
export interface QueuedSegment {
  facts: SegmentFacts
  /** The bytes, when the disk had no room for them. */
  inMemory: Buffer | undefined
  /** `going`: an upload has begun, and what arrived of it is not known. `stored`: only the row is missing. */
  state: 'waiting' | 'going' | 'stored'
  /** By the process's steady clock. */
  takenAtMs: number
  /** Settles when nobody is replacing the bytes any more. */
  changing: Promise<void> | undefined
  /** Thinned, or thinning it gains nothing. */
  cannotShrink: boolean
}

export interface SegmentQueue {
  add(segment: QueuedSegment): void
  /** Resolves when nothing waits. */
  empty(): Promise<void>
  /** Ends what is under way; what waits stays as it is. */
  stop(): Promise<void>
}

interface QueueDeps {
  db: Database
  store: Store
  prefix: string
  log: Log
  clock: Clock
  patience: Patience
  /** `undefined` when there is nothing left to store. */
  bytesOf(segment: QueuedSegment): Promise<Buffer | undefined>
  /** The bytes are in the bucket. */
  stored(segment: QueuedSegment): Promise<void>
  /** The row is written, or will never be: the segment has left the queue. */
  left(segment: QueuedSegment, how: 'recorded' | 'lost'): Promise<void>
}

const UPLOADS_AT_ONCE = 3

/**
 * Segments on their way: up to three uploads at once, then the rows one after another in the order of recording, so that
 * rows never name a segment before its predecessor. Both are tried for ever.
 * @param waiting filled and emptied here, in the order of recording; others may read it
 */
export function openSegmentQueue(
  deps: QueueDeps,
  owner: SegmentOwner,
  waiting: QueuedSegment[],
): SegmentQueue {
  const { patience, clock, log } = deps
  const stop = new AbortController()
  const uploads = new Set<Promise<void>>()
  const reading = reportTrouble(log, 'a segment cannot be read from the disk')
  const storing = reportTrouble(log, 'segments cannot be stored')
  const writing = reportTrouble(log, 'rows of segments cannot be written')
  let rows: Promise<void> | undefined
  let emptied = Promise.withResolvers<void>()

  const until = (trouble: typeof storing) => ({ patience, trouble, clock, signal: stop.signal })

  async function upload(segment: QueuedSegment): Promise<void> {
    await segment.changing
    const bytes = await tryAgain(() => deps.bytesOf(segment), until(reading))
    if (bytes === undefined) {
      waiting.splice(waiting.indexOf(segment), 1)
      await deps.left(segment, 'lost')
      return
    }
    await tryAgain(
      () => putSegment({ ...deps, signal: stop.signal }, owner, segment.facts, bytes),
      until(storing),
    )
    segment.facts = { ...segment.facts, storedAtMs: clock.now() }
    segment.state = 'stored'
    await deps.stored(segment)
  }

  async function writeRows(): Promise<void> {
    for (let first = waiting[0]; first?.state === 'stored'; first = waiting[0]) {
      const row = rowOf(owner, deps.prefix, first.facts)
      await tryAgain(
        () => withTimeout(addSegment(deps.db, row), patience.rowTryMs, 'writing the row of a segment'),
        until(writing),
      )
      waiting.shift()
      await deps.left(first, 'recorded')
      log.debug(
        { segment: first.facts.number, afterTakenMs: Math.round(performance.now() - first.takenAtMs) },
        'segment stored',
      )
    }
  }

  function goOn(): void {
    if (stop.signal.aborted) return
    for (const segment of waiting) {
      if (uploads.size >= UPLOADS_AT_ONCE) break
      if (segment.state !== 'waiting') continue
      segment.state = 'going'
      const work = upload(segment).catch(unlessStopped)
      uploads.add(work)
      void work.then(() => {
        uploads.delete(work)
        goOn()
      })
    }
    if (waiting[0]?.state === 'stored')
      rows ??= writeRows()
        .catch(unlessStopped)
        .then(() => {
          rows = undefined
          goOn()
        })
    if (waiting.length > 0) return
    emptied.resolve()
    emptied = Promise.withResolvers()
  }

  function unlessStopped(error: unknown): void {
    if (!stop.signal.aborted) log.error({ error }, 'the queue of segments met an error it does not know')
  }

  return {
    add(segment) {
      waiting.push(segment)
      goOn()
    },
    empty: () => (waiting.length === 0 ? Promise.resolve() : emptied.promise),
    async stop() {
      stop.abort(new Error('the segments stay where they are'))
      await Promise.all([...uploads, rows])
    },
  }
}

/** One try to bring a segment to the bucket. */
export async function putSegment(
  {
    store,
    prefix,
    patience,
    signal,
  }: Pick<QueueDeps, 'store' | 'prefix' | 'patience'> & { signal: AbortSignal },
  owner: SegmentOwner,
  { number, sha256 }: SegmentFacts,
  bytes: Buffer,
): Promise<void> {
  const tryMs = Math.round(patience.uploadTryMs(bytes.length))
  await store.put(keyOf(owner, prefix, number), bytes, {
    contentType: 'video/mp4',
    sha256,
    tryMs,
    lock: 'if_kept',
    signal,
  })
}

/** The row of a stored segment. */
export function rowOf(
  owner: SegmentOwner,
  prefix: string,
  { number, sha256, sizeBytes, startMs, durationMs, wallClockStartMs, thinned, storedAtMs }: SegmentFacts,
): typeof segments.$inferInsert {
  if (storedAtMs === undefined) throw new Error(`segment ${number} is not stored`)
  return {
    organizationId: owner.organizationId,
    attemptId: owner.attemptId,
    number,
    s3Key: keyOf(owner, prefix, number),
    sha256,
    sizeBytes,
    startMs: Math.round(startMs),
    durationMs: Math.round(durationMs),
    startedAt: new Date(wallClockStartMs),
    endedAt: new Date(wallClockStartMs + durationMs),
    storedAt: new Date(storedAtMs),
    thinned,
  }
}

const keyOf = (
  { organizationId, recordingId, attemptNumber }: SegmentOwner,
  prefix: string,
  number: number,
) => segmentKey({ prefix, organizationId, recordingId, attempt: attemptNumber, number })
