import type { Manifest } from '../../recorder/manifest.ts'

/** A stretch of the database's clock, milliseconds since 1970. */
export interface Span {
  fromMs: number
  toMs: number
}

type Segment = Manifest['segments'][number]

/** Two stretches that are nearer than this to each other leave nothing out: a few frames, and rounding. */
export const CONTIGUOUS_MS = 250

/** The clock time of something with an instant at either end. */
export function spanBetween(from: string, to: string): Span {
  return { fromMs: Date.parse(from), toMs: Date.parse(to) }
}

/**
 * The clock times of one attempt's segments: media time laid on the clock at the median of all, as the timeline is made,
 * so that a recorder's clock that was set during the call moves none of them.
 */
export function segmentSpans(own: readonly Segment[]): Map<Segment, Span> {
  const zeros = own.map(({ startedAt, startMs }) => Date.parse(startedAt) - startMs).sort((a, b) => a - b)
  const zeroMs = zeros[Math.floor((zeros.length - 1) / 2)] ?? 0
  return new Map(
    own.map(segment => {
      const fromMs = zeroMs + segment.startMs
      return [segment, { fromMs, toMs: fromMs + segment.durationMs }]
    }),
  )
}

/** Is there nothing longer than {@link CONTIGUOUS_MS} of `span` that no other covers? */
export function isCovered(span: Span, by: readonly Span[]): boolean {
  let reachedMs = span.fromMs
  for (const { fromMs, toMs } of [...by].sort((a, b) => a.fromMs - b.fromMs)) {
    if (fromMs - reachedMs > CONTIGUOUS_MS) break
    reachedMs = Math.max(reachedMs, toMs)
  }
  return span.toMs - reachedMs <= CONTIGUOUS_MS
}
