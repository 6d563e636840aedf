import { calendar } from 'googleapis/build/src/apis/calendar/index.js'
import { type CalendarEvent, type CalendarRef, readEvent } from './calendar-event.ts'
import type { Call, CallGoogle } from './call.ts'
import { GoogleFault } from './fault.ts'
import { everyPage } from './pages.ts'

/** Which instances of a series are wanted. */
export interface InstancesQuery {
  /** Ending after this. */
  from: Date
  /** Starting before this. */
  to: Date
  /** Cancelled ones too. */
  withCancelled?: boolean
}

/** Reads events of a calendar. All of it throws `GoogleFault`; what never was is `not_found`. */
export interface CalendarEvents {
  /** One event, series or instance. A cancelled one is still found, as `cancelled`. */
  readEvent(calendar: CalendarRef, eventId: string, signal?: AbortSignal): Promise<CalendarEvent>
  /** The instances of a series as Google expands it, exceptions where they are now, in order of their start. */
  listInstances(
    calendar: CalendarRef,
    seriesId: string,
    query: InstancesQuery,
    signal?: AbortSignal,
  ): Promise<CalendarEvent[]>
  /**
   * The instance that the series has, or had before it was moved or cancelled, at this time. Google documents no form
   * of an instance's id (google-apis.md §1.5), so it is asked for by its original start; null when the series has none
   * there.
   */
  findInstance(
    calendar: CalendarRef,
    seriesId: string,
    originalStart: Date,
    signal?: AbortSignal,
  ): Promise<CalendarEvent | null>
}

export const CALENDAR_SCOPES = ['https://www.googleapis.com/auth/calendar.events']
const INSTANCES_A_PAGE = 250

export function createCalendarEvents({ call }: { call: CallGoogle }): CalendarEvents {
  const { events } = calendar('v3')

  const instances = async (
    of: CalendarRef,
    seriesId: string,
    query: { timeMin?: string; timeMax?: string; originalStart?: string; showDeleted: boolean },
    signal: AbortSignal | undefined,
  ) => {
    const about = aboutCalendar('events.instances', of, signal)
    const found = await everyPage(async pageToken => {
      const { data } = await call(about, options =>
        events.instances(
          { ...idOf(of), eventId: seriesId, maxResults: INSTANCES_A_PAGE, ...query, ...pageToken },
          options,
        ),
      )
      return { items: data.items, next: data.nextPageToken }
    })
    return found.flatMap(event => readEvent(event) ?? [])
  }

  return {
    readEvent: async (of, eventId, signal) => {
      const about = aboutCalendar('events.get', of, signal)
      const { data } = await call(about, options => events.get({ ...idOf(of), eventId }, options))
      const event = readEvent(data)
      if (event) return event
      throw new GoogleFault(
        { service: 'calendar', code: 'invalid', reason: 'no_event_id' },
        `Google's answer about the event ${eventId} has no id.`,
      )
    },

    listInstances: (of, seriesId, { from, to, withCancelled = false }, signal) =>
      instances(
        of,
        seriesId,
        { timeMin: from.toISOString(), timeMax: to.toISOString(), showDeleted: withCancelled },
        signal,
      ),

    findInstance: async (of, seriesId, originalStart, signal) => {
      const query = { originalStart: originalStart.toISOString(), showDeleted: true }
      const [found] = await instances(of, seriesId, query, signal)
      return found ?? null
    },
  }
}

/** A call about one calendar, as the user whose it is. */
export function aboutCalendar(
  method: string,
  { subject }: CalendarRef,
  signal: AbortSignal | undefined,
  more: Partial<Call> = {},
): Call {
  return { service: 'calendar', method, subject, scopes: CALENDAR_SCOPES, signal, ...more }
}

export function idOf({ calendarId = 'primary' }: CalendarRef): { calendarId: string } {
  return { calendarId }
}
