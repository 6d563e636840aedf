import { randomInt } from 'node:crypto'
import type { World } from '../world.ts'

/** The configuration of a space, with the names and words of Meet v2's SpaceConfig. */
export interface SpaceConfig {
  accessType: string
  entryPointAccess: string
  moderation: string
  moderationRestrictions: Record<string, string>
  attendanceReportGenerationType: string
  artifactConfig: Record<string, Record<string, string>>
}

export interface StoredSpace {
  /** Canonical name `spaces/…`. */
  name: string
  /** `aaa-bbbb-ccc`. */
  meetingCode: string
  meetingUri: string
  owner: string
  /** Who made it: `api` spaces count as created by the calling app. */
  madeBy: 'calendar' | 'api'
  config: SpaceConfig
  /** Co-hosts by email; only for `api` spaces. */
  members: { name: string; email: string; role: 'COHOST' | 'ROLE_UNSPECIFIED' }[]
}

/** One call in a space as Google's records know it. Times are RFC 3339. */
export interface Conference {
  /** `conferenceRecords/…`. */
  name: string
  /** Canonical name of the space. */
  space: string
  startTime: string
  /** Absent while the call runs. */
  endTime?: string
  participants: ConferenceParticipant[]
  recordings: ConferenceRecording[]
}

export interface ConferenceParticipant {
  /** `conferenceRecords/…/participants/…`. */
  name: string
  /** A domain user's address; without it the participant is anonymous. */
  email?: string
  displayName: string
  sessions: { startTime: string; endTime?: string }[]
}

export interface ConferenceRecording {
  /** `conferenceRecords/…/recordings/…`. */
  name: string
  state: 'STARTED' | 'ENDED' | 'FILE_GENERATED'
  startTime: string
  endTime?: string
  /** Drive id, once the file exists. */
  fileId?: string
}

export function defaultConfig(): SpaceConfig {
  return {
    accessType: 'TRUSTED',
    entryPointAccess: 'ALL',
    moderation: 'OFF',
    moderationRestrictions: defaultRestrictions(),
    attendanceReportGenerationType: 'DO_NOT_GENERATE',
    artifactConfig: {
      recordingConfig: { autoRecordingGeneration: 'OFF' },
      transcriptionConfig: { autoTranscriptionGeneration: 'OFF' },
      smartNotesConfig: { autoSmartNotesGeneration: 'OFF' },
    },
  }
}

export function defaultRestrictions(): Record<string, string> {
  return {
    chatRestriction: 'NO_RESTRICTION',
    reactionRestriction: 'NO_RESTRICTION',
    presentRestriction: 'NO_RESTRICTION',
    defaultJoinAsViewerType: 'OFF',
  }
}

/** Makes a space with a fresh code and puts it into the state. */
export function createSpace(world: World, owner: string, madeBy: StoredSpace['madeBy']): StoredSpace {
  const meetingCode = [letters(3), letters(4), letters(3)].join('-')
  const space: StoredSpace = {
    name: `spaces/${mixed(12)}`,
    meetingCode,
    meetingUri: `https://meet.google.com/${meetingCode}`,
    owner,
    madeBy,
    config: defaultConfig(),
    members: [],
  }
  world.state.spaces.set(space.name, space)
  return space
}

function letters(count: number): string {
  return Array.from({ length: count }, () => String.fromCharCode(97 + randomInt(26))).join('')
}

function mixed(count: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  // A capital first keeps a canonical name from ever looking like a meeting code.
  return Array.from({ length: count }, (_, at) => alphabet[randomInt(at === 0 ? 26 : alphabet.length)]).join(
    '',
  )
}
