import { listActiveSeries, listCaptured, listUpcomingSingles } from '../../db/find-followed.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { captureEvent } from './capture.ts'
import { followEvent } from './follow-event.ts'
import { followSeries } from './follow-series.ts'
import type { FollowingDeps } from './following-deps.ts'
import { readById } from './read-now.ts'

/** Follows one event, and keeps it to itself where that fails. */
export type Following = (eventId: string, work: () => Promise<void>) => Promise<void>

/** In a reading of everything, what was deleted long ago is not there: each of these is asked for. */
export async function followMissing(
  deps: FollowingDeps,
  calendar: string,
  events: readonly CalendarEvent[],
  following: Following,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock } = deps
  const now = new Date(clock.now())
  const there = new Set(events.map(({ eventId }) => eventId))
  const missing = async (eventId: string, follow: (event: CalendarEvent) => Promise<void>) => {
    if (there.has(eventId)) return
    await following(eventId, async () => {
      const event = await readById(deps, calendar, eventId, signal)
      if (event) await follow(event)
    })
  }
  for (const { eventId } of await listUpcomingSingles(db, calendar, now))
    await missing(eventId, event => followEvent(deps, calendar, event, signal))
  for (const series of await listActiveSeries(db, calendar))
    await missing(series.eventId, event => followSeries(deps, calendar, event, series, signal))
  const captured = await listCaptured(db, calendar, now)
  for (const eventId of new Set(captured.flatMap(meeting => meeting.calendarSeries ?? [])))
    await missing(eventId, event => captureEvent(deps, calendar, { ...event, recurrence: ['RRULE'] }, signal))
}
