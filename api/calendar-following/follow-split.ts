import { findSeriesAt, findSeriesByEvent } from '../../db/find-followed.ts'
import { insertSeries, lockSeries, lockUpcoming, type SeriesRow } from '../../db/series.ts'
import { linkUpcoming } from '../../db/series-following.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { newSeriesRow } from '../series/create-series.ts'
import { horizonAt, occurrencesUntil } from '../series/occurrences.ts'
import { sendJobs } from '../tell-provider.ts'
import { auditSeriesConflict } from './audit-conflict.ts'
import { captureInstances } from './capture.ts'
import { followExceptions } from './follow-exceptions.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'
import { placeFollowed } from './place-followed.ts'
import { readInstances } from './read-instances.ts'
import { changedFields, linkOf, readSeries } from './read-series.ts'
import { weighSeries } from './weigh-series.ts'

/** What Google appends to the id of a recurring event for the part that "this and following events" splits off. */
const SPLIT_ID = /^(.+)_R\d{8}(?:T\d{6}Z?)?$/

/**
 * The series that a recurring event was split off in the calendar: it keeps what marks the event as ours, or its id says
 * so.
 */
export async function splitFrom(
  { db }: Pick<FollowingDeps, 'db'>,
  calendar: string,
  { recurrence, status, meetingId, eventId }: CalendarEvent,
): Promise<SeriesRow | undefined> {
  if (recurrence.length === 0 || status === 'cancelled') return undefined
  const marked = meetingId === null ? undefined : await findSeriesAt(db, calendar, meetingId)
  if (marked) return marked
  const base = SPLIT_ID.exec(eventId)?.[1]
  return base === undefined ? undefined : findSeriesByEvent(db, calendar, base)
}

/**
 * Follows a recurring event that somebody split off a series in the calendar ("this and following events"): it becomes a
 * series that goes on where the other one ends, and takes over its meetings from there on.
 */
export async function followSplit(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  from: SeriesRow,
  signal: AbortSignal,
): Promise<void> {
  const instances = await readInstances(deps, calendar, event, signal)
  const made = await deps.db.transaction(async tx => {
    const row = await lockSeries(tx, from.id)
    const wanted = row && readSeries(deps, row, event, instances)
    if (wanted === 'unreadable') return wanted
    if (!row || !wanted) return undefined
    const now = new Date(deps.clock.now())
    const { recurrence, lengthMs } = wanted
    const { organizationId, organizer, createdBy } = row
    const fresh = newSeriesRow(deps.provider, recurrence, {
      ...{ organizationId, organizer, createdBy, lengthMs, template: wanted.template },
      externalId: null,
      continues: row.id,
    })
    // When it takes place the calendar says. What else a caller changed and Google does not know yet holds for this part too.
    const { startsAt, timeZone, rule, exceptions = [] } = fresh
    const split = { ...row, startsAt, timeZone, rule, exceptions, lengthMs }
    const { becomes, conflict, seen } = weighSeries(split, event, wanted)
    const { template } = becomes ?? row
    const isPending = row.syncedRevision < row.revision
    const link = linkOf(event, row)
    const { expandedUntil } = occurrencesUntil(recurrence, event.eventId, now, horizonAt(now.getTime()))
    const known = { space: row.space, calendarSeen: seen, syncedRevision: 1, revision: isPending ? 2 : 1 }
    const target = await insertSeries(
      tx,
      { ...fresh, ...link, ...known, template, eventId: event.eventId, expandedUntil },
      ACTOR,
    )
    if (!target) throw new Error('a series without external id met another one')
    if (conflict) await auditSeriesConflict(tx, { ...split, id: target.id }, event, conflict, wanted)
    if (isPending) await sendJobs(deps.jobs, tx, { seriesIds: [target.id], meetingIds: [] }, now.getTime(), 0)
    const upcoming = await lockUpcoming(tx, row.id, { from: event.start ?? now, now })
    await placeFollowed(deps, tx, row, target, recurrence, upcoming, changedFields(row, template))
    await linkUpcoming(tx, target.id, { ...link, before: row.joinUrl, now })
    return target
  })
  if (made === 'unreadable') {
    const { organizationId } = from
    return captureInstances(deps, calendar, event, signal, { organizationId })
  }
  if (made) await followExceptions(deps, calendar, made.id, instances, signal)
}
