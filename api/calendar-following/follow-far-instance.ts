import { isOccurrence } from '../../calendar/recurrence.ts'
import { findInstance } from '../../db/find-followed.ts'
import {
  addException,
  insertOccurrences,
  lockSeries,
  removeException,
  type SeriesRow,
} from '../../db/series.ts'
import { announceMeeting } from '../../db/webhooks.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { sendBot } from '../send-bot.ts'
import { recurrenceOf } from '../series/occurrences.ts'
import { followMeeting } from './follow-meeting.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'

/**
 * Follows an instance of a series that no meeting has been made for yet: one that does not take place is never made, one
 * that is changed, or takes place after all, is made now.
 */
export async function followFarInstance(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  series: SeriesRow,
  signal: AbortSignal,
): Promise<void> {
  const { originalStart, eventId } = event
  if (!originalStart) return
  const isGone = event.status === 'cancelled'
  const now = deps.clock.now()
  if (!isGone && event.end && event.end.getTime() <= now) return
  const made = await deps.db.transaction(async tx => {
    const row = await lockSeries(tx, series.id)
    if (row?.status !== 'active') return undefined
    const recurrence = recurrenceOf(row)
    if (isGone) {
      const isAhead = originalStart >= row.expandedUntil && isOccurrence(recurrence, originalStart)
      if (isAhead) await addException(tx, row, originalStart)
      return undefined
    }
    if (!isOccurrence({ ...recurrence, exceptions: [] }, originalStart)) return undefined
    if (await findInstance(tx, calendar, row.id, { eventId, originalStart })) return undefined
    await removeException(tx, row, originalStart)
    const [meeting] = await insertOccurrences(tx, row, [{ originalStart, eventId }], ACTOR)
    if (!meeting || row.joinUrl === null) return meeting
    await sendBot(deps, tx, meeting, now)
    await announceMeeting(tx, 'meeting.created', meeting, { at: new Date(now) })
    return meeting
  })
  const meeting = made ?? (await findInstance(deps.db, calendar, series.id, { eventId, originalStart }))
  if (meeting) await followMeeting(deps, calendar, event, meeting, signal)
}
