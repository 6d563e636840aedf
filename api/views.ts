import { ENDINGS, type Ending } from '../db/endings.ts'
import type { listAttempts, MeetingWithRecording, PresenceRow, RecordingRow } from '../db/meeting-view.ts'
import type { ParticipantRow } from '../db/meetings.ts'
import type {
  EndingView,
  ListedMeeting,
  MeetingView,
  ParticipantsView,
  RecordingView,
} from './views.schema.ts'

/** Rows as callers see them. */

export function listedMeeting({ meeting, recording }: MeetingWithRecording): ListedMeeting {
  const { relatedType, relatedId } = meeting
  return {
    id: meeting.id,
    externalId: meeting.externalId,
    topic: meeting.topic,
    description: meeting.description,
    start: meeting.startsAt.toISOString(),
    end: meeting.endsAt.toISOString(),
    timeZone: meeting.timeZone,
    status: meeting.status,
    provider: meeting.provider,
    organizer: meeting.organizer,
    joinUrl: meeting.joinUrl,
    meetingCode: meeting.meetingCode,
    google: meeting.syncedRevision < meeting.revision ? 'pending' : 'up_to_date',
    space: meeting.space,
    related: relatedType !== null && relatedId !== null ? { type: relatedType, id: relatedId } : null,
    customFields: meeting.customFields,
    patience: { ...meeting.patience },
    redundancy: meeting.redundancy,
    recording,
    actualStart: iso(meeting.actualStart),
    actualEnd: iso(meeting.actualEnd),
    createdAt: meeting.createdAt.toISOString(),
    updatedAt: meeting.updatedAt.toISOString(),
    cancelledAt: iso(meeting.cancelledAt),
  }
}

export function meetingView(row: MeetingWithRecording, invited: ParticipantRow[]): MeetingView {
  return {
    ...listedMeeting(row),
    participants: invited.map(({ email, name, role }) => ({ email, name, role })),
  }
}

/** People invited and people seen, matched by name where exactly one invited person bears it. */
export function participantsView(invited: ParticipantRow[], seen: PresenceRow[]): ParticipantsView {
  const byName = new Map<string, ParticipantRow[]>()
  for (const person of invited) {
    if (person.name === null) continue
    const name = comparable(person.name)
    byName.set(name, [...(byName.get(name) ?? []), person])
  }
  const emailOf = (name: string | null) => {
    const found = name === null ? undefined : byName.get(comparable(name))
    return found?.length === 1 ? (found[0]?.email ?? null) : null
  }
  const presences = seen.map(({ name, joinedAt, leftAt }) => ({
    name,
    email: emailOf(name),
    joinedAt: joinedAt.toISOString(),
    leftAt: iso(leftAt),
  }))
  return {
    invited: invited.map(({ email, name, role }) => ({
      email,
      name,
      role,
      stays: presences
        .filter(presence => presence.email === email)
        .map(({ joinedAt, leftAt }) => ({ joinedAt, leftAt })),
    })),
    presences,
  }
}

/** @param link the download link, where there is a video to download */
export function recordingView(
  recording: RecordingRow,
  attempts: Awaited<ReturnType<typeof listAttempts>>,
  link: { url: string; expiresAt: Date } | undefined,
): RecordingView {
  return {
    meetingId: recording.meetingId,
    status: recording.status,
    ending: endingView(recording.ending),
    startedAt: iso(recording.startedAt),
    endedAt: iso(recording.endedAt),
    availableAt: iso(recording.availableAt),
    durationMs: recording.durationMs,
    sizeBytes: recording.sizeBytes,
    sha256: recording.sha256,
    checks: recording.checks,
    s3: link ? { url: link.url, expiresAt: link.expiresAt.toISOString() } : null,
    drive: { status: recording.driveStatus, link: recording.driveLink, error: recording.driveError },
    attempts: attempts.map(attempt => ({
      number: attempt.number,
      startedAt: attempt.startedAt.toISOString(),
      admittedAt: iso(attempt.admittedAt),
      endedAt: iso(attempt.endedAt),
      ending: endingView(attempt.ending),
      segments: attempt.segments,
      recordedMs: attempt.recordedMs,
    })),
  }
}

function endingView(word: Ending | null): EndingView | null {
  if (word === null) return null
  const { scope, en, es } = ENDINGS[word]
  return { word, scope, en, es }
}

function iso(at: Date | null): string | null {
  return at?.toISOString() ?? null
}

function comparable(name: string): string {
  return name.normalize('NFC').trim().replace(/\s+/g, ' ').toLowerCase()
}
