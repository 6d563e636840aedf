import { LONGEST_MEETING_HOURS } from './meetings.schema.ts'
import type { FieldFault } from './problem.ts'

const HOUR_MS = 3_600_000
const FURTHEST_YEARS = 20
const YEAR_MS = 365.25 * 24 * HOUR_MS

/**
 * What is wrong with the times of a meeting. A start in the past is fine while the end is to come: such a meeting is on,
 * and is recorded at once.
 * @param now milliseconds since 1970
 */
export function meetingTimeFaults({ start, end }: { start: Date; end: Date }, now: number): FieldFault[] {
  const lengthMs = end.getTime() - start.getTime()
  if (lengthMs <= 0) return [{ path: 'end', code: 'end_before_start', message: 'must be later than start' }]
  if (end.getTime() <= now)
    return [{ path: 'end', code: 'end_in_past', message: 'is in the past: there is nothing left to record' }]
  if (start.getTime() > now + FURTHEST_YEARS * YEAR_MS)
    return [
      { path: 'start', code: 'invalid_field', message: `must be at most ${FURTHEST_YEARS} years from now` },
    ]
  if (lengthMs > LONGEST_MEETING_HOURS * HOUR_MS)
    return [
      {
        path: 'end',
        code: 'too_long',
        message: `must be at most ${LONGEST_MEETING_HOURS} hours after start`,
      },
    ]
  return []
}
