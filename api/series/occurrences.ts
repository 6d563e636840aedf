import {
  instanceIdFor,
  lastOccurrence,
  nextOccurrence,
  occurrencesBetween,
  type Recurrence,
  storedRecurrence,
} from '../../calendar/recurrence.ts'
import type { Occurrence, SeriesRow } from '../../db/series.ts'

const HORIZON_DAYS = 400
const DAY_MS = 86_400_000
// Stands for: everything there will ever be has been made.
const NOTHING_LEFT = new Date('9999-01-01T00:00:00Z')

/** How far ahead meetings of a series are made. */
export function horizonAt(now: number): Date {
  return new Date(now + HORIZON_DAYS * DAY_MS)
}

/** The recurrence of a series as its row has it. */
export function recurrenceOf(
  row: Pick<SeriesRow, 'startsAt' | 'timeZone' | 'rule' | 'exceptions'>,
): Recurrence {
  return storedRecurrence({
    start: row.startsAt,
    timeZone: row.timeZone,
    rule: row.rule,
    exceptions: row.exceptions.map(at => new Date(at)),
  })
}

/** What a series has from `from` up to `until`, and how far that is to be noted as made. */
export function occurrencesUntil(
  recurrence: Recurrence,
  eventId: string,
  from: Date,
  until: Date,
): { occurrences: Occurrence[]; expandedUntil: Date } {
  // Of a series far ahead the first meeting is made at once, so that there is one to speak of.
  const next = nextOccurrence(recurrence, from)
  const end = next && next >= until ? new Date(next.getTime() + 1) : until
  const starts = occurrencesBetween(recurrence, from, end)
  const last = lastOccurrence(recurrence)
  return {
    occurrences: starts.map(originalStart => ({
      originalStart,
      eventId: instanceIdFor(eventId, originalStart),
    })),
    expandedUntil: last && last < end ? NOTHING_LEFT : end,
  }
}
