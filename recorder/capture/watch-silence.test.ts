import { expect, test, vi } from 'vitest'
import { watchSilence } from './watch-silence.ts'

test('silence is told after its limit, and what comes meanwhile begins the count anew', () => {
  vi.useFakeTimers()
  try {
    const silences: number[] = []
    const watch = watchSilence(2_000, () => silences.push(performance.now()))
    const begunAtMs = performance.now()
    watch.start()
    vi.advanceTimersByTime(1_900)
    watch.sawSomething()
    vi.advanceTimersByTime(1_900)
    expect(silences).toEqual([])
    vi.advanceTimersByTime(1_000)
    expect(silences.length).toBeGreaterThanOrEqual(1)
    expect((silences[0] ?? 0) - begunAtMs).toBeLessThanOrEqual(4_600)
    watch.stop()
    const told = silences.length
    vi.advanceTimersByTime(10_000)
    expect(silences).toHaveLength(told)
  } finally {
    vi.useRealTimers()
  }
})

test('a time in which this process did not run is not taken for silence', () => {
  const silences: number[] = []
  const watch = watchSilence(400, () => silences.push(1))
  watch.start()
  // The event loop stands still, as it does after SIGSTOP.
  const untilMs = performance.now() + 1_000
  while (performance.now() < untilMs);
  return new Promise<void>((resolve, reject) => {
    setTimeout(() => {
      watch.stop()
      try {
        expect(silences).toEqual([])
        resolve()
      } catch (error) {
        reject(error as Error)
      }
    }, 150)
  })
})
