import { z } from 'zod'
import type { Queryable, Transaction } from '../db/connect.ts'
import { showMeeting } from '../db/meeting-view.ts'
import { listInvited, lockMeeting, type MeetingRow } from '../db/meetings.ts'
import { lockSeries, type SeriesRow } from '../db/series.ts'
import { Problem } from './problem.ts'
import type { MeetingView } from './views.schema.ts'
import { meetingView } from './views.ts'

/** One meeting as its owner sees it. @throws {Problem} `meeting_not_found` */
export async function viewOf(db: Queryable, organizationId: string, meetingId: string): Promise<MeetingView> {
  const [row, invited] = await Promise.all([
    showMeeting(db, organizationId, meetingId),
    listInvited(db, meetingId),
  ])
  if (!row) throw noSuchMeeting()
  return meetingView(row, invited)
}

/** Also the answer for a meeting of another organisation: whether it exists is not the caller's to know. */
export function noSuchMeeting(): Problem {
  return new Problem('meeting_not_found', 'Your organisation has no meeting with this id.')
}

/** One meeting of the caller's to change. @throws {Problem} `meeting_not_found`, `meeting_not_yours` */
export async function lockedMeeting(
  tx: Transaction,
  organizationId: string,
  meetingId: string,
): Promise<MeetingRow> {
  const meeting = await lockMeeting(tx, organizationId, meetingId)
  if (meeting) return meeting
  // Shown, and still not to be changed: somebody invited them to it.
  if (await showMeeting(tx, organizationId, meetingId))
    throw new Problem('meeting_not_yours', 'You may see this meeting. Only whoever made it may change it.', {
      meetingId,
    })
  throw noSuchMeeting()
}

/** The series of a meeting, locked: always before the meeting, so that nobody waits in a circle. */
export async function lockedSeriesOf(
  tx: Transaction,
  organizationId: string,
  meetingId: string,
): Promise<SeriesRow | undefined> {
  const shown = await showMeeting(tx, organizationId, meetingId)
  const seriesId = shown?.meeting.seriesId
  return seriesId ? lockSeries(tx, seriesId) : undefined
}

/** The same where there has to be one. @throws {Problem} `meeting_not_found`, `meeting_not_yours`, `not_in_series` */
export async function lockedSeries(
  tx: Transaction,
  organizationId: string,
  meetingId: string,
): Promise<SeriesRow> {
  const series = await lockedSeriesOf(tx, organizationId, meetingId)
  if (series) return series
  // Somebody else's meeting, or none: said before anything else.
  await lockedMeeting(tx, organizationId, meetingId)
  throw new Problem('not_in_series', 'This meeting belongs to no series. Leave the scope away.', {
    meetingId,
  })
}

/** @throws {Problem} `meeting_closed` for a meeting that is over or cancelled */
export function refuseClosed(meeting: MeetingRow): void {
  if (meeting.status === 'cancelled' || meeting.status === 'ended')
    throw new Problem(
      'meeting_closed',
      meeting.status === 'cancelled'
        ? 'The meeting was cancelled. Make a new one.'
        : 'The meeting is over. Make a new one.',
      { meetingId: meeting.id },
    )
}

/** The meeting of an address. @throws {Problem} `meeting_not_found` for what is no id at all */
export function meetingIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchMeeting()
  return parsed.data
}
