import { expect, test } from 'vitest'
import { openSlowSchemas } from './slow-schemas.ts'

test('five in a minute are enough, of each organisation for itself, until a minute has passed', () => {
  const slow = openSlowSchemas()
  for (let at = 0; at < 5; at++) {
    expect(slow.isTooOften('una', at * 1000)).toBe(false)
    slow.note('una', at * 1000)
  }
  expect(slow.isTooOften('una', 5000)).toBe(true)
  expect(slow.isTooOften('otra', 5000)).toBe(false)
  slow.note('otra', 5000)
  expect(slow.isTooOften('una', 59_999)).toBe(true)
  expect(slow.isTooOften('una', 60_000)).toBe(false)
})
