import { isOccurrence, type Recurrence } from '../../calendar/recurrence.ts'
import type { SeriesSeen } from '../../db/schema.ts'
import type { SeriesRow } from '../../db/series.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { recurrenceOf } from '../series/occurrences.ts'
import { seenOf } from '../series/series-seen.ts'
import type { Conflict } from './compare-event.ts'
import { linkOf, type Wanted } from './read-series.ts'

/** Start, length, time zone and rule are one: each of them says what the others mean. */
type Field = 'times' | 'topic' | 'description' | 'guests'
const FIELDS: readonly Field[] = ['times', 'topic', 'description', 'guests']

interface Weighed {
  /** What the series has to become; undefined: it stays as it is. */
  becomes: (Wanted & { link: ReturnType<typeof linkOf> }) | undefined
  conflict: Conflict | undefined
  seen: SeriesSeen
}

/**
 * What changed in the calendar, told from what a caller changed in a series and Google does not know yet; by fields, as
 * `compareEvent` does it. While nothing is left to be told to Google, the series becomes what its event says.
 * @param wanted what the event says, of one that is alive
 */
export function weighSeries(row: SeriesRow, event: CalendarEvent, wanted: Wanted): Weighed {
  const inEvent = seenOf({ ...row, ...wanted }, { ...wanted.recurrence, exceptions: wanted.named })
  const before = row.calendarSeen
  const seen = { ...inEvent, guests: (!event.attendeesComplete && before?.guests) || inEvent.guests }
  if (row.syncedRevision >= row.revision)
    return { becomes: { ...wanted, link: linkOf(event, row) }, conflict: undefined, seen }
  const recurrence = recurrenceOf(row)
  const inRow = seenOf(row, recurrence)
  const isNewer = event.updatedAt === null || event.updatedAt > row.updatedAt
  // Without an earlier reading only the times of the two changes are left to judge by.
  const isNew = (field: Field) => (before ? before[field] !== seen[field] : isNewer)
  const changedThere = FIELDS.filter(field => seen[field] !== inRow[field] && isNew(field))
  const changedByBoth = changedThere.filter(field => before?.[field] !== inRow[field])
  const taken = isNewer ? changedThere : changedThere.filter(field => !changedByBoth.includes(field))
  const winner = isNewer ? 'calendar' : 'caller'
  return {
    becomes: mergedWith(row, event, { wanted, recurrence, taken, isNewer }),
    conflict: changedByBoth.length > 0 ? { winner, fields: changedByBoth } : undefined,
    seen,
  }
}

/** The series with those fields of its event, with what else does not take place by it, and with its link. */
function mergedWith(
  row: SeriesRow,
  event: CalendarEvent,
  by: { wanted: Wanted; recurrence: Recurrence; taken: readonly Field[]; isNewer: boolean },
): Weighed['becomes'] {
  const { wanted, taken } = by
  const has = (field: Field) => taken.includes(field)
  const known = row.calendarSeen?.exceptions ?? (by.isNewer ? [] : undefined)
  const added = wanted.named.filter(
    at => known && !known.includes(at.toISOString()) && isOccurrence(by.recurrence, at),
  )
  // A link that Google has made and we do not know yet is learned by telling it of the series.
  const { joinUrl, meetingCode, spaceName } = row
  const link = joinUrl === null ? { joinUrl, meetingCode, spaceName } : linkOf(event, row)
  if (taken.length === 0 && added.length === 0 && link.meetingCode === meetingCode) return undefined
  const exceptions = [...by.recurrence.exceptions, ...added].sort((a, b) => a.getTime() - b.getTime())
  return {
    ...(has('times')
      ? wanted
      : { ...wanted, lengthMs: row.lengthMs, recurrence: { ...by.recurrence, exceptions } }),
    template: {
      ...row.template,
      ...(has('topic') && { topic: wanted.template.topic }),
      ...(has('description') && { description: wanted.template.description }),
      ...(has('guests') && { participants: wanted.template.participants }),
    },
    link,
  }
}
