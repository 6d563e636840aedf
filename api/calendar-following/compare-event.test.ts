import { describe, expect, test } from 'vitest'
import { shortFingerprint } from '../../db/changed-fields.ts'
import type { MeetingRow, ParticipantRow } from '../../db/meetings.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { changesNothing, compareEvent } from './compare-event.ts'

const start = new Date('2030-01-07T15:00:00Z')
const end = new Date('2030-01-07T16:00:00Z')
const changedAt = new Date('2030-01-01T00:00:00Z')
const options = { bots: new Set<string>(), now: changedAt }

const event = {
  ...{ etag: 'e', updatedAt: new Date('2030-01-02T00:00:00Z'), topic: 'Ronda', description: '' },
  ...{ start, end, timeZone: 'UTC', attendeesComplete: true, conference: { status: 'absent' } },
  attendees: [{ email: 'paciente@correo.example', name: null, response: 'needs_action' }],
} as unknown as CalendarEvent

const invited = [
  { email: 'erased-1@erased.invalid', name: null, role: 'participant', response: 'needs_action' },
] as ParticipantRow[]

const meetingWith = (guests: string, syncedRevision: number) =>
  ({
    ...{ seriesId: 's', status: 'scheduled', topic: 'Ronda', description: null },
    ...{ startsAt: start, endsAt: end, timeZone: 'UTC', joinUrl: null, updatedAt: changedAt },
    ...{ revision: 2, syncedRevision },
    calendarSeen: { etag: 'd', updatedAt: null, fields: { guests } },
  }) as unknown as MeetingRow

describe('guests of whom nothing is known any more as they were', () => {
  test.each([
    ['Google knows what the meeting says', 2],
    ['a caller has changed it', 1],
  ])('bring nobody back where %s', (_, syncedRevision) => {
    const before = { etag: 'd', updatedAt: null }
    const meeting = meetingWith('', syncedRevision)
    const fields = { ...compareEvent(meeting, invited, event, options).seen.fields, guests: '' }
    const erased = compareEvent({ ...meeting, calendarSeen: { ...before, fields } }, invited, event, options)
    expect(changesNothing(erased)).toBe(true)
    expect(erased.seen.fields.guests).toBe(shortFingerprint('paciente@correo.example'))
    // As it would be where others had been invited.
    const known = { ...before, fields: { ...fields, guests: shortFingerprint('otro@correo.example') } }
    const changed = compareEvent({ ...meeting, calendarSeen: known }, invited, event, options)
    expect(changed.changes.participants).toMatchObject([{ email: 'paciente@correo.example' }])
  })
})
