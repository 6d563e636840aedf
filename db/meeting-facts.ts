import { fingerprint } from './changed-fields.ts'
import type { meetings, participants } from './schema.ts'

type Meeting = Pick<
  typeof meetings.$inferSelect,
  | 'topic'
  | 'description'
  | 'customFields'
  | 'startsAt'
  | 'endsAt'
  | 'timeZone'
  | 'status'
  | 'organizer'
  | 'externalId'
  | 'relatedType'
  | 'relatedId'
  | 'redundancy'
  | 'patience'
  | 'reminders'
  | 'seriesId'
>
type Participant = Pick<typeof participants.$inferSelect, 'id' | 'role'>

/**
 * A meeting as the audit log keeps it, under the names that callers know. People are named by the id of their row, and
 * free text by its fingerprint: a person's data can then be erased without touching the log.
 */
export function meetingFacts(meeting: Meeting, invited?: readonly Participant[]): Record<string, unknown> {
  const { relatedType, relatedId } = meeting
  return {
    topic: fingerprint(meeting.topic),
    description: fingerprint(meeting.description),
    customFields: fingerprint(meeting.customFields),
    start: meeting.startsAt,
    end: meeting.endsAt,
    timeZone: meeting.timeZone,
    status: meeting.status,
    organizer: meeting.organizer,
    externalId: meeting.externalId,
    related: relatedType === null ? null : { type: relatedType, id: relatedId },
    redundancy: meeting.redundancy,
    patience: meeting.patience,
    reminders: meeting.reminders,
    seriesId: meeting.seriesId,
    ...(invited && {
      participants: invited.map(({ id, role }) => ({ id, role })).sort((a, b) => (a.id < b.id ? -1 : 1)),
    }),
  }
}
