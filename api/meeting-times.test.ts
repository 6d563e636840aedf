import { expect, test } from 'vitest'
import { meetingTimeFaults } from './meeting-times.ts'

const NOW = new Date('2026-11-23T10:00:00Z')
const faultsAt = (start: string) => {
  const at = new Date(start)
  return meetingTimeFaults({ start: at, end: new Date(at.getTime() + 3_600_000) }, NOW.getTime())
}

test('a meeting starts within twenty years', () => {
  expect(faultsAt('2046-11-23T09:00:00Z')).toEqual([])
  const message = 'must be at most 20 years from now'
  for (const start of ['2046-11-24T10:00:00Z', '9999-01-01T00:00:00Z'])
    expect(faultsAt(start)).toEqual([{ path: 'start', code: 'invalid_field', message }])
})
