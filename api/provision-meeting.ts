import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database, Transaction } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import {
  keepEventId,
  type MeetingToProvision,
  noteProvisioned,
  type Provisioned,
  readMeetingToProvision,
} from '../db/meeting-provisioning.ts'
import type { Actor, MeetingRow } from '../db/meetings.ts'
import { isFinal } from '../db/states.ts'
import type { Calendar, MeetingToPut } from '../google/calendar.ts'
import { eventIdFor } from '../google/event-body.ts'
import { isFault } from '../google/fault.ts'
import type { Spaces } from '../google/meet-spaces.ts'
import type { Log } from '../log.ts'

export interface ProvisionDeps {
  db: Database
  jobs: Pick<OpenJobs, 'send' | 'withdraw'>
  google: {
    calendar: Pick<Calendar, 'putEvent' | 'patchEvent' | 'cancelEvent'>
    spaces: Spaces
  }
  settings: {
    accessType: Config['google']['accessType']
    autoRecording: boolean
    joinLeadSeconds: number
    secondBotEmail?: string | undefined
  }
  clock: Clock
  log: Log
}

// Each deleted event of a meeting makes one more; somebody who deletes faster than this is at war with us.
const MOST_NEW_EVENTS = 3

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
  if (made && !over) {
    const leadSeconds = meeting.patience.joinLeadSeconds ?? settings.joinLeadSeconds
    const due = new Date(Math.max(now, meeting.startsAt.getTime() - leadSeconds * 1000))
    await jobs.send(tx, 'record-meeting', { meetingId: meeting.id }, { key: meeting.id, startAfter: due })
  }
  return true
}

/** @returns what Google made, or undefined for a meeting that needs nothing there (any more) */
async function tellGoogle(
  deps: ProvisionDeps,
  { meeting, invited }: MeetingToProvision,
  signal: AbortSignal,
): Promise<Provisioned | undefined> {
  const { google, settings, clock, log } = deps
  if (meeting.status === 'cancelled') {
    await google.calendar.cancelEvent(meeting.eventId, signal)
    return undefined
  }
  if (meeting.joinUrl === null && meeting.endsAt.getTime() <= clock.now()) {
    log.error({ meetingId: meeting.id }, 'the meeting was over before Google could be told of it')
    return undefined
  }
  const details: MeetingToPut = {
    meetingId: meeting.id,
    topic: meeting.topic,
    // Empty, not absent: a patch leaves alone what it is not given.
    description: meeting.description ?? '',
    start: meeting.startsAt,
    end: meeting.endsAt,
    timeZone: meeting.timeZone,
    participants: [
      ...invited.map(({ email, name }) => ({ email, name: name ?? undefined })),
      ...(meeting.redundancy > 1 && settings.secondBotEmail ? [{ email: settings.secondBotEmail }] : []),
    ],
  }
  const event = await putOrPatch(deps, meeting, details, signal)
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

type EventFacts = Pick<Provisioned, 'eventId' | 'joinUrl' | 'meetingCode'>

async function putOrPatch(
  deps: ProvisionDeps,
  meeting: MeetingRow,
  details: MeetingToPut,
  signal: AbortSignal,
): Promise<EventFacts> {
  const { calendar } = deps.google
  const { joinUrl, meetingCode } = meeting
  let known: EventFacts | undefined =
    joinUrl !== null && meetingCode !== null ? { eventId: meeting.eventId, joinUrl, meetingCode } : undefined
  let eventNumber = eventNumberOf(meeting.eventId)
  for (let newEvents = 0; ; newEvents++) {
    try {
      const event: EventFacts =
        known ?? (await calendar.putEvent({ ...details, revision: eventNumber }, signal))
      // An insert that was cut off earlier may have left an event of an older revision, which the put above found.
      if (known || meeting.revision > 1) await calendar.patchEvent(event.eventId, details, signal)
      return { eventId: event.eventId, joinUrl: event.joinUrl, meetingCode: event.meetingCode }
    } catch (error) {
      // Somebody deleted the event in Google; a deleted event keeps its id, so another one is made.
      const deleted = isFault(error, 'gone') || (known !== undefined && isFault(error, 'not_found'))
      if (!deleted || newEvents >= MOST_NEW_EVENTS) throw error
      eventNumber++
      known = undefined
      await keepEventId(deps.db, meeting.id, eventIdFor(meeting.id, eventNumber))
    }
  }
}

// The reverse of eventIdFor: `r<number>` stands at the end of every event but the first.
function eventNumberOf(eventId: string): number {
  return Number(/r(\d+)$/.exec(eventId)?.[1] ?? 0)
}
