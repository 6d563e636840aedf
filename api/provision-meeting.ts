import { commitUnwaited } from '../db/commit-unwaited.ts'
import type { Transaction } from '../db/connect.ts'
import {
  keepEventId,
  type MeetingToProvision,
  noteProvisioned,
  type Provisioned,
  type ProvisionedMeeting,
  readMeetingToProvision,
} from '../db/meeting-provisioning.ts'
import type { Actor, MeetingRow } from '../db/meetings.ts'
import type { SeriesRow } from '../db/series.ts'
import { isFinal } from '../db/states.ts'
import { together } from '../db/together.ts'
import type { Look } from '../google/calendar.ts'
import type { CalendarEvent } from '../google/calendar-event.ts'
import { ChangedThere, type ProvisionDeps, wishOf } from './provision-deps.ts'
import { sendBot } from './send-bot.ts'
import { provisionSeries } from './series/provision-series.ts'

// So that this ends, where people or Google's clock change an event again and again: then it is written all the same.
const MOST_FOLLOWED_FIRST = 4

/**
 * Brings the provider to what the meeting's row says, and the bot's job with it: event, link, or cancellation.
 * Repeatable at every step, so a crash or a lost answer costs nothing but the repeat: the event's id is ours, and what
 * was done is noted in one transaction with the job. Ends when the provider has the newest revision.
 * @param run.written the meeting as it was just committed: it is not read again first
 * @returns the meeting as it is then; undefined where the provider knew all of it already
 * @throws {ProviderFault} when the provider refuses or stays silent; the row still says what is wanted
 */
export async function provisionMeeting(
  deps: ProvisionDeps,
  meetingId: string,
  run: { actor: Actor; signal: AbortSignal; written?: MeetingToProvision | undefined },
): Promise<MeetingToProvision | undefined> {
  let { written } = run
  for (let followed = 0; ; ) {
    run.signal.throwIfAborted()
    const wanted = written ?? (await deps.db.transaction(tx => readMeetingToProvision(tx, meetingId)))
    written = undefined
    if (!wanted || wanted.meeting.syncedRevision >= wanted.meeting.revision) return undefined
    if (wanted.series && wanted.series.syncedRevision < wanted.series.revision) {
      await provisionSeries(deps, wanted.series.id, run)
      continue
    }
    let made: ProvisionedMeeting | undefined
    try {
      made = await tellProvider(deps, wanted, run.signal, followed < MOST_FOLLOWED_FIRST)
    } catch (error) {
      if (!(error instanceof ChangedThere)) throw error
      followed++
      continue
    }
    const meeting = await noteDone(deps, wanted, made, run.actor)
    if (meeting?.revision === wanted.meeting.revision) return { ...wanted, meeting }
  }
}

/**
 * Notes what the provider knows now. Nobody waits for the disk a second time: a power cut may cost the note, and with it
 * nothing, since the meeting was on the disk before, with the job that tells the provider again and notes it again.
 * @returns the meeting as it is now: of a later revision, or none, where somebody changed something meanwhile
 */
async function noteDone(
  { db, jobs, clock, settings }: ProvisionDeps,
  { meeting, recordingStatus }: MeetingToProvision,
  made: ProvisionedMeeting | undefined,
  actor: Actor,
): Promise<MeetingRow | undefined> {
  const now = clock.now()
  const over = isFinal(recordingStatus) || recordingStatus === 'finishing'
  const note = async (tx: Transaction, withJobs: boolean) => {
    // One trip for all, although what is sent here is only right where nothing has changed.
    const [, noted] = await together([
      commitUnwaited(tx),
      noteProvisioned(tx, meeting, made, { actor, now: new Date(now) }),
      withJobs && jobs.withdraw(tx, 'provision-meeting', meeting.id),
      withJobs && made && !over && sendBot({ jobs, settings }, tx, meeting, now),
    ])
    if (!noted || (withJobs && noted.revision !== meeting.revision)) throw new ChangedMeanwhile()
    return noted
  }
  return (
    (await unlessChanged(() => db.transaction(tx => note(tx, true)))) ??
    (await unlessChanged(() => db.transaction(tx => note(tx, false))))
  )
}

/** Undoes a transaction in which too much was asked. */
class ChangedMeanwhile extends Error {}

async function unlessChanged<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ChangedMeanwhile) return undefined
    throw error
  }
}

/**
 * @param followFirst what people changed in the calendar is not written over before it was followed
 * @returns what the provider made, or undefined for a meeting that needs nothing there (any more)
 * @throws {ChangedThere}
 */
async function tellProvider(
  deps: ProvisionDeps,
  { meeting, invited, series }: MeetingToProvision,
  signal: AbortSignal,
  followFirst: boolean,
): Promise<ProvisionedMeeting | undefined> {
  const { provider, clock, log, calendar } = deps
  const look = (there: CalendarEvent) => calendar?.followFirst(meeting, there, signal) ?? Promise.resolve()
  const looking = followFirst ? { look } : {}
  const seen = (there: CalendarEvent) => ({ calendarSeen: calendar?.seenOf(meeting, invited, there) })
  if (series) {
    const told = await tellOfOccurrence(deps, { meeting, invited, series }, { signal, ...looking })
    return told && { ...told.made, ...seen(told.there) }
  }
  const { organizer: host, eventId, joinUrl, meetingCode } = meeting
  if (meeting.status === 'cancelled') {
    await provider.cancel({ host, eventId }, signal)
    return undefined
  }
  if (joinUrl === null && meeting.endsAt.getTime() <= clock.now()) {
    log.error({ meetingId: meeting.id }, 'the meeting was over before its provider could be told of it')
    return undefined
  }
  const place = { eventId, joinUrl, meetingCode, changed: meeting.revision > 1, ...looking }
  const keep = (newId: string) => keepEventId(deps.db, meeting.id, newId)
  const { there, ...made } = await provider.put(wishOf(meeting, invited), place, keep, signal)
  return { ...made, ...seen(there) }
}

/** One meeting of a series that differs from it, or does not take place: an exception at the provider. */
async function tellOfOccurrence(
  { provider }: ProvisionDeps,
  { meeting, invited, series }: Pick<MeetingToProvision, 'meeting' | 'invited'> & { series: SeriesRow },
  { signal, ...looking }: { signal: AbortSignal; look?: Look },
): Promise<{ made: Provisioned; there: CalendarEvent } | undefined> {
  const { joinUrl, meetingCode, spaceName, space } = series
  const { originalStart, eventId } = meeting
  if (series.status === 'cancelled' || !originalStart || joinUrl === null || meetingCode === null)
    return undefined
  const occurrence = { series: { host: series.organizer, eventId: series.eventId }, originalStart, eventId }
  if (meeting.status === 'cancelled') {
    await provider.cancelOccurrence(occurrence, signal)
    return undefined
  }
  const wish = wishOf(meeting, invited)
  const { there, ...put } = await provider.putOccurrence({ ...occurrence, ...looking }, wish, signal)
  // Somebody may have given it a link of its own, which it keeps.
  const { joinUrl: own, meetingCode: ownCode } = meeting
  if (own !== null && ownCode !== null && own !== joinUrl) {
    const room = { spaceName: meeting.spaceName, space: meeting.space ?? { refusals: [] } }
    return { made: { ...put, ...room, joinUrl: own, meetingCode: ownCode }, there }
  }
  return { made: { ...put, joinUrl, meetingCode, spaceName, space: space ?? { refusals: [] } }, there }
}
