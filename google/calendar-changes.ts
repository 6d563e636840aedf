import { calendar } from 'googleapis/build/src/apis/calendar/index.js'
import { type CalendarEvent, type CalendarRef, readEvent } from './calendar-event.ts'
import { aboutCalendar, idOf } from './calendar-events.ts'
import type { CallGoogle } from './call.ts'
import { GoogleFault, isFault } from './fault.ts'
import { everyPage } from './pages.ts'

/** Where to begin: after an earlier reading, or with all that ends after a moment. */
export type ChangesSince = { syncToken: string } | { from: Date }

export interface CalendarChangeList {
  /**
   * Single events, series (not their instances) and exceptions of series. Cancelled ones are among them, and may be
   * bare. In a full reading what was deleted long ago is simply not there any more.
   */
  events: CalendarEvent[]
  /** Continues from here. Store it in the same transaction as what was made of the events. */
  syncToken: string
}

/** Follows what happens in a calendar (google-apis.md §1.7). */
export interface CalendarChanges {
  /**
   * Everything that changed, all pages. The order says nothing: an exception can come before its series.
   * @throws {GoogleFault} `sync_token_expired`: read everything again with `from`; nothing of the local copy counts
   */
  readChanges(calendar: CalendarRef, since: ChangesSince, signal?: AbortSignal): Promise<CalendarChangeList>
}

// The most that Google gives (discovery calendar.v3).
const EVENTS_A_PAGE = 2500

export function createCalendarChanges({ call }: { call: CallGoogle }): CalendarChanges {
  const { events } = calendar('v3')
  return {
    readChanges: async (of, since, signal) => {
      const begin =
        'syncToken' in since ? { syncToken: since.syncToken } : { timeMin: since.from.toISOString() }
      // All but the beginning has to be the same in every reading, or the token does not fit.
      const query = { ...idOf(of), ...begin, showDeleted: true, maxResults: EVENTS_A_PAGE }
      let syncToken: string | null | undefined
      const found = await everyPage(async pageToken => {
        const { data } = await call(aboutCalendar('events.list', of, signal), options =>
          events.list({ ...query, ...pageToken }, options),
        ).catch((error: unknown) => {
          throw ('syncToken' in since ? expiredToken(error) : undefined) ?? error
        })
        syncToken = data.nextSyncToken
        return { items: data.items, next: data.nextPageToken }
      })
      if (!syncToken)
        throw new GoogleFault(
          { service: 'calendar', code: 'invalid', reason: 'no_sync_token' },
          `Google's list of the events of ${of.calendarId ?? of.subject} ended without a sync token.`,
        )
      return { events: found.flatMap(event => readEvent(event) ?? []), syncToken }
    },
  }
}

/**
 * A list is gone (410) by its token only, whatever reason Google gives. A token that Google cannot read at all is refused
 * as an invalid value, and is just as much over.
 */
function expiredToken(error: unknown): GoogleFault | undefined {
  const isUnreadable = isFault(error, 'invalid') && /sync token/i.test(error.message)
  if (!isUnreadable && !isFault(error, 'gone')) return undefined
  const { service, httpStatus, reason } = error
  return new GoogleFault({ service, code: 'sync_token_expired', httpStatus, reason }, error.message)
}
