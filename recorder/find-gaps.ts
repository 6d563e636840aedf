// What is missing between the takes of a recording, and why.
import type { Ending } from '../db/endings.ts'
import type { Gap } from '../db/schema.ts'
import { CONTIGUOUS_MS, type Take } from './choose-takes.ts'

/** A stretch of the common clock, ms since 1970. */
export interface ClockSpan {
  fromMs: number
  toMs: number
}

type Segments = Take<unknown>

/**
 * The gaps before, between and behind takes, in the order of time. The reason is the ending of the attempt before, or
 * `segment_lost` where something had been recorded and cannot be read any more.
 * @param lostSpans when the lost segments were recorded
 * @param disbelieved attempts whose clock is not believed: how long nobody was recording before them is not known
 */
export function findGaps(
  takes: readonly Segments[],
  attempts: readonly { id: string; ending: Ending | null }[],
  lostSpans: readonly ClockSpan[],
  disbelieved: readonly string[],
): Gap[] {
  const gaps: Gap[] = []
  const add = (fromMs: number, toMs: number, reason: Gap['reason']) => {
    const [from, to] = [new Date(fromMs).toISOString(), new Date(toMs).toISOString()]
    gaps.push({ from, to, ms: toMs - fromMs, reason })
  }
  const addLost = (fromMs: number, toMs: number) => {
    const within = lostSpans.filter(span => span.toMs > fromMs && span.fromMs < toMs)
    if (within.length === 0) return
    const lostFromMs = Math.max(fromMs, Math.min(...within.map(span => span.fromMs)))
    const lostToMs = Math.min(toMs, Math.max(...within.map(span => span.toMs)))
    add(lostFromMs, lostToMs, 'segment_lost')
    return { lostFromMs, lostToMs }
  }
  const firstMs = takes[0]?.spans[0]?.fromMs
  if (firstMs !== undefined) addLost(Number.NEGATIVE_INFINITY, firstMs)
  let previous: Segments | undefined
  for (const take of takes) {
    const fromMs = previous === undefined ? Number.NaN : takenTo(previous)
    const toMs = take.spans[0]?.fromMs ?? take.run.fromMs
    const missingMs = toMs - fromMs
    if (previous === undefined) {
      previous = take
      continue
    }
    const sameStay = previous.run.attemptId === take.run.attemptId
    const ended = attempts.find(({ id }) => id === previous?.run.attemptId)?.ending ?? 'recorder_died'
    if (sameStay && missingMs > CONTIGUOUS_MS) add(fromMs, toMs, 'segment_lost')
    else if (!sameStay && missingMs > CONTIGUOUS_MS) {
      const lost = addLost(fromMs, toMs) ?? { lostFromMs: fromMs, lostToMs: fromMs }
      if (lost.lostFromMs > fromMs) add(fromMs, lost.lostFromMs, ended)
      if (lost.lostToMs < toMs) add(lost.lostToMs, toMs, ended)
    } else if (!sameStay && disbelieved.includes(take.run.attemptId)) add(toMs, toMs, ended)
    previous = take
  }
  if (previous !== undefined) addLost(takenTo(previous), Number.POSITIVE_INFINITY)
  return gaps.sort((one, other) => one.from.localeCompare(other.from))
}

function takenTo({ spans, cutAtMs }: Segments): number {
  return cutAtMs ?? Math.max(...spans.map(span => span.toMs))
}
