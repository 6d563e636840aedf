// Which piece of which attempt stands where in the finished file, and at which time of the clock it was recorded.
import type { Ending } from '../db/endings.ts'
import type { Gap, TimelineEntry } from '../db/schema.ts'
import { CONTIGUOUS_MS, chooseTakes, type Run, type Take } from './choose-takes.ts'
import { type ClockSpan, findGaps } from './find-gaps.ts'

/** Clocks of two recorders that are further apart than this are not about the same call. */
const LONGEST_GAP_MS = 24 * 3_600_000
/** Two bots in one call leave it within this time of each other. */
const LEAVING_MS = 30_000

/** What is read of an attempt's row. */
export interface TimelineAttempt {
  id: string
  number: number
  lane: number
  clockOffsetMs: number
  endedAt: Date | null
  ending: Ending | null
}

/** What is read of a segment's row. */
export interface TimelineSegment {
  attemptId: string
  number: number
  startMs: number
  durationMs: number
  startedAt: Date
  thinned: boolean
}

/** A stretch of one attempt that goes into the file without a cut. */
export interface TimelinePiece<Segment extends TimelineSegment = TimelineSegment> {
  attemptId: string
  attempt: number
  segments: Segment[]
  /** Media time of the attempt at which the piece ends, in the middle of its last segment; absent: at its end. */
  cutAtMs?: number
  /** Media time of the attempt. */
  startMs: number
  endMs: number
  /** The database's clock, ms since 1970, at `startMs`. */
  clockStartMs: number
}

export interface TimelinePlan<Segment extends TimelineSegment = TimelineSegment> {
  /** In file order. */
  pieces: TimelinePiece<Segment>[]
  gaps: Gap[]
  /** What the file will be, to the millisecond, when every piece is as long as its rows say. */
  timeline: TimelineEntry[]
}

/**
 * Lays attempts and their segments out in file order (a pure value). The clock of an attempt is its recorder's clock plus
 * `clockOffsetMs`, read at the median of its segments, so that a clock stepped during the call moves nothing.
 *
 * Where two attempts overlap, the later one of the same lane takes over at the start of one of its segments and the
 * earlier one is cut there; lanes are switched only where the present one ends, has a hole or is thinned. Nothing is
 * left out that no other attempt covers. A hole makes the file jump: it is no still picture but a named gap.
 *
 * @param lost rows whose objects are gone or damaged: their time becomes a gap `segment_lost` where nobody covers it
 */
export function planTimeline<Segment extends TimelineSegment>(
  attempts: readonly TimelineAttempt[],
  segments: readonly Segment[],
  lost: readonly TimelineSegment[] = [],
): TimelinePlan<Segment> {
  const stays = layOnClock(attempts, segments, lost)
  const takes = chooseTakes(stays.flatMap(({ runs }) => runs))
  const pieces = takes.map(take => pieceOf(take))
  return {
    pieces,
    gaps: findGaps(
      takes,
      attempts,
      stays.flatMap(stay => stay.lostSpans),
      stays.flatMap(stay => (stay.disbelieved ? [stay.attempt.id] : [])),
    ),
    timeline: placeOnFile(pieces, predictPlaces(pieces)),
  }
}

/** Where a piece came to lie in the file, as the joining of the pieces tells it. */
export interface FilePlace {
  startMs: number
  endMs: number
  /** Time in the file = media time of the attempt + this. */
  movedByMs: number
}

/** The map of file time to clock time, when each piece lies where the joining put it; whole milliseconds. */
export function placeOnFile(pieces: readonly TimelinePiece[], places: readonly FilePlace[]): TimelineEntry[] {
  return pieces.map((piece, index) => {
    const place = places[index]
    if (place === undefined)
      throw new Error(`piece ${index + 1} of attempt ${piece.attempt} is not in the file`)
    const fileStartMs = Math.round(place.startMs)
    const fileEndMs = Math.round(place.endMs)
    const clockStartMs = Math.round(piece.clockStartMs - piece.startMs + fileStartMs - place.movedByMs)
    return {
      fileStartMs,
      fileEndMs,
      clockStart: new Date(clockStartMs).toISOString(),
      clockEnd: new Date(clockStartMs + fileEndMs - fileStartMs).toISOString(),
      attempt: piece.attempt,
    }
  })
}

function predictPlaces(pieces: readonly TimelinePiece[]): FilePlace[] {
  let endMs = 0
  return pieces.map(piece => {
    const startMs = endMs
    endMs += piece.endMs - piece.startMs
    return { startMs, endMs, movedByMs: startMs - piece.startMs }
  })
}

/** One attempt's media on the common clock. */
interface Stay<Segment extends TimelineSegment> {
  attempt: TimelineAttempt
  runs: Run<Segment>[]
  lostSpans: ClockSpan[]
  /** Its clock contradicts the order of events and was replaced. */
  disbelieved: boolean
}

function layOnClock<Segment extends TimelineSegment>(
  attempts: readonly TimelineAttempt[],
  segments: readonly Segment[],
  lost: readonly TimelineSegment[],
): Stay<Segment>[] {
  const stays: Stay<Segment>[] = []
  for (const attempt of [...attempts].sort((one, other) => one.number - other.number)) {
    const own = mediaOf(attempt, segments)
    const gone = mediaOf(attempt, lost)
    const all = [...own, ...gone]
    if (all.length === 0) continue
    const before = stays.filter(stay => stay.attempt.lane === attempt.lane && stay.runs.length > 0)
    const claimedMs = clockAtMediaZero(attempt, all)
    const zeroMs = before.length === 0 ? claimedMs : believe(claimedMs, all, attempt, before)
    stays.push({
      attempt,
      runs: cutIntoRuns(attempt, own, zeroMs),
      lostSpans: [...gone, ...holeAtHead(own)].map(({ startMs, durationMs }) => ({
        fromMs: zeroMs + startMs,
        toMs: zeroMs + startMs + durationMs,
      })),
      disbelieved: zeroMs !== claimedMs,
    })
  }
  return stays
}

function mediaOf<Segment extends TimelineSegment>(
  attempt: TimelineAttempt,
  segments: readonly Segment[],
): Segment[] {
  return segments
    .filter(segment => segment.attemptId === attempt.id && segment.number > 0)
    .sort((one, other) => one.startMs - other.startMs || one.number - other.number)
}

// Numbers count from 1: a first one that is not 1 says that something was there before it.
function holeAtHead(own: readonly TimelineSegment[]): { startMs: number; durationMs: number }[] {
  const [first] = own
  if (first === undefined || first.number === 1 || first.startMs <= CONTIGUOUS_MS) return []
  return [{ startMs: 0, durationMs: first.startMs }]
}

function clockAtMediaZero(attempt: TimelineAttempt, own: readonly TimelineSegment[]): number {
  const zeros = own.map(({ startedAt, startMs }) => startedAt.getTime() - startMs).sort((a, b) => a - b)
  const median = zeros[Math.floor((zeros.length - 1) / 2)] ?? Number.NaN
  return Math.round(median + attempt.clockOffsetMs)
}

/**
 * A later attempt of a lane begins after the earlier ones began, and overlaps them for no longer than it lasts itself,
 * unless their rows say that they outlived it. What claims otherwise has a wrong clock and is laid behind them.
 */
function believe(
  claimedMs: number,
  own: readonly TimelineSegment[],
  attempt: TimelineAttempt,
  before: readonly Stay<TimelineSegment>[],
): number {
  const firstMs = Math.min(...own.map(({ startMs }) => startMs))
  const lastsMs = Math.max(...own.map(({ startMs, durationMs }) => startMs + durationMs)) - firstMs
  const startMs = claimedMs + firstMs
  const lastEndMs = Math.max(...before.map(endOf))
  const outlived = before.some(
    stay =>
      endOf(stay) === lastEndMs && attempt.endedAt !== null && !endedBefore(stay.attempt, attempt.endedAt),
  )
  const believable =
    startMs >= Math.max(...before.map(startOf)) &&
    startMs - lastEndMs <= LONGEST_GAP_MS &&
    (outlived || lastEndMs - startMs <= lastsMs + LEAVING_MS)
  return believable ? claimedMs : lastEndMs - firstMs
}

function endedBefore(attempt: TimelineAttempt, at: Date): boolean {
  return attempt.endedAt !== null && attempt.endedAt < at
}

const startOf = (stay: Stay<TimelineSegment>) => Math.min(...stay.runs.map(run => run.fromMs))
const endOf = (stay: Stay<TimelineSegment>) => Math.max(...stay.runs.map(run => run.toMs))

function cutIntoRuns<Segment extends TimelineSegment>(
  attempt: TimelineAttempt,
  own: readonly Segment[],
  zeroMs: number,
): Run<Segment>[] {
  const runs: Run<Segment>[] = []
  for (const segment of own) {
    const span = {
      segment,
      fromMs: zeroMs + segment.startMs,
      toMs: zeroMs + segment.startMs + segment.durationMs,
    }
    const open = runs.at(-1)
    if (open !== undefined && Math.abs(span.fromMs - open.toMs) <= CONTIGUOUS_MS) {
      open.spans.push(span)
      open.toMs = Math.max(open.toMs, span.toMs)
    } else
      runs.push({
        attemptId: attempt.id,
        attempt: attempt.number,
        lane: attempt.lane,
        zeroMs,
        fromMs: span.fromMs,
        toMs: span.toMs,
        spans: [span],
      })
  }
  return runs
}

function pieceOf<Segment extends TimelineSegment>({
  run,
  spans,
  cutAtMs,
}: Take<Segment>): TimelinePiece<Segment> {
  const fromMs = spans[0]?.fromMs ?? run.fromMs
  const toMs = cutAtMs ?? Math.max(...spans.map(span => span.toMs))
  return {
    attemptId: run.attemptId,
    attempt: run.attempt,
    segments: spans.map(({ segment }) => segment),
    ...(cutAtMs !== undefined && { cutAtMs: cutAtMs - run.zeroMs }),
    startMs: fromMs - run.zeroMs,
    endMs: toMs - run.zeroMs,
    clockStartMs: fromMs,
  }
}
