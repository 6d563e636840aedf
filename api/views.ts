import { ENDINGS, type Ending } from '../db/endings.ts'
import { gapSentence } from '../db/gap-reasons.ts'
import type { listAttempts, MeetingWithRecording, PresenceRow, RecordingRow } from '../db/meeting-view.ts'
import type { ParticipantRow } from '../db/meetings.ts'
import type { Gap } from '../db/schema.ts'
import type { RecordingLinks } from './recording-link.ts'
import type {
  EndingView,
  ListedMeeting,
  MeetingView,
  ParticipantsView,
  ParticipantView,
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
    google:
      meeting.syncedRevision < meeting.revision || (meeting.seriesId !== null && meeting.joinUrl === null)
        ? 'pending'
        : 'up_to_date',
    space: meeting.space,
    related: relatedType !== null && relatedId !== null ? { type: relatedType, id: relatedId } : null,
    customFields: meeting.customFields,
    patience: { ...meeting.patience },
    redundancy: meeting.redundancy,
    reminders: meeting.reminders,
    series:
      meeting.seriesId !== null && meeting.originalStart !== null
        ? { id: meeting.seriesId, originalStart: meeting.originalStart.toISOString() }
        : null,
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
    participants: invited.map(({ id, email, name, role, response }) => ({ id, email, name, role, response })),
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
  // Google's record knows better than the bot, which came and went too; the two are never mixed.
  // Until a bot is there, what Google told while it happened is all there is.
  const has = (source: PresenceRow['source']) => seen.some(presence => presence.source === source)
  const told = !has('google') && !has('bot') && has('told')
  const source = told || has('google') ? 'google' : 'bot'
  const presences = seen
    .filter(presence => presence.source === (told ? 'told' : source))
    .map(({ name, joinedAt, leftAt, bot }) => ({
      name,
      email: bot ? null : emailOf(name),
      joinedAt: joinedAt.toISOString(),
      leftAt: iso(leftAt),
      bot,
    }))
  return {
    invited: invited.map(person =>
      participantView(
        person,
        presences.filter(({ email }) => email === person.email),
      ),
    ),
    presences,
    source,
  }
}

/** Somebody invited, with when they were in the call. */
function participantView(person: ParticipantRow, seen: ParticipantView['stays']): ParticipantView {
  const { id, email, name, role, response } = person
  const stays = seen.map(({ joinedAt, leftAt }) => ({ joinedAt, leftAt }))
  const isThere = stays.some(({ leftAt }) => leftAt === null)
  const left = stays.flatMap(({ leftAt }) => leftAt ?? []).sort()
  return {
    ...{ id, email, name, role, response },
    respondedAt: iso(person.respondedAt),
    // By the time they came.
    joinedAt: stays[0]?.joinedAt ?? null,
    leftAt: isThere ? null : (left.at(-1) ?? null),
    stays,
    invitedAt: person.createdAt.toISOString(),
  }
}

export function recordingView(
  recording: RecordingRow,
  attempts: Awaited<ReturnType<typeof listAttempts>>,
  links: RecordingLinks,
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
    revision: recording.revision,
    checks: recording.checks,
    s3: links.video ? linkView(links.video) : null,
    manifest: links.manifest ? { ...linkView(links.manifest), sha256: recording.manifestSha256 } : null,
    timeline: recording.timeline,
    gaps: recording.gaps?.map(gapView) ?? null,
    coverage: coverageView(recording),
    native: recording.nativeRecordings.flatMap(
      ({ startedAt, endedAt, sizeBytes, sha256, driveFileId }, at) => {
        const link = links.native[at]
        return link ? [{ startedAt, endedAt, sizeBytes, sha256, driveFileId, s3: linkView(link) }] : []
      },
    ),
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

function coverageView({ coverage, coverageAlertAt }: RecordingRow): RecordingView['coverage'] {
  if (coverage === null) return null
  return { ...coverage, gaps: coverage.gaps.map(gapView), alertedAt: iso(coverageAlertAt) }
}

function gapView(gap: Gap) {
  return { ...gap, ...gapSentence(gap.reason) }
}

function linkView({ url, expiresAt }: { url: string; expiresAt: Date }) {
  return { url, expiresAt: expiresAt.toISOString() }
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
