import { nextOccurrence } from '../../calendar/recurrence.ts'
import { writeRule } from '../../calendar/recurrence-rule.ts'
import type { Queryable, Transaction } from '../../db/connect.ts'
import { changeSeries, lockSeries, lockUpcoming, type SeriesRow } from '../../db/series.ts'
import {
  answerSeries,
  linkUpcoming,
  noteSeriesCancelledEvent,
  noteSeriesFollowed,
  noteSeriesSeen,
} from '../../db/series-following.ts'
import { isSeriesOver } from '../../db/series-template.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { horizonAt, occurrencesUntil } from '../series/occurrences.ts'
import { cancelOne } from '../series/place-meetings.ts'
import { auditSeriesConflict } from './audit-conflict.ts'
import { captureInstances } from './capture.ts'
import { followExceptions } from './follow-exceptions.ts'
import { ACTOR, BusyMeeting, type FollowingDeps, WAIT_FOR_LOCK_MS } from './following-deps.ts'
import { placeFollowed } from './place-followed.ts'
import { readInstances } from './read-instances.ts'
import { readNow } from './read-now.ts'
import { changedFields, compareSeries, readSeries, type Wanted } from './read-series.ts'
import { weighSeries } from './weigh-series.ts'

const BEGINNING = new Date(0)

/**
 * Follows what happened to the recurring event of a series: other times, another rule, another link, other people or
 * words, its end, or that it was put back. What has begun stays as it was; meetings to come keep their ids where they
 * keep their day. Repeating it changes nothing.
 * @throws {BusyMeeting}; {LostEvent}; {GoogleFault}
 */
export async function followSeries(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  known: SeriesRow,
  signal: AbortSignal,
): Promise<void> {
  if (known.status === 'cancelled') {
    if (event.status === 'cancelled' || known.syncedRevision < known.revision) return
  } else {
    if (event.status !== 'cancelled') await followAnswers(deps, known, event)
    if (!(await seemsChanged(deps, known, event))) return
  }
  const done = await deps.locks.alone(known.id, WAIT_FOR_LOCK_MS, async () => {
    const fresh = await readNow(deps, calendar, event, signal)
    const instances = await readInstances(deps, calendar, fresh, signal)
    await deps.db.transaction(async tx => {
      const row = await lockSeries(tx, known.id)
      if (row) await applyToSeries(deps, tx, row, fresh, instances)
    })
    return { fresh, instances }
  })
  if (done === 'busy') throw new BusyMeeting(`Somebody else works on the series ${known.id}`)
  const { fresh, instances } = done
  if (compareSeries(deps, known, fresh) !== 'unreadable')
    return followExceptions(deps, calendar, known.id, instances, signal)
  const { id: seriesId, organizationId } = known
  await captureInstances(deps, calendar, fresh, signal, { seriesId, organizationId })
}

/** Whether anything happened in the calendar, as far as that can be told without the instances. */
async function seemsChanged(deps: FollowingDeps, row: SeriesRow, event: CalendarEvent): Promise<boolean> {
  const comparison = compareSeries(deps, row, event)
  if (comparison !== 'different') return comparison === 'unreadable'
  if (event.status === 'cancelled') return row.calendarSeen?.cancelledEtag !== event.etag
  const wanted = readSeries(deps, row, event)
  if (wanted === undefined || wanted === 'unreadable') return false
  const { becomes, conflict } = weighSeries(row, event, wanted)
  if (!becomes && !conflict) return false
  return !(await isPast(deps.db, row, wanted, new Date(deps.clock.now())))
}

/**
 * Whether all meetings of a series are over, and none comes by its event either. Then nothing is followed: what was erased
 * of its words and people still stands in the event, and would come back.
 */
async function isPast(db: Queryable, { id }: SeriesRow, { recurrence }: Wanted, now: Date): Promise<boolean> {
  return nextOccurrence(recurrence, now) === undefined && (await isSeriesOver(db, id))
}

async function applyToSeries(
  deps: FollowingDeps,
  tx: Transaction,
  row: SeriesRow,
  event: CalendarEvent,
  instances: readonly CalendarEvent[],
): Promise<void> {
  const now = new Date(deps.clock.now())
  const isOver = row.status === 'cancelled'
  const isPending = row.syncedRevision < row.revision
  if (isOver && (isPending || event.status === 'cancelled')) return
  if (event.status === 'cancelled') return applyEnd(deps, tx, row, event, now)
  if (!isOver && compareSeries(deps, row, event) !== 'different') return
  const wanted = readSeries(deps, row, event, instances)
  if (wanted === undefined || wanted === 'unreadable') return
  if (await isPast(tx, row, wanted, now)) return
  const { becomes, conflict, seen } = weighSeries(row, event, wanted)
  if (conflict) await auditSeriesConflict(tx, row, event, conflict, wanted)
  if (becomes) await changeAs(deps, tx, row, becomes, now)
  // What Google did not know yet it is still told of: as a whole, which changes nothing of what it says already.
  if (isPending) return noteSeriesSeen(tx, row.id, seen)
  await noteSeriesFollowed(tx, row.id, seen)
  await deps.jobs.withdraw(tx, 'provision-series', row.id)
}

async function changeAs(
  deps: FollowingDeps,
  tx: Transaction,
  row: SeriesRow,
  becomes: NonNullable<ReturnType<typeof weighSeries>['becomes']>,
  now: Date,
): Promise<void> {
  const isOver = row.status === 'cancelled'
  const { recurrence, lengthMs, template, link } = becomes
  const { expandedUntil } = occurrencesUntil(recurrence, row.eventId, now, horizonAt(now.getTime()))
  const change = {
    rule: writeRule(recurrence.rule),
    startsAt: recurrence.start,
    timeZone: recurrence.timeZone,
    exceptions: recurrence.exceptions.map(at => at.toISOString()),
    ...{ lengthMs, template, expandedUntil },
    ...link,
    ...(isOver && { status: 'active' as const, cancelledAt: null }),
  }
  const target = await changeSeries(tx, row, change, { actor: ACTOR, now })
  // Of one that was put back, what was cancelled stays so, and its meetings are made anew.
  const upcoming = isOver ? [] : await lockUpcoming(tx, row.id, { from: BEGINNING, now })
  await placeFollowed(deps, tx, row, target, recurrence, upcoming, changedFields(row, template))
  await linkUpcoming(tx, row.id, { ...link, before: row.joinUrl, now })
}

/** Its event was cancelled: so are its meetings to come, unless a caller changed the series later. */
async function applyEnd(
  deps: FollowingDeps,
  tx: Transaction,
  row: SeriesRow,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  if (row.syncedRevision < row.revision) {
    if (row.calendarSeen?.cancelledEtag === event.etag) return
    const winner = event.updatedAt && event.updatedAt <= row.updatedAt ? 'caller' : 'calendar'
    await auditSeriesConflict(tx, row, event, { winner, fields: ['status'] }, undefined)
    // Telling Google of the caller's change finds the event gone and makes another one.
    if (winner === 'caller') return noteSeriesCancelledEvent(tx, row, event.etag)
  }
  await cancelSeries(deps, tx, row, now)
  await noteSeriesFollowed(tx, row.id, undefined)
  await deps.jobs.withdraw(tx, 'provision-series', row.id)
}

async function cancelSeries(
  { jobs, provider, settings }: FollowingDeps,
  tx: Transaction,
  row: SeriesRow,
  now: Date,
): Promise<void> {
  const work = { tx, jobs, provider, settings, actor: ACTOR, now: now.getTime() }
  const upcoming = await lockUpcoming(tx, row.id, { from: BEGINNING, now })
  for (const meeting of upcoming) await cancelOne(work, meeting)
  await changeSeries(tx, row, { status: 'cancelled', cancelledAt: now }, { actor: ACTOR, now })
}

/** Who answered to the whole series has answered to each meeting of it, those apart that have answers of their own. */
async function followAnswers(deps: FollowingDeps, row: SeriesRow, event: CalendarEvent): Promise<void> {
  const answers = event.attendees.map(({ email, response }) => ({ email: email.toLowerCase(), response }))
  const now = new Date(deps.clock.now())
  await deps.db.transaction(tx => answerSeries(tx, row, answers, { actor: ACTOR, now }))
}
