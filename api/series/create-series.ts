import { isDeepStrictEqual } from 'node:util'
import { parseRecurrence, type Recurrence } from '../../calendar/recurrence.ts'
import { RecurrenceRefused, writeRule } from '../../calendar/recurrence-rule.ts'
import type { Transaction } from '../../db/connect.ts'
import { findMeetingByExternalId, type MeetingWish } from '../../db/meetings.ts'
import { newRowId } from '../../db/row-id.ts'
import {
  findSeriesByExternalId,
  firstMeeting,
  insertOccurrences,
  insertSeries,
  type NewSeries,
  type SeriesRow,
} from '../../db/series.ts'
import type { Caller } from '../caller.ts'
import { Problem } from '../problem.ts'
import type { MeetingProvider } from '../providers/meeting-provider.ts'
import { refusedBody } from '../read-input.ts'
import { TookTooLong, withinTime } from '../time-limit.ts'
import { horizonAt, occurrencesUntil } from './occurrences.ts'

// Nobody else is answered meanwhile.
const READ_LIMIT_MS = 500

/** Reads the recurrence of a body. @throws {Problem} `bad_recurrence`, `unknown_time_zone` */
export function readRecurrence(
  lines: readonly string[],
  first: { start: Date; timeZone: string },
): Recurrence {
  try {
    return withinTime(READ_LIMIT_MS, () => parseRecurrence(lines, first))
  } catch (error) {
    throw recurrenceProblem(error)
  }
}

/** A recurrence that cannot be, as callers are told; any other error as it is. */
export function recurrenceProblem(error: unknown): unknown {
  if (error instanceof TookTooLong)
    return refusedBody([
      {
        path: 'recurrence',
        code: 'bad_recurrence',
        message: 'takes too long to work out: send fewer exceptions, or a simpler rule',
      },
    ])
  if (!(error instanceof RecurrenceRefused)) return error
  return refusedBody([{ path: 'recurrence', code: 'bad_recurrence', message: error.message }])
}

/** The row of a series that does not exist yet. */
export function newSeriesRow(
  provider: MeetingProvider,
  recurrence: Recurrence,
  rest: Pick<
    NewSeries,
    'organizationId' | 'externalId' | 'lengthMs' | 'template' | 'organizer' | 'createdBy' | 'continues'
  >,
): Omit<NewSeries, 'expandedUntil'> & { id: string; eventId: string } {
  const id = newRowId()
  return {
    ...rest,
    id,
    eventId: provider.eventIdOf(id),
    rule: writeRule(recurrence.rule),
    startsAt: recurrence.start,
    timeZone: recurrence.timeZone,
    exceptions: recurrence.exceptions.map(at => at.toISOString()),
  }
}

/**
 * Writes a series with its meetings up to the horizon, all in one transaction; Google is told afterwards. With an
 * external id the request may be repeated: it goes on with the series it left.
 * @returns the series, and its first meeting
 * @throws {Problem} `external_id_taken`
 */
export async function writeNewSeries(
  tx: Transaction,
  caller: Caller,
  wish: MeetingWish,
  recurrence: Recurrence,
  { organizer, provider, now }: { organizer: string; provider: MeetingProvider; now: number },
): Promise<{ seriesId: string; meetingId: string }> {
  const { organizationId, actor, principal } = caller
  const { startsAt, endsAt, timeZone: _, externalId, reminders = [], ...template } = wish
  if (externalId !== null && (await findMeetingByExternalId(tx, organizationId, externalId)))
    throw taken(externalId)
  const row = newSeriesRow(provider, recurrence, {
    organizationId,
    externalId,
    lengthMs: endsAt.getTime() - startsAt.getTime(),
    template: { ...template, reminders },
    organizer,
    createdBy: principal,
  })
  // A series that is on already: what was over before it was made is not made.
  const { occurrences, expandedUntil } = occurrencesUntil(
    recurrence,
    row.eventId,
    new Date(Math.max(recurrence.start.getTime(), now - row.lengthMs + 1)),
    horizonAt(now),
  )
  const made = await insertSeries(tx, { ...row, expandedUntil }, actor)
  if (!made) return unfinishedTwin(tx, { ...row, expandedUntil })
  const [first] = await insertOccurrences(tx, made, occurrences, actor)
  if (!first)
    throw refusedBody([
      {
        path: 'recurrence',
        code: 'bad_recurrence',
        message: 'makes no meeting that is not over already',
      },
    ])
  return { seriesId: made.id, meetingId: first.id }
}

async function unfinishedTwin(
  tx: Transaction,
  wanted: NewSeries,
): Promise<{ seriesId: string; meetingId: string }> {
  const externalId = wanted.externalId ?? ''
  const found = await findSeriesByExternalId(tx, wanted.organizationId, externalId)
  const first = found && (await firstMeeting(tx, found.id))
  if (!found || !first || found.joinUrl !== null || !saysTheSame(found, wanted))
    throw taken(externalId, first?.id)
  return { seriesId: found.id, meetingId: first.id }
}

function saysTheSame(found: SeriesRow, wanted: NewSeries): boolean {
  const said = (row: NewSeries | SeriesRow) => {
    const { rule, startsAt, lengthMs, timeZone, exceptions, template, organizer } = row
    return JSON.parse(JSON.stringify({ rule, startsAt, lengthMs, timeZone, exceptions, template, organizer }))
  }
  return isDeepStrictEqual(said(found), said(wanted))
}

function taken(externalId: string, meetingId?: string): Problem {
  return new Problem(
    'external_id_taken',
    `The external id ${externalId} is taken. Change what has it, or use another external id.`,
    meetingId === undefined ? {} : { meetingId },
  )
}
