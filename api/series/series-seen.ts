import type { Recurrence } from '../../calendar/recurrence.ts'
import { writeRule } from '../../calendar/recurrence-rule.ts'
import { shortFingerprint } from '../../db/changed-fields.ts'
import type { SeriesSeen } from '../../db/schema.ts'
import type { SeriesRow } from '../../db/series.ts'

/**
 * What the recurring event of a series says, to be told later from what it says then.
 * @param recurrence its exceptions: those that the event itself names
 */
export function seenOf(
  { organizer, lengthMs, template }: Pick<SeriesRow, 'organizer' | 'lengthMs' | 'template'>,
  recurrence: Recurrence,
): SeriesSeen {
  const { rule, start, timeZone, exceptions } = recurrence
  // The organizer is in the event whether invited or not.
  const guests = template.participants
    .map(({ email }) => email.toLowerCase())
    .filter(email => email !== organizer.toLowerCase())
    .sort()
  return {
    times: shortFingerprint(`${start.toISOString()}/${lengthMs}/${timeZone}/${writeRule(rule)}`),
    topic: shortFingerprint(template.topic.trim()),
    description: shortFingerprint(template.description?.trim() ?? ''),
    guests: shortFingerprint(guests.join(' ')),
    exceptions: exceptions.map(at => at.toISOString()),
  }
}
