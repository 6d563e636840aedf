import type { Transaction } from '../db/connect.ts'
import { cancelMeeting } from '../db/meetings.ts'
import { addException } from '../db/series.ts'
import type { Caller } from './caller.ts'
import { lockedMeeting, lockedSeries, lockedSeriesOf, refuseClosed, viewOf } from './find-meeting.ts'
import { changeOnce } from './idempotency/change-once.ts'
import type { ChangeScope } from './meetings.schema.ts'
import type { MeetingDeps } from './meetings.ts'
import { withdrawBot } from './send-bot.ts'
import { cancelManyMeetings } from './series/change-series.ts'
import { sendJobs, type Touched, tellAtOnce } from './tell-provider.ts'
import { type IfMatch, refuseOtherVersion } from './versions/if-match.ts'

// An answer to a cancellation does not depend on Google, so it does not wait for one that is slow.
const WAITS_FOR_GOOGLE_MS = 3000

/**
 * Cancels a meeting: no bot comes, and one that is in the call leaves. Guests are told by Google, at once or as soon as
 * it answers. Cancelling twice is the same as once.
 * @throws {Problem} `meeting_not_found`, `meeting_closed` for a meeting that is over, `version_changed`
 */
export async function withdrawMeeting(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  scope: ChangeScope = 'one',
  ifMatch?: IfMatch,
): Promise<void> {
  const { db, jobs, clock } = deps
  const { organizationId, actor } = caller
  const touched = await changeOnce(db, caller, async tx => {
    const cancelled = await applyCancellation(tx, deps, caller, meetingId, scope, ifMatch)
    if (cancelled) await sendJobs(jobs, tx, cancelled, clock.now())
    return cancelled
  })
  if (touched) await tellAtOnce(deps, organizationId, touched, actor, WAITS_FOR_GOOGLE_MS)
}

/**
 * Writes a cancellation of a meeting, or of many of its series. Nobody is told of it yet.
 * @returns what has to be told; undefined where the meeting was cancelled before
 * @throws {Problem} as {@link withdrawMeeting}
 */
export async function applyCancellation(
  tx: Transaction,
  { jobs, provider, settings, clock }: Pick<MeetingDeps, 'jobs' | 'provider' | 'settings' | 'clock'>,
  { organizationId, actor }: Caller,
  meetingId: string,
  scope: ChangeScope,
  ifMatch?: IfMatch,
): Promise<Touched | undefined> {
  const now = clock.now()
  const find = scope === 'one' ? lockedSeriesOf : lockedSeries
  const series = await find(tx, organizationId, meetingId)
  const meeting = await lockedMeeting(tx, organizationId, meetingId)
  // Also with another version: what is asked for has been done (RFC 9110 §13.1.1).
  if (meeting.status === 'cancelled') return undefined
  refuseClosed(meeting)
  await refuseOtherVersion(ifMatch, () => viewOf(tx, organizationId, meetingId))
  if (series && scope !== 'one')
    return cancelManyMeetings({ tx, jobs, provider, settings, actor, now }, series, meeting, scope)
  const { recordingCancelled } = await cancelMeeting(tx, meeting, { actor, now: new Date(now) })
  // Where recording has begun, its job stays: whoever works on it sees the cancellation and keeps what there is.
  if (recordingCancelled) await withdrawBot(jobs, tx, meeting)
  if (series && meeting.originalStart) await addException(tx, series, meeting.originalStart)
  return { seriesIds: [], meetingIds: [meetingId] }
}
