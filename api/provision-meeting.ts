import type { Transaction } from '../db/connect.ts'
import {
  keepEventId,
  type MeetingToProvision,
  noteProvisioned,
  type Provisioned,
  readMeetingToProvision,
} from '../db/meeting-provisioning.ts'
import type { Actor } from '../db/meetings.ts'
import type { SeriesRow } from '../db/series.ts'
import { isFinal } from '../db/states.ts'
import { detailsOf, type ProvisionDeps, putOrPatch } from './put-event.ts'
import { sendBot } from './send-bot.ts'
import { provisionSeries } from './series/provision-series.ts'

/**
 * Brings Google to what the meeting's row says, and the bot's job with it: event, Meet link, space, or cancellation.
 * Repeatable at every step, so a crash or a lost answer costs nothing but the repeat: the event's id is ours, and what
 * was done is noted in one transaction with the job. Ends when Google has the newest revision.
 * @throws {GoogleFault} when Google refuses or stays silent; the row still says what is wanted
 */
export async function provisionMeeting(
  deps: ProvisionDeps,
  meetingId: string,
  run: { actor: Actor; signal: AbortSignal },
): Promise<void> {
  for (let upToDate = false; !upToDate; ) {
    run.signal.throwIfAborted()
    const wanted = await deps.db.transaction(tx => readMeetingToProvision(tx, meetingId))
    if (!wanted || wanted.meeting.syncedRevision >= wanted.meeting.revision) return
    if (wanted.series && wanted.series.syncedRevision < wanted.series.revision) {
      await provisionSeries(deps, wanted.series.id, run)
      continue
    }
    const made = await tellGoogle(deps, wanted, run.signal)
    upToDate = await deps.db.transaction(tx => noteDone(deps, tx, wanted, made, run.actor))
  }
}

async function noteDone(
  deps: ProvisionDeps,
  tx: Transaction,
  { meeting, recordingStatus }: MeetingToProvision,
  made: Provisioned | undefined,
  actor: Actor,
): Promise<boolean> {
  const { jobs, clock, settings } = deps
  const now = clock.now()
  const { upToDate } = await noteProvisioned(tx, meeting, made, { actor, now: new Date(now) })
  if (!upToDate) return false
  await jobs.withdraw(tx, 'provision-meeting', meeting.id)
  const over = isFinal(recordingStatus) || recordingStatus === 'finishing'
  if (made && !over) await sendBot({ jobs, settings }, tx, meeting, now)
  return true
}

/** @returns what Google made, or undefined for a meeting that needs nothing there (any more) */
async function tellGoogle(
  deps: ProvisionDeps,
  { meeting, invited, series }: MeetingToProvision,
  signal: AbortSignal,
): Promise<Provisioned | undefined> {
  const { google, settings, clock, log } = deps
  if (series) return tellOfInstance(deps, { meeting, invited, series }, signal)
  if (meeting.status === 'cancelled') {
    await google.calendar.cancelEvent(meeting.eventId, signal)
    return undefined
  }
  if (meeting.joinUrl === null && meeting.endsAt.getTime() <= clock.now()) {
    log.error({ meetingId: meeting.id }, 'the meeting was over before Google could be told of it')
    return undefined
  }
  const details = { meetingId: meeting.id, ...detailsOf(deps, meeting, invited) }
  const keep = (eventId: string) => keepEventId(deps.db, meeting.id, eventId)
  const event = await putOrPatch(deps.google.calendar, meeting, details, keep, signal)
  const { spaceName, ...space } = await google.spaces.configureSpace(
    {
      meetingCode: event.meetingCode,
      organizer: meeting.organizer,
      accessType: settings.accessType,
      autoRecording: settings.autoRecording,
    },
    signal,
  )
  return { ...event, spaceName, space }
}

/** One meeting of a series that differs from it, or does not take place: an exception in the calendar. */
async function tellOfInstance(
  deps: ProvisionDeps,
  { meeting, invited, series }: Pick<MeetingToProvision, 'meeting' | 'invited'> & { series: SeriesRow },
  signal: AbortSignal,
): Promise<Provisioned | undefined> {
  const { calendar, events } = deps.google
  const { joinUrl, meetingCode } = series
  if (series.status === 'cancelled' || !meeting.originalStart || joinUrl === null || meetingCode === null)
    return undefined
  const of = { subject: series.organizer }
  const instance = await events.findInstance(of, series.eventId, meeting.originalStart, signal)
  if (meeting.status === 'cancelled') {
    if (instance && instance.status !== 'cancelled') await calendar.cancelEvent(instance.eventId, signal)
    return undefined
  }
  const eventId = instance?.eventId ?? meeting.eventId
  await calendar.patchEvent(eventId, detailsOf(deps, meeting, invited), signal)
  return {
    eventId,
    joinUrl,
    meetingCode,
    spaceName: series.spaceName,
    space: series.space ?? { refusals: [] },
  }
}
