import type { Clock } from '../clock.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingRow, ParticipantRow } from '../db/meetings.ts'
import type { CalendarSeen } from '../db/schema.ts'
import type { CalendarEvent } from '../google/calendar-event.ts'
import type { Log } from '../log.ts'
import type { CallWish, MeetingProvider } from './providers/meeting-provider.ts'

/** What bringing the provider to what the rows say needs. */
export interface ProvisionDeps {
  db: Database
  jobs: Pick<OpenJobs, 'send' | 'sendMany' | 'withdraw'>
  provider: MeetingProvider
  settings: { joinLeadSeconds: number }
  clock: Clock
  log: Log
  /** Absent where what people change in calendars is not followed. */
  calendar?: FollowedCalendar | undefined
}

/** What people changed in a calendar, for whoever is about to write there. */
export interface FollowedCalendar {
  /**
   * Follows what nobody has read yet of a meeting's event. For whoever holds the meeting's lock.
   * @throws {ChangedThere} when there was something: the meeting is another one now
   */
  followFirst(meeting: MeetingRow, there: CalendarEvent, signal: AbortSignal): Promise<void>
  /** What is to be kept of an event as the one that was read last. */
  seenOf(meeting: MeetingRow, invited: readonly ParticipantRow[], there: CalendarEvent): CalendarSeen
}

/** People had changed the event: the meeting was brought to that first, and has to be read again. */
export class ChangedThere extends Error {
  readonly code = 'changed_there'
}

/** A meeting, or a series, as its provider is to have it. */
export function wishOf(
  wanted: Pick<
    MeetingRow,
    | 'id'
    | 'organizer'
    | 'topic'
    | 'description'
    | 'startsAt'
    | 'endsAt'
    | 'timeZone'
    | 'redundancy'
    | 'reminders'
  >,
  people: CallWish['people'],
): CallWish {
  const { id, organizer, topic, description, startsAt, endsAt, timeZone, redundancy, reminders } = wanted
  return {
    id,
    host: organizer,
    topic,
    description,
    start: startsAt,
    end: endsAt,
    timeZone,
    people,
    reminders,
    bots: redundancy,
  }
}
