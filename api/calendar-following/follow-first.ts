import { listInvited, type MeetingRow } from '../../db/meetings.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { ChangedThere, type FollowedCalendar } from '../provision-deps.ts'
import { changesNothing, compareEvent } from './compare-event.ts'
import { applyEvent } from './follow-meeting.ts'
import { BusyMeeting, type FollowingDeps } from './following-deps.ts'
import { readNow } from './read-now.ts'

/**
 * Follows what people changed in a calendar before anything is written over it: who tells Google of a caller's change may
 * be faster than the next reading. Only what was read or written before can be told from what people changed.
 */
export function followedCalendar(deps: FollowingDeps): FollowedCalendar {
  const compared = (...[meeting, invited, there]: Parameters<FollowedCalendar['seenOf']>) =>
    compareEvent(meeting, invited, there, { bots: deps.settings.bots, now: new Date(deps.clock.now()) })

  async function isUnread(meeting: MeetingRow, there: CalendarEvent, signal: AbortSignal): Promise<boolean> {
    const { calendarSeen, status } = meeting
    if (status !== 'scheduled' && status !== 'in_progress') return false
    if (there.status === 'cancelled') {
      if (calendarSeen?.cancelledEtag === there.etag) return false
      // It may have been moved into another calendar.
      return (await readNow(deps, meeting.organizer.toLowerCase(), there, signal)).status === 'cancelled'
    }
    if (!calendarSeen || calendarSeen.etag === there.etag) return false
    return !changesNothing(compared(meeting, await listInvited(deps.db, meeting.id), there))
  }

  return {
    async followFirst(meeting, there, signal) {
      if (!(await isUnread(meeting, there, signal))) return
      try {
        await deps.db.transaction(tx => applyEvent(deps, tx, meeting, there))
      } catch (error) {
        // Its series was changed meanwhile, which Google is told of first.
        if (!(error instanceof BusyMeeting)) throw error
      }
      throw new ChangedThere('People had changed the event in the calendar; that was followed first')
    },
    seenOf: (meeting, invited, there) => compared(meeting, invited, there).seen,
  }
}
