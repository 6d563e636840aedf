import type { IcsCancellation } from '../../calendar/ics-event.ts'
import type { Transaction } from '../../db/connect.ts'
import { firstUpcoming } from '../../db/series.ts'
import type { Caller } from '../caller.ts'
import type { ChangeScope } from '../meetings.schema.ts'
import type { MeetingDeps } from '../meetings.ts'
import { Problem } from '../problem.ts'
import { sendJobs } from '../tell-provider.ts'
import { applyCancellation } from '../withdraw-meeting.ts'
import { findByUid, findOccurrenceByUid } from './find-imported.ts'
import type { Imported } from './import.ts'

/**
 * Cancels what a file takes back: a meeting, one meeting of a series, or all of a series that have not begun.
 * @throws {Problem} `meeting_not_found` for what is not there, `meeting_closed` for what is over
 */
export async function importCancellation(
  tx: Transaction,
  deps: MeetingDeps,
  caller: Caller,
  cancellation: IcsCancellation,
): Promise<Imported> {
  const meant = await meantBy(tx, caller, cancellation, deps.clock.now())
  if (!meant) throw new Problem('meeting_not_found', 'There is no meeting with this UID to cancel.')
  const { meetingId, seriesId, scope } = meant
  if (meetingId === undefined) return { outcome: 'unchanged', seriesId }
  const touched = await applyCancellation(tx, deps, caller, meetingId, scope)
  if (touched) await sendJobs(deps.jobs, tx, touched, deps.clock.now(), 0)
  return { outcome: touched ? 'cancelled' : 'unchanged', meetingId, seriesId }
}

async function meantBy(
  tx: Transaction,
  { organizationId }: Caller,
  { uid, originalStart }: IcsCancellation,
  now: number,
): Promise<{ meetingId: string | undefined; seriesId: string | null; scope: ChangeScope } | undefined> {
  if (originalStart) {
    const one = await findOccurrenceByUid(tx, organizationId, uid, originalStart)
    return one && { meetingId: one.id, seriesId: one.seriesId, scope: 'one' }
  }
  const found = await findByUid(tx, organizationId, uid)
  if (!found) return undefined
  if ('meeting' in found)
    return { meetingId: found.meeting.id, seriesId: found.meeting.seriesId, scope: 'one' }
  const { id } = found.series
  return { meetingId: (await firstUpcoming(tx, id, new Date(now)))?.id, seriesId: id, scope: 'all' }
}
