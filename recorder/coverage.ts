// Which part of the time in which people were in the call is in the recording. Nothing but arithmetic.
import type { Coverage, Gap, TimelineEntry } from '../db/schema.ts'

/** A stretch of time, milliseconds since the epoch; `to` is not part of it. */
export interface Interval {
  from: number
  to: number
}

export interface CoverageFacts {
  /** Every stay of every person who is not one of our bots, in any order. */
  humans: readonly Interval[]
  /** What the finished file holds. */
  timeline: readonly Pick<TimelineEntry, 'clockStart' | 'clockEnd'>[]
  /** What is known to be missing in the file, with its reason. */
  gaps: readonly Gap[]
  /** Why there is no file, for a recording without one. */
  withoutFile: Gap['reason']
}

/**
 * How far Google's times of coming and going are trusted: they lag behind the page by about a second. A piece without
 * recording at the very beginning or end of a stretch of people, up to this long, is taken for this error and belongs
 * to nobody's presence. It is left out of the human time, not counted as recorded; a longer piece counts whole.
 */
export const EDGE_TOLERANCE_MS = 2000

/**
 * The coverage of one recording: human time, how much of it is recorded, and each missing piece with its reason.
 * `recordedMs` and the gaps' lengths always make up `humanMs`.
 */
export function computeCoverage({
  humans,
  timeline,
  gaps: known,
  withoutFile,
}: CoverageFacts): Omit<Coverage, 'source' | 'final'> {
  const recorded = union(
    timeline.map(({ clockStart, clockEnd }) => ({ from: Date.parse(clockStart), to: Date.parse(clockEnd) })),
  )
  const missing: Interval[] = []
  let humanMs = 0
  for (const stretch of union(humans)) {
    const holes = subtract(stretch, recorded)
    const counted = holes.filter(hole => !isEdgeError(hole, stretch))
    humanMs += lengthOf([stretch]) - lengthOf(holes) + lengthOf(counted)
    missing.push(...counted)
  }
  const gaps = missing.flatMap(hole => explain(hole, recorded, known, withoutFile))
  const recordedMs = humanMs - lengthOf(missing)
  // Rounded down, so that 100 means all of it.
  const percent = humanMs === 0 ? null : Math.floor((recordedMs / humanMs) * 10_000) / 100
  return { percent, humanMs, recordedMs, gaps }
}

function isEdgeError(hole: Interval, stretch: Interval): boolean {
  return (hole.from === stretch.from || hole.to === stretch.to) && hole.to - hole.from <= EDGE_TOLERANCE_MS
}

/** A missing piece cut where its reason changes. */
function explain(
  hole: Interval,
  recorded: readonly Interval[],
  known: readonly Gap[],
  withoutFile: Gap['reason'],
): Gap[] {
  const [first, last] = [recorded[0], recorded.at(-1)]
  if (!first || !last) return [gapOf(hole, withoutFile)]
  if (hole.to <= first.from) return [gapOf(hole, 'not_yet_recording')]
  if (hole.from >= last.to) return [gapOf(hole, 'ended_too_early')]
  const reasons = known
    .map(gap => ({ from: Date.parse(gap.from), to: Date.parse(gap.to), reason: gap.reason }))
    .filter(gap => gap.from < hole.to && gap.to > hole.from)
    .sort((a, b) => a.from - b.from)
  const cuts = reasons.slice(1).map(gap => Math.max(gap.from, hole.from))
  const edges = [hole.from, ...cuts, hole.to]
  const pieces: Gap[] = []
  for (const [at, from] of edges.slice(0, -1).entries()) {
    const to = edges[at + 1] ?? hole.to
    // Without a known gap a segment is missing that no attempt lost knowingly.
    if (to > from) pieces.push(gapOf({ from, to }, reasons[at]?.reason ?? 'segment_lost'))
  }
  return pieces
}

function gapOf({ from, to }: Interval, reason: Gap['reason']): Gap {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString(), ms: to - from, reason }
}

/** The same time as stretches that neither overlap nor touch, in order. */
function union(intervals: readonly Interval[]): Interval[] {
  const stretches: Interval[] = []
  for (const { from, to } of intervals
    .map(({ from, to }) => ({ from: Math.round(from), to: Math.round(to) }))
    .filter(({ from, to }) => to > from)
    .sort((a, b) => a.from - b.from)) {
    const last = stretches.at(-1)
    if (last && from <= last.to) last.to = Math.max(last.to, to)
    else stretches.push({ from, to })
  }
  return stretches
}

/** What is left of a stretch without the others, which are in order and apart. */
function subtract(stretch: Interval, others: readonly Interval[]): Interval[] {
  const left: Interval[] = []
  let from = stretch.from
  for (const other of others) {
    if (other.to <= from || other.from >= stretch.to) continue
    if (other.from > from) left.push({ from, to: other.from })
    from = other.to
  }
  if (from < stretch.to) left.push({ from, to: stretch.to })
  return left
}

function lengthOf(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, { from, to }) => sum + to - from, 0)
}
