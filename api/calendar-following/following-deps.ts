import type { Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import type { Database } from '../../db/connect.ts'
import type { OpenJobs } from '../../db/jobs.ts'
import type { MeetingLocks } from '../../db/meeting-locks.ts'
import type { Google } from '../../google/google.ts'
import type { Log } from '../../log.ts'
import type { MeetingProvider } from '../providers/meeting-provider.ts'
import type { Bots } from './compare-event.ts'

/** As the log of a meeting and the audit log name changes that people made in the calendar. */
export const ACTOR = 'google'

/** Somebody else tells Google of the meeting right now, or is about to: it is looked at again. */
export class BusyMeeting extends Error {
  readonly code = 'busy_meeting'
}

/** Google does not find an event that it has just shown: it is looked at again. */
export class LostEvent extends Error {
  readonly code = 'lost_event'
}

/** How long somebody who tells Google of a meeting is waited for. */
export const WAIT_FOR_LOCK_MS = 5000

/** What following calendars needs. */
export interface FollowingDeps {
  db: Database
  jobs: OpenJobs
  locks: MeetingLocks
  google: Google
  provider: MeetingProvider
  clock: Clock
  log: Log
  settings: FollowingSettings
}

export interface FollowingSettings {
  bots: Bots
  botEmail: string | undefined
  /** The name under which a bot comes as a guest. */
  guestName: string
  joinLeadSeconds: number
  longestExtraSeconds: number
  /** After this long without a push a calendar is read anyway. */
  pollMs: number
  /** In whose calendar meetings are made, lower-cased. */
  organizer: string
  captureCalendars: readonly string[]
  captureOrganization: string | undefined
  /** Where Google can push to; without it calendars are polled only. */
  pushTo: string | undefined
  /** Topic of Workspace Events. */
  topic: string | undefined
}

/** Where pushes of calendars and of Pub/Sub come in, below the address of the API. */
export const CALENDAR_HOOK = '/v1/hooks/google/calendar'
export const EVENTS_HOOK = '/v1/hooks/google/workspace-events'

export function followingSettings(config: Config, organizer: string): FollowingSettings {
  const { google, following, patience, bot, api } = config
  const bots = [google.botEmail, google.secondBotEmail].flatMap(email => email?.toLowerCase() ?? [])
  return {
    bots: new Set(bots),
    botEmail: google.botEmail,
    guestName: bot.name,
    joinLeadSeconds: patience.joinLeadSeconds,
    longestExtraSeconds: patience.longestExtraSeconds,
    pollMs: following.pollMs,
    organizer: organizer.toLowerCase(),
    captureCalendars: following.captureCalendars,
    captureOrganization: following.captureOrganization,
    pushTo: pushAddress(api.publicUrl, google.apiUrl),
    topic: following.topic,
  }
}

/** Google pushes over TLS only (google-apis.md §1.8); a Google that is itself reached without it is a simulated one. */
function pushAddress(publicUrl: string | undefined, googleUrl: string): string | undefined {
  if (publicUrl === undefined) return undefined
  const isPossible = publicUrl.startsWith('https:') || googleUrl.startsWith('http:')
  return isPossible ? publicUrl : undefined
}
