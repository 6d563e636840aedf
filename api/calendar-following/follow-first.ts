import { listInvited } from '../../db/meetings.ts'
import { ChangedThere, type FollowedCalendar } from '../provision-deps.ts'
import { changesNothing, compareEvent } from './compare-event.ts'
import { applyEvent } from './follow-meeting.ts'
import { BusyMeeting, type FollowingDeps } from './following-deps.ts'

/**
 * Follows what people changed in a calendar before anything is written over it: who tells Google of a caller's change may
 * be faster than the next reading. Only what was read or written before can be told from what people changed.
 */
export function followedCalendar(deps: FollowingDeps): FollowedCalendar {
  const compared = (...[meeting, invited, there]: Parameters<FollowedCalendar['seenOf']>) =>
    compareEvent(meeting, invited, there, { bots: deps.settings.bots, now: new Date(deps.clock.now()) })
  return {
    async followFirst(meeting, there) {
      const { calendarSeen, status } = meeting
      if (!calendarSeen || calendarSeen.etag === there.etag) return
      if (status !== 'scheduled' && status !== 'in_progress') return
      if (changesNothing(compared(meeting, await listInvited(deps.db, meeting.id), there))) return
      try {
        await deps.db.transaction(tx => applyEvent(deps, tx, meeting, there))
      } catch (error) {
        // Its series was changed meanwhile, which Google is told of first.
        if (!(error instanceof BusyMeeting)) throw error
      }
      throw new ChangedThere('People had changed the event in the calendar; that was followed first')
    },
    seenOf: (meeting, invited, there) => {
      const cancelledEtag = meeting.calendarSeen?.cancelledEtag
      return {
        ...compared(meeting, invited, there).seen,
        ...(cancelledEtag !== undefined && { cancelledEtag }),
      }
    },
  }
}
