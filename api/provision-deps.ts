import type { Clock } from '../clock.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingRow } from '../db/meetings.ts'
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
