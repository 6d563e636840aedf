import { drive } from 'googleapis/build/src/apis/drive/index.js'
import { meet, type meet_v2 } from 'googleapis/build/src/apis/meet/index.js'
import type { Call, CallGoogle } from './call.ts'
import { everyPage } from './pages.ts'

/** One call in a space, as Google's records know it. Google deletes the record 30 days after its end. */
export interface ConferenceRecord {
  /** `conferenceRecords/…` */
  name: string
  /** `spaces/…` */
  space: string
  startedAt: Date
  /** Null while the call runs, and for some seconds after. */
  endedAt: Date | null
}

/** Somebody who was in a conference, with any number of stays. */
export interface ConferenceParticipant {
  /** `conferenceRecords/…/participants/…` */
  name: string
  displayName: string
  /** Google's number of a signed-in account; null for guests and telephones. */
  userId: string | null
  kind: 'signed_in' | 'anonymous' | 'phone'
  /** Null while the person is in the call. */
  leftAt: Date | null
}

/** One stay of one device. */
export interface ParticipantSession {
  /** `conferenceRecords/…/participants/…/participantSessions/…` */
  name: string
  startedAt: Date
  endedAt: Date | null
}

/** A recording made by Google itself. */
export interface RecordingRecord {
  /** `conferenceRecords/…/recordings/…` */
  name: string
  /** Only `FILE_GENERATED` has a file to download. */
  state: 'STARTED' | 'ENDED' | 'FILE_GENERATED'
  startedAt: Date | null
  endedAt: Date | null
  driveFileId: string | null
}

export interface ConferenceQuery {
  /** Canonical `spaces/…`; where it is not known, the code. */
  spaceName?: string | null
  meetingCode?: string | null
  /** Begun at or after. */
  from?: Date
  /** Begun at or before. */
  to?: Date
  /** Only those that run now. */
  ongoing?: boolean
}

/**
 * Google's records of conferences, read as a Workspace user: the owner of the space and everybody who took part may
 * (google-apis.md §2.5). All of it throws `GoogleFault`; a record that expired is `not_found`.
 */
export interface Records {
  /** Conferences of a space, newest first. */
  listConferences(as: string, query: ConferenceQuery, signal?: AbortSignal): Promise<ConferenceRecord[]>
  /** Who took part; with `presentOnly` who is there now. */
  listParticipants(
    as: string,
    conference: string,
    options?: { presentOnly?: boolean; signal?: AbortSignal | undefined },
  ): Promise<ConferenceParticipant[]>
  /** The stays of one participant. */
  listSessions(as: string, participant: string, signal?: AbortSignal): Promise<ParticipantSession[]>
  /** What Google recorded itself, oldest first. */
  listRecordings(as: string, conference: string, signal?: AbortSignal): Promise<RecordingRecord[]>
  /**
   * The name under which an account of the domain appears in calls. Asked of Drive, whose scope is granted anyway:
   * Meet's records name a person's number and display name, never the address.
   */
  displayNameOf(account: string, signal?: AbortSignal): Promise<string | null>
}

const RECORD_SCOPES = ['https://www.googleapis.com/auth/meetings.space.readonly']
const DRIVE_SCOPES = ['https://www.googleapis.com/auth/drive']
// The largest pages Meet gives (discovery meet.v2).
const CONFERENCES_A_PAGE = 100
const PEOPLE_A_PAGE = 250
const RECORDINGS_A_PAGE = 100

export function createRecords({ call }: { call: CallGoogle }): Records {
  const { conferenceRecords } = meet('v2')
  const { participants, recordings } = conferenceRecords
  const about = (method: string, subject: string, signal: AbortSignal | undefined): Call => ({
    service: 'meet',
    method,
    subject,
    scopes: RECORD_SCOPES,
    signal,
  })

  return {
    listConferences: async (as, query, signal) => {
      const filter = filterOf(query)
      const found = await everyPage(async pageToken => {
        const { data } = await call(about('conferenceRecords.list', as, signal), options =>
          conferenceRecords.list({ filter, pageSize: CONFERENCES_A_PAGE, ...pageToken }, options),
        )
        return { items: data.conferenceRecords, next: data.nextPageToken }
      })
      return found.flatMap(readConference)
    },

    listParticipants: async (as, parent, { presentOnly = false, signal } = {}) => {
      const filter = presentOnly ? { filter: 'latest_end_time IS NULL' } : {}
      const found = await everyPage(async pageToken => {
        const { data } = await call(about('conferenceRecords.participants.list', as, signal), options =>
          participants.list({ parent, pageSize: PEOPLE_A_PAGE, ...filter, ...pageToken }, options),
        )
        return { items: data.participants, next: data.nextPageToken }
      })
      return found.flatMap(readParticipant)
    },

    listSessions: async (as, parent, signal) => {
      const method = 'conferenceRecords.participants.participantSessions.list'
      const found = await everyPage(async pageToken => {
        const { data } = await call(about(method, as, signal), options =>
          participants.participantSessions.list({ parent, pageSize: PEOPLE_A_PAGE, ...pageToken }, options),
        )
        return { items: data.participantSessions, next: data.nextPageToken }
      })
      return found.flatMap(readSession)
    },

    listRecordings: async (as, parent, signal) => {
      const found = await everyPage(async pageToken => {
        const { data } = await call(about('conferenceRecords.recordings.list', as, signal), options =>
          recordings.list({ parent, pageSize: RECORDINGS_A_PAGE, ...pageToken }, options),
        )
        return { items: data.recordings, next: data.nextPageToken }
      })
      return found.flatMap(readRecording)
    },

    displayNameOf: async (account, signal) => {
      const asked: Call = {
        service: 'drive',
        method: 'about.get',
        subject: account,
        scopes: DRIVE_SCOPES,
        signal,
      }
      const { data } = await call(asked, options =>
        drive('v3').about.get({ fields: 'user(displayName)' }, options),
      )
      return data.user?.displayName ?? null
    },
  }
}

/** Filter fields are in snake case and joined with AND (google-apis.md §2.5). */
function filterOf({ spaceName, meetingCode, from, to, ongoing }: ConferenceQuery): string {
  const space = spaceName
    ? `space.name = "${quotable(spaceName)}"`
    : meetingCode && `space.meeting_code = "${quotable(meetingCode)}"`
  if (!space) throw new TypeError('conferences are looked for by the name of their space or by its code')
  return [
    space,
    from && `start_time>="${from.toISOString()}"`,
    to && `start_time<="${to.toISOString()}"`,
    ongoing && 'end_time IS NULL',
  ]
    .filter(Boolean)
    .join(' AND ')
}

function quotable(text: string): string {
  if (!/^[\w/-]+$/.test(text)) throw new TypeError(`"${text}" does not fit a filter of Meet`)
  return text
}

// An entry without its name or its start says nothing; Google always sets both (discovery meet.v2).

function readConference(record: meet_v2.Schema$ConferenceRecord): ConferenceRecord[] {
  const { name, space, startTime, endTime } = record
  if (!name || !startTime) return []
  return [{ name, space: space ?? '', startedAt: new Date(startTime), endedAt: instant(endTime) }]
}

function readParticipant(person: meet_v2.Schema$Participant): ConferenceParticipant[] {
  const { name, signedinUser, anonymousUser, phoneUser, latestEndTime } = person
  if (!name) return []
  return [
    {
      name,
      displayName: (signedinUser ?? anonymousUser ?? phoneUser)?.displayName ?? '',
      userId: signedinUser?.user?.replace(/^users\//, '') ?? null,
      kind: signedinUser ? 'signed_in' : phoneUser ? 'phone' : 'anonymous',
      leftAt: instant(latestEndTime),
    },
  ]
}

function readSession({ name, startTime, endTime }: meet_v2.Schema$ParticipantSession): ParticipantSession[] {
  return name && startTime ? [{ name, startedAt: new Date(startTime), endedAt: instant(endTime) }] : []
}

function readRecording(recording: meet_v2.Schema$Recording): RecordingRecord[] {
  const { name, state, startTime, endTime, driveDestination } = recording
  if (!name || (state !== 'STARTED' && state !== 'ENDED' && state !== 'FILE_GENERATED')) return []
  const driveFileId = driveDestination?.file ?? null
  return [{ name, state, startedAt: instant(startTime), endedAt: instant(endTime), driveFileId }]
}

function instant(text: string | null | undefined): Date | null {
  return text ? new Date(text) : null
}
