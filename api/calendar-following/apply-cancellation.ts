import type { Transaction } from '../../db/connect.ts'
import { hasEverMet, noteCancelledEvent } from '../../db/meeting-comeback.ts'
import { noteFollowed } from '../../db/meeting-following.ts'
import { auditMeeting, cancelMeeting, listInvited, type MeetingRow } from '../../db/meetings.ts'
import { addException, type SeriesRow } from '../../db/series.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { withdrawBot } from '../send-bot.ts'
import { auditConflict } from './audit-conflict.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'

/**
 * The event of a meeting was cancelled in the calendar: so is the meeting. A call in which people have been goes on and is
 * recorded to its end, as the room does not close with its event; only a caller has the bot leave.
 * @param series the one whose meeting it is, locked
 */
export async function applyCancellation(
  { jobs }: Pick<FollowingDeps, 'jobs'>,
  tx: Transaction,
  meeting: MeetingRow,
  series: SeriesRow | undefined,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  if (meeting.status === 'cancelled' || meeting.status === 'ended') return
  if (meeting.status === 'in_progress' && (await hasEverMet(tx, meeting.id))) {
    if (meeting.calendarSeen?.cancelledEtag === event.etag) return
    await noteCancelledEvent(tx, meeting.id, event.etag)
    return auditMeeting(tx, meeting, ACTOR, 'meeting.event_cancelled_during_call')
  }
  const isPending = meeting.syncedRevision < meeting.revision
  if (isPending) {
    if (meeting.calendarSeen?.cancelledEtag === event.etag) return
    const winner = event.updatedAt && event.updatedAt <= meeting.updatedAt ? 'caller' : 'calendar'
    const invited = await listInvited(tx, meeting.id)
    await auditConflict(tx, meeting, event, { winner, fields: ['status'] }, { invited })
    // Telling Google of the caller's change finds the event gone and makes another one.
    if (winner === 'caller') return noteCancelledEvent(tx, meeting.id, event.etag)
  }
  const { recordingCancelled } = await cancelMeeting(tx, meeting, { actor: ACTOR, now })
  // Where recording has begun, its job stays: whoever works on it sees the cancellation and keeps what there is.
  if (recordingCancelled) await withdrawBot(jobs, tx, meeting)
  await jobs.withdraw(tx, 'provision-meeting', meeting.id)
  await noteFollowed(tx, meeting.id)
  await noteCancelledEvent(tx, meeting.id, event.etag)
  if (series && meeting.originalStart) await addException(tx, series, meeting.originalStart)
}
