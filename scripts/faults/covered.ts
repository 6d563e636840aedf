import { type PatternReport, wallClockMs } from '../../sandbox/test-pattern/read-pattern.ts'

/** A stretch of wall-clock time, milliseconds since 1970. */
export interface Stretch {
  fromMs: number
  toMs: number
}

/** Nothing new to be seen for longer than this is a hole. */
const HOLE_MS = 500

/**
 * Which wall-clock times a recording of test patterns shows, by the time codes in its own picture: stretches without a
 * hole over half a second, first to last. Somebody's new code is enough.
 */
export function coveredTimes(report: PatternReport, nearMs: number): Stretch[] {
  const times = report.participants
    .flatMap(person => person.frames.map(frame => wallClockMs(frame.codeMs, nearMs)))
    .sort((a, b) => a - b)
  const stretches: Stretch[] = []
  for (const at of times) {
    const last = stretches.at(-1)
    if (last && at - last.toMs <= HOLE_MS) last.toMs = at
    else stretches.push({ fromMs: at, toMs: at })
  }
  return stretches
}

/** What of `whole` the stretches leave open. */
export function holesIn(whole: Stretch, stretches: readonly Stretch[]): Stretch[] {
  const holes: Stretch[] = []
  let fromMs = whole.fromMs
  for (const stretch of stretches) {
    if (stretch.fromMs - fromMs > HOLE_MS) holes.push({ fromMs, toMs: Math.min(stretch.fromMs, whole.toMs) })
    fromMs = Math.max(fromMs, stretch.toMs)
  }
  if (whole.toMs - fromMs > HOLE_MS) holes.push({ fromMs, toMs: whole.toMs })
  return holes.filter(hole => hole.toMs > hole.fromMs)
}

/** How long the picture goes back to what was shown before, at most: something is in the file twice. */
export function longestRepeatMs(report: PatternReport): number {
  let longest = 0
  for (const { frames } of report.participants) {
    let latest = Number.NEGATIVE_INFINITY
    for (const { codeMs } of frames) {
      longest = Math.max(longest, latest - codeMs)
      latest = Math.max(latest, codeMs)
    }
  }
  return longest
}

/** Share of the beeps sent during the stretches that are heard, 0 to 1. Those at the very edges do not count. */
export function heardShare(report: PatternReport, stretches: readonly Stretch[], nearMs: number): number {
  const edgeMs = 500
  let sent = 0
  let heard = 0
  for (const { participant, beeps, frames } of report.participants) {
    if (frames.length === 0) continue
    const heardAt = new Set(beeps.map(beep => Math.round(wallClockMs(beep.codeMs, nearMs) / 1000)))
    for (const { fromMs, toMs } of stretches) {
      const slotMs = ((participant - 1) % 8) * 120
      for (
        let second = Math.ceil((fromMs + edgeMs - slotMs) / 1000);
        second * 1000 + slotMs < toMs - edgeMs;
        second++
      ) {
        sent++
        if (heardAt.has(Math.round((second * 1000 + slotMs) / 1000))) heard++
      }
    }
  }
  return sent === 0 ? 0 : heard / sent
}
