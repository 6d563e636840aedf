// Stored segments of all attempts → one MP4 on this disk, with whatever can be saved of damaged ones.
import { join } from 'node:path'
import type { Attempt } from '../db/attempts.ts'
import type { Segment } from '../db/recordings.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'
import { type AttemptPieces, type JoinedAttempt, JoinFailed, joinSegments } from './capture/join-segments.ts'
import { chaptersOf } from './chapters.ts'
import { encodeAlike } from './encode-alike.ts'
import { findLost, readAhead, readSegment, SegmentLost } from './read-segments.ts'
import {
  type FilePlace,
  placeOnFile,
  planTimeline,
  type TimelinePiece,
  type TimelinePlan,
} from './timeline.ts'

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
  /** What is in the file; its timeline is the file's own. */
  plan: TimelinePlan<Segment>
  /** Where each piece lies in the file. */
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
 * them is kept on the disk. One that is gone, damaged or broken costs its own seconds: the plan is made again without it. An
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
    const inits = initsOf(sources, lost)
    const plan = planWithout(sources, inits, lost)
    if (plan.pieces.length === 0) throw new NoVideo('no_media', 'none of the segments can be read')
    const file = join(workDir, 'recording.mp4')
    const abort = new AbortController()
    const until = AbortSignal.any([signal, abort.signal])
    const broken = new Set<Segment>()
    try {
      const given = partsOf(plan, inits, store, until)
      const parts = encodedAgain ? await encodeAlike(given, workDir, until) : given
      const joined = await joinSegments(parts, file, {
        signal: until,
        expectedMs: plan.pieces.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0),
        onBroken: (part, media) => {
          const segment = plan.pieces[part]?.segments[media]
          if (segment && !encodedAgain) broken.add(segment)
        },
        ...(plan.pieces.length > 1 && {
          chapters: (places: readonly JoinedAttempt[]) => chaptersOf(plan, places),
        }),
      })
      if (broken.size > 0) {
        lost = withBroken(lost, broken, log)
        continue
      }
      const placed = encodedAgain ? movedFromStart(plan, joined) : joined
      return { file, ...keepPlaced(plan, placed), lost, encodedAgain }
    } catch (error) {
      signal.throwIfAborted()
      const cause = rootOf(error)
      if (cause instanceof SegmentLost) {
        abort.abort()
        const more = await findLost(store, Object.values(wanted(plan, inits)).flat(), signal)
        log.error(
          { lost: more.map(({ s3Key }) => s3Key) },
          'SEGMENTS ARE LOST; the video is made without them',
        )
        if (more.length === 0 && --triesLeft === 0) throw cause
        lost = [...lost, ...more]
      } else if (broken.size > 0) {
        lost = withBroken(lost, broken, log)
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

/** What is as it was stored, and still cannot be read to its end. */
function withBroken(lost: Segment[], broken: ReadonlySet<Segment>, log: Log): Segment[] {
  log.error(
    { broken: [...broken].map(({ s3Key }) => s3Key) },
    'SEGMENTS ARE BROKEN; the video is made without them',
  )
  return [...lost, ...broken]
}

function rootOf(error: unknown): unknown {
  return error instanceof JoinFailed && error.reason === 'unreadable-piece' && error.cause
    ? error.cause
    : error
}

function planWithout(
  { attempts, segments }: VideoSources,
  inits: ReadonlyMap<string, Segment>,
  lost: readonly Segment[],
): TimelinePlan<Segment> {
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

/** Every segment the joining reads: the init pieces, then the media in its order. */
function wanted(plan: TimelinePlan<Segment>, inits: ReadonlyMap<string, Segment>) {
  const used = new Set(plan.pieces.map(({ attemptId }) => attemptId))
  return {
    inits: [...new Set([...inits].filter(([id]) => used.has(id)).map(([, init]) => init))],
    media: plan.pieces.flatMap(({ segments }) => segments),
  }
}

/** The joining opens all init pieces first and then the media one after the other. */
function partsOf(
  plan: TimelinePlan<Segment>,
  inits: ReadonlyMap<string, Segment>,
  store: Store,
  signal: AbortSignal,
): (AttemptPieces & { lastsMs: number })[] {
  const read = readAhead(store, wanted(plan, inits).media, signal)
  let at = 0
  return plan.pieces.map(({ attemptId, segments, cutAtMs, startMs, endMs }) => {
    const init = inits.get(attemptId)
    if (init === undefined) throw new Error('a piece without an init piece was planned')
    const media = read.slice(at, at + segments.length)
    at += segments.length
    return {
      init: async function* () {
        yield await readSegment(store, init, signal)
      },
      media,
      lastsMs: endMs - startMs,
      ...(cutAtMs !== undefined && { untilMs: cutAtMs }),
    }
  })
}

/** What was encoded again begins at 0, not at the attempt's media time. */
function movedFromStart(plan: TimelinePlan<Segment>, joined: readonly JoinedAttempt[]): JoinedAttempt[] {
  return joined.map(place => ({
    ...place,
    movedByMs: place.movedByMs - (plan.pieces[place.part]?.startMs ?? 0),
  }))
}

/** The joining leaves out what holds no picture at all: so does the plan, then. */
function keepPlaced(
  plan: TimelinePlan<Segment>,
  joined: readonly JoinedAttempt[],
): Pick<MadeVideo, 'plan' | 'places'> {
  const pieces = joined.map(({ part }) => plan.pieces[part] as TimelinePiece<Segment>)
  return { plan: { ...plan, pieces, timeline: placeOnFile(pieces, joined) }, places: [...joined] }
}
