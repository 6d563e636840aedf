import type { Clock } from '../clock.ts'

/** Adds up the time in which it runs, in milliseconds. */
export function stopwatch(clock: Clock) {
  let since: number | null = null
  let sumMs = 0
  return {
    run(on: boolean) {
      if (since !== null) sumMs += clock.now() - since
      since = on ? clock.now() : null
    },
    totalMs: () => sumMs,
  }
}
