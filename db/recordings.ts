import { and, asc, eq, inArray, isNull, lt, sql } from 'drizzle-orm'
import { noteAudit } from './audit-notes.ts'
import type { Queryable, Transaction } from './connect.ts'
import type { Ending } from './endings.ts'
import { mailAdministrators } from './mails.ts'
import { newRowId } from './row-id.ts'
import { attempts, meetingEvents, meetings, presences, recordings, segments } from './schema.ts'
import { canMoveRecording, RECORDING_STATUSES, type RecordingStatus } from './states.ts'
import { together } from './together.ts'
import { announceMeeting, announceParticipant, announceRecording } from './webhooks.ts'

export type Meeting = typeof meetings.$inferSelect
export type Recording = typeof recordings.$inferSelect
export type Segment = typeof segments.$inferSelect

/** A recording was told to go where its status does not lead. */
export class RecordingNotMoved extends Error {
  readonly code = 'recording_not_moved'
  constructor(recordingId: string, to: RecordingStatus) {
    super(`recording ${recordingId} cannot become ${to} from where it stands`)
  }
}

/**
 * The one writer of a recording's status: moves it where the table of states allows, with an event for the log.
 * @throws {RecordingNotMoved}
 */
export async function moveRecording(
  tx: Transaction,
  recordingId: string,
  to: RecordingStatus,
  facts: { actor: string; ending?: Ending; set?: Partial<Recording>; detail?: Record<string, unknown> },
): Promise<Recording> {
  const from = RECORDING_STATUSES.filter(status => canMoveRecording(status, to))
  const [moved] = await tx
    .update(recordings)
    .set({
      ...facts.set,
      status: to,
      updatedAt: new Date(),
      ...(facts.ending ? { ending: facts.ending } : {}),
    })
    .where(and(eq(recordings.id, recordingId), inArray(recordings.status, from)))
    .returning()
  if (!moved) throw new RecordingNotMoved(recordingId, to)
  await together([
    tx.insert(meetingEvents).values({
      organizationId: moved.organizationId,
      meetingId: moved.meetingId,
      actor: facts.actor,
      kind: `recording.${to}`,
      ending: facts.ending ?? null,
      detail: facts.detail ?? {},
    }),
    announceRecording(tx, moved, new Date()),
    mailRecording(tx, moved),
    noteAudit(tx, {
      organizationId: moved.organizationId,
      actor: facts.actor,
      action: `recording.${to}`,
      subject: `recording:${recordingId}`,
      detail: { meetingId: moved.meetingId, ...(facts.ending ? { ending: facts.ending } : {}) },
    }),
  ])
  return moved
}

async function mailRecording(tx: Transaction, recording: Recording): Promise<void> {
  const { id, organizationId, meetingId, status, revision } = recording
  if (status !== 'available' && status !== 'partial' && status !== 'failed') return
  const kind = status === 'failed' ? 'recording.failed' : 'recording.available'
  await mailAdministrators(tx, { organizationId, meetingId, kind, onceKey: `${kind}:${id}:${revision}` })
}

/** A recording with its meeting, or undefined. */
export async function findRecording(
  db: Queryable,
  by: { recordingId: string } | { meetingId: string },
): Promise<{ recording: Recording; meeting: Meeting } | undefined> {
  const [found] = await db
    .select({ recording: recordings, meeting: meetings })
    .from(recordings)
    .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
    .where('recordingId' in by ? eq(recordings.id, by.recordingId) : eq(recordings.meetingId, by.meetingId))
  return found
}

/** Segments of a recording, in the order in which they were recorded. */
export async function listSegments(db: Queryable, recordingId: string): Promise<Segment[]> {
  const rows = await db
    .select({ segment: segments })
    .from(segments)
    .innerJoin(attempts, eq(attempts.id, segments.attemptId))
    .where(eq(attempts.recordingId, recordingId))
    .orderBy(asc(attempts.number), asc(segments.number))
  return rows.map(row => row.segment)
}

/** A stored segment becomes part of the record. Repeating it changes nothing. */
export async function addSegment(db: Queryable, segment: typeof segments.$inferInsert): Promise<void> {
  await db.insert(segments).values(segment).onConflictDoNothing()
}

/** Somebody came into or left the call, as the bot saw it; the first to come starts the meeting. */
export async function notePresence(
  db: Queryable,
  of: { organizationId: string; meetingId: string; attemptId: string },
  change: { personKey: string; name: string | null; kind: 'joined' | 'left'; at: Date },
): Promise<void> {
  await announceParticipant(db, { id: of.meetingId, organizationId: of.organizationId }, change)
  if (change.kind === 'left') {
    await db
      .update(presences)
      .set({ leftAt: change.at })
      .where(
        and(
          eq(presences.attemptId, of.attemptId),
          eq(presences.personKey, change.personKey),
          isNull(presences.leftAt),
        ),
      )
    return
  }
  await db
    .insert(presences)
    .values({ id: newRowId(), ...of, personKey: change.personKey, name: change.name, joinedAt: change.at })
  await db
    .update(meetings)
    .set({ actualStart: change.at })
    .where(
      and(
        eq(meetings.id, of.meetingId),
        sql`(${meetings.actualStart} is null or ${lt(meetings.actualStart, change.at)} is false)`,
      ),
    )
}

/** Has anybody been in this meeting since its start, or is in it? Who only looked in before that has yet to come. */
export async function hasSeenPeople(db: Queryable, meetingId: string): Promise<boolean> {
  const [row] = await db
    .select({ id: presences.id })
    .from(presences)
    .innerJoin(meetings, eq(meetings.id, presences.meetingId))
    .where(
      and(
        eq(presences.meetingId, meetingId),
        eq(presences.bot, false),
        sql`coalesce(${presences.leftAt}, now()) >= ${meetings.startsAt}`,
      ),
    )
    .limit(1)
  return row !== undefined
}

/** Does a recording hold any picture at all? */
export async function hasMedia(db: Queryable, recordingId: string): Promise<boolean> {
  const [row] = await db
    .select({ number: segments.number })
    .from(segments)
    .innerJoin(attempts, eq(attempts.id, segments.attemptId))
    .where(and(eq(attempts.recordingId, recordingId), sql`${segments.number} > 0`))
    .limit(1)
  return row !== undefined
}

/** The meeting is over; its actual end is the last moment at which the bot was in the call. */
export async function endMeeting(tx: Transaction, meetingId: string, at: Date | null): Promise<void> {
  const now = new Date()
  const [ended] = await tx
    .update(meetings)
    .set({ status: 'ended', updatedAt: now, ...(at ? { actualEnd: at } : {}) })
    .where(and(eq(meetings.id, meetingId), inArray(meetings.status, ['scheduled', 'in_progress'])))
    .returning()
  if (ended) await announceMeeting(tx, 'meeting.ended', ended, { at: now })
}
