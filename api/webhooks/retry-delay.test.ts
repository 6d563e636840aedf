import { expect, test } from 'vitest'
import { retryDelayMs } from './retry-delay.ts'

const HOUR_MS = 3_600_000

function delays(chance: number): number[] {
  const all: number[] = []
  for (let attempts = 1; ; attempts++) {
    const delay = retryDelayMs(attempts, chance)
    if (delay === undefined) return all
    all.push(delay)
  }
}

test('the waits grow from seconds to hours and end after about a day', () => {
  const all = delays(0.5)
  expect(all[0]).toBe(5000)
  expect(all).toEqual([...all].sort((a, b) => a - b))
  const total = all.reduce((sum, delay) => sum + delay, 0)
  expect(total / HOUR_MS).toBeGreaterThan(22)
  expect(total / HOUR_MS).toBeLessThan(25)
})

test('chance spreads each wait by a tenth to either side', () => {
  const [early, late] = [delays(0), delays(1)]
  expect(early[0]).toBe(4500)
  expect(late[0]).toBe(5500)
})
