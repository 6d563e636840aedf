// Stored segments of all attempts → one MP4 on this disk, with whatever can be saved of damaged ones.
import { join } from 'node:path'
import type { Attempt } from '../db/attempts.ts'
import type { Segment } from '../db/recordings.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'
import { type AttemptPieces, JoinFailed, joinSegments } from './capture/join-segments.ts'
import { chaptersOf } from './chapters.ts'
import { encodeAlike } from './encode-alike.ts'
import { findLost, readAhead, SegmentLost } from './read-segments.ts'
import { type FilePlace, planTimeline, type TimelinePlan } from './timeline.ts'

/** A segment that is damaged when it is joined and whole when it is proven: this often, then it is a fault. */
const MOST_TRIES = 3

/** There is nothing of which a video could be made, or it cannot be made of what there is. */
export class NoVideo extends Error {
  readonly code: 'no_media' | 'cannot_be_joined'

  constructor(code: NoVideo['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'NoVideo'
    this.code = code
  }
}

export interface MadeVideo {
  file: string
  plan: TimelinePlan<Segment>
  /** Where each piece of the plan lies in the file. */
  places: FilePlace[]
  /** Rows of which nothing can be read. */
  lost: Segment[]
  /** The attempts had to be encoded again, because they differ in picture size or encoding. */
  encodedAgain: boolean
}

export interface VideoSources {
  attempts: readonly Attempt[]
  segments: readonly Segment[]
}

/**
 * Plans the timeline and joins its pieces in `workDir`. Segments are streamed from the store through the joining, none of
 * them is kept on the disk. One that is gone or damaged costs its own seconds: the plan is made again without it. An
 * attempt whose init piece is lost borrows that of another one, which the same encoder made.
 * @throws {NoVideo}; {@link StorageFault} when the store does not answer
 */
export async function makeVideo(
  { store, log, workDir, signal }: { store: Store; log: Log; workDir: string; signal: AbortSignal },
  sources: VideoSources,
): Promise<MadeVideo> {
  let lost: Segment[] = []
  let encodedAgain = false
  let triesLeft = MOST_TRIES
  for (;;) {
    const plan = planWithout(sources, lost)
    if (plan.pieces.length === 0) throw new NoVideo('no_media', 'none of the segments can be read')
    const file = join(workDir, 'recording.mp4')
    const abort = new AbortController()
    const until = AbortSignal.any([signal, abort.signal])
    try {
      const given = partsOf(plan, sources, lost, store, until)
      const parts = encodedAgain ? await encodeAlike(given, workDir, until) : given
      const places = await joinSegments(parts, file, { signal: until })
      return { file, plan, places, lost, encodedAgain }
    } catch (error) {
      signal.throwIfAborted()
      const cause = rootOf(error)
      if (cause instanceof SegmentLost) {
        abort.abort()
        const more = await findLost(store, wanted(plan, sources, lost), signal)
        log.error(
          { lost: more.map(({ s3Key }) => s3Key) },
          'SEGMENTS ARE LOST; the video is made without them',
        )
        if (more.length === 0 && --triesLeft === 0) throw cause
        lost = [...lost, ...more]
      } else if (error instanceof JoinFailed && error.reason === 'different-parameters' && !encodedAgain) {
        log.warn({}, 'the attempts differ in picture size or encoding; they are encoded again')
        encodedAgain = true
      } else if (error instanceof JoinFailed && error.reason === 'no-media') {
        throw new NoVideo('no_media', error.message, { cause: error })
      } else if (error instanceof JoinFailed && cause === error) {
        throw new NoVideo('cannot_be_joined', error.message, { cause: error })
      } else throw cause
    } finally {
      abort.abort()
    }
  }
}

function rootOf(error: unknown): unknown {
  return error instanceof JoinFailed && error.reason === 'unreadable-piece' && error.cause
    ? error.cause
    : error
}

function planWithout({ attempts, segments }: VideoSources, lost: readonly Segment[]): TimelinePlan<Segment> {
  const inits = initsOf({ attempts, segments }, lost)
  const usable = segments.filter(segment => inits.has(segment.attemptId) && !lost.includes(segment))
  return planTimeline(
    attempts,
    usable,
    segments.filter(segment => !usable.includes(segment)),
  )
}

/** The init piece to use for each attempt: its own, or one of another attempt where its own is lost. */
function initsOf({ attempts, segments }: VideoSources, lost: readonly Segment[]): Map<string, Segment> {
  const all = segments.filter(segment => segment.number === 0 && !lost.includes(segment))
  return new Map(
    attempts.flatMap(({ id }) => {
      const init = all.find(segment => segment.attemptId === id) ?? all[0]
      return init === undefined ? [] : [[id, init] as const]
    }),
  )
}

/** Every segment the joining reads, in its order. */
function wanted(plan: TimelinePlan<Segment>, sources: VideoSources, lost: readonly Segment[]): Segment[] {
  const inits = initsOf(sources, lost)
  return plan.pieces.flatMap(({ attemptId, segments }) => {
    const init = inits.get(attemptId)
    return init === undefined ? [] : [init, ...segments]
  })
}

function partsOf(
  plan: TimelinePlan<Segment>,
  sources: VideoSources,
  lost: readonly Segment[],
  store: Store,
  signal: AbortSignal,
): (AttemptPieces & { lastsMs: number })[] {
  const read = readAhead(store, wanted(plan, sources, lost), signal)
  const chapters = chaptersOf(plan)
  let at = 0
  return plan.pieces.map(({ segments, cutAtMs, startMs, endMs }, index) => {
    const [init, ...media] = read.slice(at, at + segments.length + 1)
    at += segments.length + 1
    if (init === undefined) throw new Error('a piece without an init piece was planned')
    const title = chapters[index]
    return {
      init,
      media,
      lastsMs: endMs - startMs,
      ...(cutAtMs !== undefined && { untilMs: cutAtMs }),
      ...(title !== undefined && { chapter: title }),
    }
  })
}
