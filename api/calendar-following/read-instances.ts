import type { CalendarEvent } from '../../google/calendar-event.ts'
import { isFault } from '../../google/fault.ts'
import { horizonAt } from '../series/occurrences.ts'
import type { FollowingDeps } from './following-deps.ts'

/** The instances to come of a recurring event, as Google expands it; cancelled ones too. */
export async function readInstances(
  { google, clock, log }: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<CalendarEvent[]> {
  if (event.status === 'cancelled') return []
  const now = clock.now()
  const query = { from: new Date(now), to: horizonAt(now), withCancelled: true }
  try {
    return await google.events.listInstances({ subject: calendar }, event.eventId, query, signal)
  } catch (error) {
    if (!isFault(error, 'not_found') && !isFault(error, 'gone')) throw error
    // It was moved into another calendar; what is different about one of its instances is told by that instance.
    log.warn({ calendar, eventId: event.eventId }, 'Google does not tell the instances of a recurring event')
    return []
  }
}
