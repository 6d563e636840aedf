import { isOccurrence, parseRecurrence, type Recurrence } from '../../calendar/recurrence.ts'
import { RecurrenceRefused, writeRule } from '../../calendar/recurrence-rule.ts'
import { isTimeZone } from '../../calendar/wall-time.ts'
import type { MeetingChange } from '../../db/meetings.ts'
import type { SeriesTemplate } from '../../db/schema.ts'
import type { SeriesRow } from '../../db/series.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { recurrenceOf } from '../series/occurrences.ts'
import { descriptionOf, guestsOf, peopleOf, topicOf } from './compare-event.ts'
import type { FollowingDeps } from './following-deps.ts'

/** A series as its recurring event has it. */
export interface Wanted {
  recurrence: Recurrence
  lengthMs: number
  template: SeriesTemplate
  /** Those of the exceptions that the event itself names; others are of cancelled instances, or were known before. */
  named: readonly Date[]
}

/**
 * The series that an event describes.
 * @param instances of it, as far as they are known: which of them are cancelled
 * @returns undefined for one without times, such as whole days; `unreadable` for a rule of which we cannot tell the meetings
 */
export function readSeries(
  { settings, log }: Pick<FollowingDeps, 'settings' | 'log'>,
  row: SeriesRow,
  event: CalendarEvent,
  instances: readonly CalendarEvent[] = [],
): Wanted | 'unreadable' | undefined {
  const { start, end } = event
  if (!start || !end || end <= start) return undefined
  const timeZone = event.timeZone && isTimeZone(event.timeZone) ? event.timeZone : row.timeZone
  try {
    const read = parseRecurrence(event.recurrence, { start, timeZone }, { strayExceptions: 'drop' })
    const bare = { ...read, exceptions: [] }
    const cancelled = instances.filter(({ status }) => status === 'cancelled')
    const gone = [
      ...read.exceptions,
      ...cancelled.flatMap(one => one.originalStart ?? []),
      ...row.exceptions.map(at => new Date(at)),
    ]
    const living = new Set(
      instances.flatMap(one => (one.status === 'cancelled' ? [] : (one.originalStart?.getTime() ?? []))),
    )
    const times = new Set(gone.map(at => at.getTime()).filter(at => !living.has(at)))
    const exceptions = [...times]
      .sort((a, b) => a - b)
      .map(at => new Date(at))
      .filter(at => isOccurrence(bare, at))
    const people = peopleOf(
      guestsOf(event, {
        bots: settings.bots,
        known: new Set(row.template.participants.map(({ email }) => email)),
      }),
      row.template.participants as Parameters<typeof peopleOf>[1],
    )
    return {
      recurrence: { ...bare, exceptions },
      named: read.exceptions,
      lengthMs: end.getTime() - start.getTime(),
      template: {
        ...row.template,
        topic: topicOf(event) || row.template.topic,
        description: descriptionOf(event),
        participants: event.attendeesComplete ? people : row.template.participants,
      },
    }
  } catch (error) {
    if (!(error instanceof RecurrenceRefused)) throw error
    const { reason, message } = error
    log.warn(
      { series: row.id, reason, message },
      'a series was given a rule in the calendar that cannot be read: its meetings are taken as Google has them',
    )
    return 'unreadable'
  }
}

/** Whether a recurring event says something else than its series, or something that we cannot read. */
export function compareSeries(
  deps: Pick<FollowingDeps, 'settings' | 'log'>,
  row: SeriesRow,
  event: CalendarEvent,
): 'same' | 'different' | 'unreadable' {
  if (event.status === 'cancelled') return 'different'
  const wanted = readSeries(deps, row, event)
  if (wanted === 'unreadable') return wanted
  return wanted && differs(row, event, wanted) ? 'different' : 'same'
}

function differs(row: SeriesRow, event: CalendarEvent, wanted: Wanted): boolean {
  const { recurrence, lengthMs, template } = wanted
  const known = recurrenceOf(row)
  return (
    recurrence.start.getTime() !== known.start.getTime() ||
    recurrence.timeZone !== known.timeZone ||
    writeRule(recurrence.rule) !== writeRule(known.rule) ||
    lengthMs !== row.lengthMs ||
    recurrence.exceptions.some(at => !row.exceptions.includes(at.toISOString())) ||
    (row.joinUrl !== null && linkOf(event, row).meetingCode !== row.meetingCode) ||
    Object.keys(changedFields(row, template)).length > 0
  )
}

/** Link and room of a recurring event: those of its series, unless somebody gave it another link. */
export function linkOf(
  { conference }: CalendarEvent,
  row: SeriesRow,
): Pick<SeriesRow, 'joinUrl' | 'meetingCode' | 'spaceName'> {
  const { joinUrl, meetingCode, spaceName } = row
  if (conference.status !== 'success' || conference.meetingCode === meetingCode)
    return { joinUrl, meetingCode, spaceName }
  // The room is another one: its name is asked for when it is needed.
  return { joinUrl: conference.joinUrl, meetingCode: conference.meetingCode, spaceName: null }
}

/** What of the template is different, as a change of each meeting. */
export function changedFields(
  row: SeriesRow,
  template: SeriesTemplate,
): Pick<MeetingChange, 'topic' | 'description' | 'participants'> {
  const before = row.template
  const emails = ({ participants }: SeriesTemplate) =>
    participants
      .map(({ email }) => email)
      .sort()
      .join(' ')
  return {
    ...(template.topic.trim() !== before.topic.trim() && { topic: template.topic }),
    ...((template.description?.trim() ?? '') !== (before.description?.trim() ?? '') && {
      description: template.description,
    }),
    ...(emails(template) !== emails(before) && { participants: template.participants }),
  }
}
