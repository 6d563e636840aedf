import type { Stretch } from './covered.ts'

/** What is known of a fault when the holes of its recording are measured; milliseconds since 1970. */
export interface FaultTimes {
  /** When it was done. */
  faultAtMs: number
  /** When what was away was there again; the time of the fault when nothing outside was away. */
  backAtMs?: number
  /** So long after the fault what it does to the picture may begin; what is recorded until then is there. */
  noticedMs?: number
  /** Is a hole allowed at the fault? Otherwise every hole is a loss. */
  interrupts: boolean
}

/** Pictures that were on their way when it happened. */
const AT_ONCE_MS = 1_500

/**
 * How much was captured before the fault and is not in the file, and how long it took until pictures were recorded
 * again. Seconds, to the tenth.
 */
export function measureHoles(
  holes: readonly Stretch[],
  { faultAtMs, backAtMs = faultAtMs, noticedMs = AT_ONCE_MS, interrupts }: FaultTimes,
): { lostSeconds: number; recoverySeconds: number } {
  if (!interrupts) {
    const longestMs = Math.max(0, ...holes.map(hole => hole.toMs - hole.fromMs))
    const last = holes.at(-1)
    return {
      lostSeconds: inSeconds(longestMs),
      recoverySeconds: last ? inSeconds(Math.max(0, last.toMs - backAtMs)) : 0,
    }
  }
  // The hole at the fault, and those that begin before all is back, are time without recording, not lost recording.
  const beginsUntilMs = Math.max(backAtMs, faultAtMs + noticedMs)
  const atTheFault = holes.filter(hole => hole.fromMs <= beginsUntilMs)
  const settledMs = Math.max(backAtMs, ...atTheFault.map(hole => hole.toMs))
  const before = holes.map(hole => ({ fromMs: hole.fromMs, toMs: Math.min(hole.toMs, faultAtMs) }))
  const later = holes.filter(hole => hole.fromMs > settledMs)
  return {
    lostSeconds: inSeconds(sumMs(before) + sumMs(later)),
    recoverySeconds: holes.some(hole => hole.toMs > faultAtMs) ? inSeconds(settledMs - backAtMs) : 0,
  }
}

/** Milliseconds as seconds, to the tenth. */
export const inSeconds = (ms: number) => Math.round(ms / 100) / 10

const sumMs = (stretches: readonly Stretch[]) =>
  stretches.reduce((total, { fromMs, toMs }) => total + Math.max(0, toMs - fromMs), 0)
