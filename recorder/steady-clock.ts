import type { Clock } from '../clock.ts'

/**
 * A clock that begins with the wall clock's time and then only goes forward at its own pace: patience that is measured
 * with it is not disturbed when somebody sets the machine's clock.
 */
export function steadyClock(clock: Clock): Clock {
  const offsetMs = clock.now() - performance.now()
  return { now: () => offsetMs + performance.now(), sleep: (ms, signal) => clock.sleep(ms, signal) }
}
