import type { Transaction } from '../../db/connect.ts'
import { noteSeen } from '../../db/meeting-following.ts'
import { listInvited, lockMeeting, type MeetingRow } from '../../db/meetings.ts'
import { lockSeries, type SeriesRow } from '../../db/series.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { applyCancellation } from './apply-cancellation.ts'
import { applyChanges } from './apply-changes.ts'
import { applyComeback, applyPutOff, isPutOff, takesPlaceAgain } from './come-back.ts'
import { changesNothing, compareEvent, isDeclined } from './compare-event.ts'
import { BusyMeeting, type FollowingDeps, WAIT_FOR_LOCK_MS } from './following-deps.ts'
import { readNow } from './read-now.ts'

/** Google is told of a change of a series within this time, or refuses it: then its instances are followed all the same. */
const SERIES_TOLD_WITHIN_MS = 600_000

/**
 * Follows what happened to a meeting's event, a single one or an instance of a series. What the event says is read anew
 * while nobody else can tell Google of this meeting, so that an old reading never undoes a newer change. Repeating it
 * changes nothing.
 * @throws {BusyMeeting}; {LostEvent}; {GoogleFault}
 */
export async function followMeeting(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  meeting: MeetingRow,
  signal: AbortSignal,
): Promise<void> {
  if (!(await seemsChanged(deps, asHeld(event, meeting), meeting))) return
  const done = await deps.locks.alone(meeting.id, WAIT_FOR_LOCK_MS, async () => {
    const fresh = await readNow(deps, calendar, event, signal)
    await deps.db.transaction(tx => applyEvent(deps, tx, meeting, asHeld(fresh, meeting)))
  })
  if (done === 'busy') throw new BusyMeeting(`Somebody else works on the meeting ${meeting.id}`)
}

/** What was found in a calendar and not asked for by a caller is recorded as long as its owner has not declined. */
function asHeld(event: CalendarEvent, { createdBy, organizer }: MeetingRow): CalendarEvent {
  const declined = isDeclined(event, organizer.toLowerCase())
  return createdBy === null && declined ? { ...event, status: 'cancelled' } : event
}

/** Most events that come are our own changes coming back: nothing is locked and nobody asked for those. */
async function seemsChanged(
  deps: FollowingDeps,
  event: CalendarEvent,
  meeting: MeetingRow,
): Promise<boolean> {
  const now = new Date(deps.clock.now())
  const isOver = meeting.status === 'cancelled' || meeting.status === 'ended'
  if (event.status === 'cancelled') {
    const isPending = meeting.syncedRevision < meeting.revision
    const wasOverruled = isPending && meeting.calendarSeen?.cancelledEtag === event.etag
    return !isOver && !wasOverruled
  }
  if (isOver) return takesPlaceAgain(meeting, event, now) !== undefined
  if (isPutOff(meeting, event, now)) return true
  const invited = await listInvited(deps.db, meeting.id)
  const comparison = compareEvent(meeting, invited, event, { bots: deps.settings.bots, now })
  if (!changesNothing(comparison)) return true
  if (meeting.calendarSeen?.etag !== event.etag) await noteSeen(deps.db, meeting.id, comparison.seen)
  return false
}

/**
 * Brings a meeting to what its event says, or the row to what is left of it. For whoever holds the meeting's lock.
 * @throws {BusyMeeting}
 */
export async function applyEvent(
  deps: FollowingDeps,
  tx: Transaction,
  known: MeetingRow,
  event: CalendarEvent,
): Promise<void> {
  const now = new Date(deps.clock.now())
  // Always before its meetings, so that nobody waits in a circle.
  const series = known.seriesId === null ? undefined : await lockSeries(tx, known.seriesId)
  const meeting = await lockMeeting(tx, known.organizationId, known.id)
  if (!meeting) return
  // Until then an instance says what the series said before, and that is no change of somebody's.
  if (series && isBeingTold(series, now))
    throw new BusyMeeting(`Google does not know yet what became of the series ${series.id}`)
  if (event.status === 'cancelled') return applyCancellation(deps, tx, meeting, series, event, now)
  if (meeting.status === 'cancelled' || meeting.status === 'ended')
    return applyComeback(deps, tx, meeting, series, event, now)
  if (isPutOff(meeting, event, now)) return applyPutOff(deps, tx, meeting, event, now)
  await applyChanges(deps, tx, meeting, event, now)
}

function isBeingTold({ syncedRevision, revision, updatedAt }: SeriesRow, now: Date): boolean {
  return syncedRevision < revision && now.getTime() - updatedAt.getTime() < SERIES_TOLD_WITHIN_MS
}
