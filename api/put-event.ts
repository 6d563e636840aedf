import { calendarReminders } from '../calendar/reminders.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { Provisioned } from '../db/meeting-provisioning.ts'
import type { MeetingRow } from '../db/meetings.ts'
import type { Calendar, MeetingToPut } from '../google/calendar.ts'
import type { CalendarEvents } from '../google/calendar-events.ts'
import { eventIdFor, type MeetingDetails } from '../google/event-body.ts'
import { isFault } from '../google/fault.ts'
import type { Spaces } from '../google/meet-spaces.ts'
import type { Log } from '../log.ts'

export interface ProvisionDeps {
  db: Database
  jobs: Pick<OpenJobs, 'send' | 'withdraw'>
  google: {
    calendar: Pick<Calendar, 'putEvent' | 'patchEvent' | 'cancelEvent'>
    events: Pick<CalendarEvents, 'findInstance'>
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

type EventFacts = Pick<Provisioned, 'eventId' | 'joinUrl' | 'meetingCode'>

/** A meeting, or a series, as its event shows it. */
export function detailsOf(
  { settings }: Pick<ProvisionDeps, 'settings'>,
  wanted: Pick<
    MeetingRow,
    'topic' | 'description' | 'startsAt' | 'endsAt' | 'timeZone' | 'redundancy' | 'reminders'
  >,
  invited: readonly { email: string; name: string | null }[],
): MeetingDetails {
  return {
    topic: wanted.topic,
    // Empty, not absent: a patch leaves alone what it is not given.
    description: wanted.description ?? '',
    start: wanted.startsAt,
    end: wanted.endsAt,
    timeZone: wanted.timeZone,
    reminders: calendarReminders(wanted.reminders),
    participants: [
      ...invited.map(({ email, name }) => ({ email, name: name ?? undefined })),
      ...(wanted.redundancy > 1 && settings.secondBotEmail ? [{ email: settings.secondBotEmail }] : []),
    ],
  }
}

/**
 * Makes the event, or changes the one there is. Where somebody deleted it in Google another one takes its place.
 * @param keep keeps the id of the event that is about to be made
 */
export async function putOrPatch(
  calendar: ProvisionDeps['google']['calendar'],
  meeting: Pick<MeetingRow, 'id' | 'eventId' | 'joinUrl' | 'meetingCode' | 'revision'>,
  details: MeetingToPut,
  keep: (eventId: string) => Promise<void>,
  signal: AbortSignal,
): Promise<EventFacts> {
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
      await keep(eventIdFor(meeting.id, eventNumber))
    }
  }
}

// The reverse of eventIdFor: `r<number>` stands at the end of every event but the first.
function eventNumberOf(eventId: string): number {
  return Number(/r(\d+)$/.exec(eventId)?.[1] ?? 0)
}
