import { expect, test } from 'vitest'
import { isElsewhere } from './plan-visit.ts'

test('a bot alone in a room that is not the meeting’s any more goes to the new one; it stays with people', () => {
  const url = 'https://meet.google.com/abc-mnop-xyz'
  const joinUrl = 'https://meet.google.com/qrs-tuvw-xyz'
  expect(isElsewhere({ joinUrl }, { url }, new Set())).toBe(true)
  expect(isElsewhere({ joinUrl }, { url }, new Set(['spaces/a/devices/7']))).toBe(false)
  expect(isElsewhere({ joinUrl: url }, { url }, new Set())).toBe(false)
  expect(isElsewhere({ joinUrl: null }, { url }, new Set())).toBe(false)
})
