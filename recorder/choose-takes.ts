// Of several recordings of the same moments, which one is shown when.

/** Segments of one attempt follow each other when not more than this lies between them: a few frames. */
export const CONTIGUOUS_MS = 100

/** Somebody who has just come in hears and sees the others only after a moment. */
const SETTLING_MS = 2_000

/** A segment on the common clock, ms. */
export interface Span<Segment> {
  segment: Segment
  fromMs: number
  toMs: number
}

/** Segments of one attempt that follow each other without a hole. */
export interface Run<Segment> {
  attemptId: string
  attempt: number
  lane: number
  /** Clock at the attempt's media time 0. */
  zeroMs: number
  fromMs: number
  toMs: number
  spans: Span<Segment>[]
}

/** What is shown of one run, from the start of a segment on. */
export interface Take<Segment> {
  run: Run<Segment>
  spans: Span<Segment>[]
  /** Clock at which it is cut off; absent: at the end of its last segment. */
  cutAtMs?: number
}

interface Thinnable {
  thinned: boolean
}

/** A place in the runs: the next segment to show. */
interface Position<Segment> {
  run: Run<Segment>
  index: number
}

/**
 * Walks along the clock, segment by segment. A run is left for a better one (not thinned, or a later attempt of the same
 * lane) at the start of one of the better one's segments, and at its end for whatever else covers that moment; what is
 * shown always begins at the start of a segment, because only that can be decoded alone.
 */
export function chooseTakes<Segment extends Thinnable>(runs: readonly Run<Segment>[]): Take<Segment>[] {
  const takes: Take<Segment>[] = []
  let reachedMs = Number.NEGATIVE_INFINITY
  for (let at = earliest(runs, reachedMs); at !== undefined; ) {
    const span = spanAt(at)
    const instead = betterAt(runs, at, span, reachedMs)
    if (instead !== undefined) {
      at = instead
      continue
    }
    show(takes, at, span)
    const takeover = betterWithin(runs, at, span, Math.max(reachedMs, span.fromMs))
    if (takeover !== undefined) {
      reachedMs = Math.max(reachedMs, spanAt(takeover).fromMs)
      at = takeover
      continue
    }
    reachedMs = Math.max(reachedMs, span.toMs)
    at = next(at) ?? covering(runs, at, reachedMs) ?? earliest(runs, reachedMs)
  }
  return takes
}

function spanAt<Segment>({ run, index }: Position<Segment>): Span<Segment> {
  const span = run.spans[index]
  if (span === undefined) throw new RangeError(`a run of ${run.spans.length} segments has no place ${index}`)
  return span
}

function next<Segment>({ run, index }: Position<Segment>): Position<Segment> | undefined {
  return index + 1 < run.spans.length ? { run, index: index + 1 } : undefined
}

/** All places of all runs but `but` that pass the test; whole runs outside `fromMs` to `toMs` are not looked at. */
function positions<Segment>(
  runs: readonly Run<Segment>[],
  { fromMs, toMs, but }: { fromMs: number; toMs: number; but?: Run<Segment> },
  test: (span: Span<Segment>) => boolean,
): Position<Segment>[] {
  const found: Position<Segment>[] = []
  for (const run of runs) {
    if (run === but || run.toMs < fromMs || run.fromMs > toMs) continue
    run.spans.forEach((span, index) => {
      if (test(span)) found.push({ run, index })
    })
  }
  return found
}

function isBetter<Segment extends Thinnable>(one: Position<Segment>, other: Position<Segment>): boolean {
  const [oneThinned, otherThinned] = [spanAt(one).segment.thinned, spanAt(other).segment.thinned]
  if (oneThinned !== otherThinned) return otherThinned
  return one.run.lane === other.run.lane && one.run.attempt > other.run.attempt
}

function hasSettled<Segment>({ run, index }: Position<Segment>): boolean {
  const [first] = run.spans
  return first !== undefined && (run.spans[index]?.fromMs ?? 0) - first.fromMs >= SETTLING_MS
}

/** Something better that covers the beginning of the segment about to be shown, and goes past what has been shown. */
function betterAt<Segment extends Thinnable>(
  runs: readonly Run<Segment>[],
  at: Position<Segment>,
  { fromMs }: Span<Segment>,
  reachedMs: number,
): Position<Segment> | undefined {
  const beyondMs = Math.max(reachedMs, fromMs)
  const near = { fromMs, toMs: fromMs, but: at.run }
  return positions(runs, near, span => span.fromMs <= fromMs && span.toMs > beyondMs).find(
    other => isBetter(other, at) && hasSettled(other),
  )
}

/** Something better that begins while the segment is shown, and outlasts it. */
function betterWithin<Segment extends Thinnable>(
  runs: readonly Run<Segment>[],
  at: Position<Segment>,
  { fromMs, toMs }: Span<Segment>,
  reachedMs: number,
): Position<Segment> | undefined {
  const beyondMs = Math.max(toMs, reachedMs)
  return positions(
    runs,
    { fromMs, toMs, but: at.run },
    span => span.fromMs > fromMs && span.fromMs < toMs && span.toMs > beyondMs,
  )
    .filter(other => isBetter(other, at) && hasSettled(other))
    .sort((one, other) => spanAt(one).fromMs - spanAt(other).fromMs)[0]
}

/** What else shows the moment at which a run ends; of several the best, then the one that lasts longest. */
function covering<Segment extends Thinnable>(
  runs: readonly Run<Segment>[],
  { run: ended }: Position<Segment>,
  endMs: number,
): Position<Segment> | undefined {
  const near = { fromMs: endMs, toMs: endMs, but: ended }
  const found = positions(runs, near, span => span.fromMs <= endMs && span.toMs > endMs)
  return found
    .filter(one => !found.some(other => isBetter(other, one)))
    .sort((one, other) => other.run.toMs - one.run.toMs)[0]
}

/** The first segment that begins at this time or later. */
function earliest<Segment>(runs: readonly Run<Segment>[], fromMs: number): Position<Segment> | undefined {
  const later = positions(
    runs,
    { fromMs, toMs: Number.POSITIVE_INFINITY },
    span => span.fromMs >= fromMs && span.toMs > fromMs,
  )
  return later.sort(
    (one, other) => spanAt(one).fromMs - spanAt(other).fromMs || one.run.attempt - other.run.attempt,
  )[0]
}

/** Adds a segment to what is shown, cutting off what was to be shown from its start on. */
function show<Segment>(takes: Take<Segment>[], { run }: Position<Segment>, span: Span<Segment>): void {
  const open = takes.at(-1)
  if (open?.run === run && open.cutAtMs === undefined) {
    open.spans.push(span)
    return
  }
  for (let last = takes.at(-1); last !== undefined; last = takes.at(-1)) {
    const endMs = last.cutAtMs ?? Math.max(...last.spans.map(({ toMs }) => toMs))
    if (endMs <= span.fromMs) break
    last.spans = last.spans.filter(({ fromMs }) => fromMs < span.fromMs)
    if (last.spans.length > 0) {
      const wholeMs = Math.max(...last.spans.map(({ toMs }) => toMs))
      if (wholeMs > span.fromMs) last.cutAtMs = span.fromMs
      else delete last.cutAtMs
      break
    }
    takes.pop()
  }
  takes.push({ run, spans: [span] })
}
