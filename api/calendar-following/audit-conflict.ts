import { writeRule } from '../../calendar/recurrence-rule.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import { fingerprint } from '../../db/changed-fields.ts'
import type { Transaction } from '../../db/connect.ts'
import { auditMeeting, type MeetingRow, type ParticipantRow } from '../../db/meetings.ts'
import type { SeriesRow } from '../../db/series.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import type { Conflict, EventFacts } from './compare-event.ts'
import { ACTOR } from './following-deps.ts'
import type { Wanted } from './read-series.ts'

/**
 * Notes that a caller and somebody in the calendar changed a meeting, which of them holds, and what each of them wanted,
 * so that what was lost can be told. As everywhere in the audit log free text stands there by its fingerprint.
 * @param sides.invited by the caller's side
 * @param sides.facts what the event says; absent for one that was cancelled
 */
export function auditConflict(
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  { winner, fields }: Conflict,
  { invited, facts }: { invited: readonly ParticipantRow[]; facts?: EventFacts },
): Promise<void> {
  const { topic, description, startsAt, endsAt, timeZone, status } = meeting
  const words = { topic, description, startsAt, endsAt, timeZone }
  return auditMeeting(tx, meeting, ACTOR, 'meeting.conflict', {
    detail: {
      ...{ winner, fields },
      ...whenChanged(meeting, event),
      caller: {
        status,
        ...wordsOf(words),
        ...peopleOf(
          invited.map(({ email }) => email),
          invited,
        ),
      },
      calendar: {
        status: event.status,
        ...(facts && { ...wordsOf(facts), ...peopleOf([...facts.guests.keys()], invited) }),
      },
    },
  })
}

/** The same of a series. @param wanted what the event says; absent for one that was cancelled */
export function auditSeriesConflict(
  tx: Transaction,
  row: SeriesRow,
  event: CalendarEvent,
  { winner, fields }: Conflict,
  wanted: Wanted | undefined,
): Promise<void> {
  const { id, organizationId, startsAt: start, timeZone, rule, exceptions, lengthMs, template, status } = row
  const mine = seriesSide({ rule, start, timeZone, exceptions, lengthMs, template })
  const theirs = wanted && seriesSide(sideOf(wanted))
  return noteAudit(tx, {
    ...{ organizationId, actor: ACTOR, action: 'series.conflict', subject: `series:${id}` },
    detail: {
      ...{ winner, fields },
      ...whenChanged(row, event),
      caller: { status, ...mine },
      calendar: { status: event.status, ...theirs },
    },
  })
}

function whenChanged({ updatedAt }: { updatedAt: Date }, event: CalendarEvent) {
  return {
    changedByCallerAt: updatedAt.toISOString(),
    changedInCalendarAt: event.updatedAt?.toISOString() ?? null,
  }
}

function wordsOf(side: Pick<EventFacts, 'topic' | 'description' | 'startsAt' | 'endsAt' | 'timeZone'>) {
  return {
    topic: fingerprint(side.topic),
    description: fingerprint(side.description),
    start: side.startsAt.toISOString(),
    end: side.endsAt.toISOString(),
    timeZone: side.timeZone,
  }
}

/** People by the ids of their rows; who has none is told by how many there are, and by the fingerprint of all. */
function peopleOf(emails: readonly string[], known: readonly ParticipantRow[]) {
  const participants = known.flatMap(({ id, email }) => (emails.includes(email) ? [id] : [])).sort()
  return { participants, guests: guestsFact(emails) }
}

function guestsFact(emails: readonly string[]) {
  return { count: emails.length, ...fingerprint(emails.toSorted().join(' ')) }
}

type Side = Pick<SeriesRow, 'rule' | 'timeZone' | 'exceptions' | 'lengthMs' | 'template'> & { start: Date }

function sideOf({ recurrence, lengthMs, template }: Wanted): Side {
  const { rule, start, timeZone, exceptions } = recurrence
  const written = exceptions.map(at => at.toISOString())
  return { rule: writeRule(rule), start, timeZone, exceptions: written, lengthMs, template }
}

function seriesSide({ rule, start, timeZone, exceptions, lengthMs, template }: Side) {
  return {
    ...{ rule, start: start.toISOString(), lengthMs, timeZone, exceptions },
    topic: fingerprint(template.topic),
    description: fingerprint(template.description),
    guests: guestsFact(template.participants.map(({ email }) => email)),
  }
}
