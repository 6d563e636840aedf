import { findInstance, findMeetingByEvent, findOwner, findSeriesByEvent } from '../../db/find-followed.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { bringBot } from './bring-bot.ts'
import { captureEvent, isCaptured } from './capture.ts'
import { followFarInstance } from './follow-far-instance.ts'
import { followMeeting } from './follow-meeting.ts'
import { followSeries } from './follow-series.ts'
import { followSplit, splitFrom } from './follow-split.ts'
import type { FollowingDeps } from './following-deps.ts'

/**
 * Follows an event that a calendar shows, as what it is for us: of a meeting, of a series, one of its instances, split off
 * a series, or none of ours. Repeating it changes nothing.
 * @throws {BusyMeeting}; {LostEvent}; {GoogleFault}
 */
export async function followEvent(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<void> {
  const { db } = deps
  const { seriesId, originalStart, eventId } = event
  const series = await findSeriesByEvent(db, calendar, seriesId ?? eventId)
  if (series && seriesId === null) return followSeries(deps, calendar, event, series, signal)
  const meeting =
    series && originalStart
      ? await findInstance(db, calendar, series.id, { eventId, originalStart })
      : await findMeetingByEvent(db, calendar, eventId)
  if (meeting) {
    if (isCaptured(deps, calendar)) await bringBot(deps, calendar, event, meeting, signal)
    await followMeeting(deps, calendar, event, meeting, signal)
    // A single event that somebody had repeat itself: the meeting is its first instance.
    if (event.recurrence.length > 0) await captureEvent(deps, calendar, event, signal)
    return
  }
  if (series) return followFarInstance(deps, calendar, event, series, signal)
  const from = await splitFrom(deps, calendar, event)
  if (from) return followSplit(deps, calendar, event, from, signal)
  if (isCaptured(deps, calendar) || (await isOfOurs(deps, calendar, event)))
    await captureEvent(deps, calendar, event, signal)
}

/** An instance of a recurring event whose other instances are meetings, also where nothing else is captured. */
async function isOfOurs(
  { db }: FollowingDeps,
  calendar: string,
  { seriesId }: CalendarEvent,
): Promise<boolean> {
  return seriesId !== null && (await findOwner(db, calendar, seriesId)) !== undefined
}

/** What a series lost to another one has to be taken over before it counts as gone. */
export function splitsFirst(events: readonly CalendarEvent[]): CalendarEvent[] {
  const rank = ({ recurrence, eventId, status }: CalendarEvent) => {
    if (recurrence.length === 0) return status === 'cancelled' ? 3 : 2
    return /_R\d/.test(eventId) ? 0 : 1
  }
  return events.toSorted((a, b) => rank(a) - rank(b))
}
