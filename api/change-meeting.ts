import type { Transaction } from '../db/connect.ts'
import { changeMeeting, listInvited, type MeetingChange, type MeetingRow } from '../db/meetings.ts'
import { noteOwnFields } from '../db/series.ts'
import { asCaller, type Caller } from './caller.ts'
import { refuseBadCustomFields } from './custom-fields/check.ts'
import { lockedMeeting, lockedSeries, refuseClosed, viewOf } from './find-meeting.ts'
import { changeOnce } from './idempotency/change-once.ts'
import { meetingTimeFaults } from './meeting-times.ts'
import { given, invitedOf } from './meeting-wish.ts'
import type { ChangeScope, MeetingChangeBody } from './meetings.schema.ts'
import type { MeetingDeps } from './meetings.ts'
import { Problem } from './problem.ts'
import { refusedBody } from './read-input.ts'
import { sendBot } from './send-bot.ts'
import { changeManyMeetings, type PeopleChange } from './series/change-series.ts'
import { refuseUnlessDone, sendJobs, type Touched, tellAtOnce } from './tell-provider.ts'
import { type IfMatch, refuseOtherVersion } from './versions/if-match.ts'
import type { MeetingView } from './views.schema.ts'

/** What is to be different: `people` changes whatever list of people there is, `participants` replaces it. */
export type WantedChange = MeetingChangeBody & { people?: PeopleChange }

/**
 * Changes a meeting; event and bot follow.
 * @throws {Problem} `meeting_not_found`, `meeting_closed`, `meeting_in_progress`, `version_changed`, those of a bad body,
 * `google_*`
 */
export async function updateMeeting(
  deps: MeetingDeps,
  caller: Caller,
  meetingId: string,
  body: WantedChange,
  scope: ChangeScope = 'one',
  ifMatch?: IfMatch,
): Promise<MeetingView> {
  const { db, jobs, clock } = deps
  const { organizationId, actor } = caller
  if (Object.values(body).every(value => value === undefined))
    throw new Problem('invalid_request', 'Name at least one field to change.')
  const touched = await changeOnce(db, caller, async tx => {
    const changed = await applyChange(tx, deps, caller, meetingId, body, scope, () =>
      refuseOtherVersion(ifMatch, () => viewOf(tx, organizationId, meetingId)),
    )
    await sendJobs(jobs, tx, changed, clock.now())
    return changed
  })
  const outcome = await tellAtOnce(deps, organizationId, touched, actor, deps.googleLimitMs)
  refuseUnlessDone(outcome, meetingId, 'The change is kept and Google will follow as soon as it can.')
  return asCaller(db, caller, tx => viewOf(tx, organizationId, meetingId))
}

/**
 * Writes a change of a meeting, or of many of its series. Nobody is told of it yet; what has to be told goes with
 * {@link sendJobs}.
 * @param checkVersion throws where what the caller changes is not as they last saw it: asked while the meeting is
 * locked, and nothing else speaks against the change
 * @throws {Problem} as {@link updateMeeting}, Google's apart
 */
export async function applyChange(
  tx: Transaction,
  { jobs, provider, settings, clock }: Pick<MeetingDeps, 'jobs' | 'provider' | 'settings' | 'clock'>,
  caller: Caller,
  meetingId: string,
  body: WantedChange,
  scope: ChangeScope,
  checkVersion?: () => Promise<void>,
): Promise<Touched> {
  const { organizationId, actor } = caller
  const now = clock.now()
  if (scope === 'one' && body.recurrence)
    throw refusedBody([
      { path: 'recurrence', code: 'invalid_field', message: 'needs the scope following or all' },
    ])
  const series = scope === 'one' ? undefined : await lockedSeries(tx, organizationId, meetingId)
  const meeting = await lockedMeeting(tx, organizationId, meetingId)
  refuseClosed(meeting)
  if (body.customFields !== undefined) await refuseBadCustomFields(tx, organizationId, body.customFields)
  refuseBadTimes(meeting, body, now)
  await checkVersion?.()
  const { start, end, recurrence, people, timeZone } = body
  const fields = fieldsOf(body)
  if (series && scope !== 'one') {
    const wish = { scope, start, end, timeZone, recurrence, people, fields }
    return changeManyMeetings({ tx, jobs, provider, settings, actor, now }, series, meeting, wish)
  }
  const change: MeetingChange = {
    ...fields,
    ...given({ startsAt: start, endsAt: end, timeZone }),
    ...(people && { participants: people(await listInvited(tx, meetingId)) }),
  }
  const changed = await changeMeeting(tx, meeting, change, { actor, now: new Date(now) })
  // Before the provider knows of it: people may be told by others. A bot that comes too early goes again.
  if (meeting.joinUrl !== null && changed.startsAt < meeting.startsAt)
    await sendBot({ jobs, settings }, tx, changed, now)
  if (meeting.seriesId !== null) await noteOwnFields(tx, meeting, Object.keys(change))
  return { seriesIds: [], meetingIds: [meetingId] }
}

/** What a body wants to be different, times apart. */
function fieldsOf(body: MeetingChangeBody): Omit<MeetingChange, 'startsAt' | 'endsAt' | 'timeZone'> {
  const { topic, description, customFields, reminders, related, patience, participants } = body
  return {
    ...given({ topic, description, customFields, reminders }),
    ...(related !== undefined && { relatedType: related?.type ?? null, relatedId: related?.id ?? null }),
    ...(patience !== undefined && { patience: given(patience ?? {}) }),
    ...(participants && { participants: invitedOf(participants) }),
  }
}

function refuseBadTimes(meeting: MeetingRow, { start, end }: MeetingChangeBody, now: number): void {
  if (meeting.status === 'in_progress' && start && start.getTime() !== meeting.startsAt.getTime())
    throw new Problem('meeting_in_progress', 'The call has begun: its start cannot be changed any more.', {
      meetingId: meeting.id,
    })
  const times = { start: start ?? meeting.startsAt, end: end ?? meeting.endsAt }
  const faults = start || end ? meetingTimeFaults(times, now) : []
  if (faults.length > 0) throw refusedBody(faults)
}
