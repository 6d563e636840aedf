import { expect, test } from 'vitest'
import { steadyClock } from './steady-clock.ts'

test('a wall clock that is set meanwhile does not disturb it', () => {
  let wall = 1_000_000
  const clock = steadyClock({ now: () => wall, sleep: async () => undefined })
  expect(clock.now()).toBeCloseTo(1_000_000, -2)
  wall += 300_000
  expect(clock.now()).toBeLessThan(1_010_000)
})
