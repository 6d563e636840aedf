const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

// Eleven posts over about a day.
const DELAYS_MS = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  5 * MINUTE_MS,
  15 * MINUTE_MS,
  HOUR_MS,
  2 * HOUR_MS,
  4 * HOUR_MS,
  8 * HOUR_MS,
  8 * HOUR_MS,
]
const JITTER = 0.1

/**
 * How long to wait after a failed post, or undefined when it was the last.
 * @param attempts posts so far, 1 or more
 * @param chance 0 to 1: spreads posts that failed together by a tenth either way
 */
export function retryDelayMs(attempts: number, chance: number): number | undefined {
  const delayMs = DELAYS_MS[attempts - 1]
  return delayMs === undefined ? undefined : Math.round(delayMs * (1 - JITTER + 2 * JITTER * chance))
}
