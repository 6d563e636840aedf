import { randomUUID } from 'node:crypto'
import { and, asc, eq, inArray, isNull, lt, max, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import type { Ending } from './endings.ts'
import {
  type Artefact,
  attempts,
  meetingEvents,
  meetings,
  presences,
  recordings,
  segments,
} from './schema.ts'
import { canMoveRecording, RECORDING_STATUSES, type RecordingStatus } from './states.ts'

export type Meeting = typeof meetings.$inferSelect
export type Recording = typeof recordings.$inferSelect
export type Attempt = typeof attempts.$inferSelect
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
  await tx.insert(meetingEvents).values({
    organizationId: moved.organizationId,
    meetingId: moved.meetingId,
    actor: facts.actor,
    kind: `recording.${to}`,
    ending: facts.ending ?? null,
    detail: facts.detail ?? {},
  })
  return moved
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

/** The attempts of a recording, first to last. */
export function listAttempts(db: Queryable, recordingId: string): Promise<Attempt[]> {
  return db.select().from(attempts).where(eq(attempts.recordingId, recordingId)).orderBy(asc(attempts.number))
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

/** Without a sign of life for this long an attempt counts as dead, and another may begin. */
const ATTEMPT_SILENT_MS = 15_000

/**
 * Begins an attempt and moves the recording to `joining`. At most one attempt of a recording is alive: silent ones are
 * closed as `recorder_died`, and a live one refuses the new one.
 */
export async function openAttempt(
  tx: Transaction,
  recordingId: string,
  facts: { recorder: string; botAccount: string | null; now: Date },
): Promise<
  { kind: 'opened'; attempt: Attempt } | { kind: 'refused'; because: 'already_recording' | 'over' }
> {
  const [recording] = await tx.select().from(recordings).where(eq(recordings.id, recordingId)).for('update')
  if (!recording || !canMoveRecording(recording.status, 'joining')) {
    const alive = recording && ['joining', 'waiting_room', 'recording'].includes(recording.status)
    if (!alive) return { kind: 'refused', because: 'over' }
  }
  const silentSince = new Date(facts.now.getTime() - ATTEMPT_SILENT_MS)
  const living = await tx
    .select()
    .from(attempts)
    .where(and(eq(attempts.recordingId, recordingId), isNull(attempts.endedAt)))
  if (living.some(attempt => attempt.heartbeatAt > silentSince))
    return { kind: 'refused', because: 'already_recording' }
  for (const dead of living) await closeAttempt(tx, dead.id, 'recorder_died', dead.heartbeatAt)
  if (recording.status === 'recording')
    await moveRecording(tx, recordingId, 'interrupted', {
      actor: `recorder:${facts.recorder}`,
      ending: 'recorder_died',
    })
  const [last] = await tx
    .select({ number: max(attempts.number) })
    .from(attempts)
    .where(eq(attempts.recordingId, recordingId))
  const [attempt] = await tx
    .insert(attempts)
    .values({
      id: randomUUID(),
      organizationId: recording.organizationId,
      recordingId,
      number: (last?.number ?? 0) + 1,
      recorder: facts.recorder,
      botAccount: facts.botAccount,
      startedAt: facts.now,
      heartbeatAt: facts.now,
    })
    .returning()
  if (!attempt) throw new Error('the attempt was not stored')
  await moveRecording(tx, recordingId, 'joining', {
    actor: `recorder:${facts.recorder}`,
    detail: { attempt: attempt.number },
  })
  return { kind: 'opened', attempt }
}

/** Writes down how an attempt ended; a second call changes nothing. */
export async function closeAttempt(
  tx: Transaction,
  attemptId: string,
  ending: Ending,
  at: Date,
  artefacts: Artefact[] = [],
  notInCallMs = 0,
): Promise<void> {
  const [closed] = await tx
    .update(attempts)
    .set({ ending, endedAt: at, artefacts, notInCallMs })
    .where(and(eq(attempts.id, attemptId), isNull(attempts.endedAt)))
    .returning({ id: attempts.id })
  if (closed)
    await tx
      .update(presences)
      .set({ leftAt: at })
      .where(and(eq(presences.attemptId, attemptId), isNull(presences.leftAt)))
}

/** What an attempt learns with each sign of life. `lost`: the attempt was closed by somebody else, so it must stop. */
export type BeatAnswer = { kind: 'go_on'; meeting: Meeting } | { kind: 'lost' }

/** A sign of life of an attempt; answers what changed about its meeting. */
export async function beat(db: Queryable, attemptId: string, now: Date): Promise<BeatAnswer> {
  const [alive] = await db
    .update(attempts)
    .set({ heartbeatAt: now })
    .where(and(eq(attempts.id, attemptId), isNull(attempts.endedAt)))
    .returning({ recordingId: attempts.recordingId })
  if (!alive) return { kind: 'lost' }
  const found = await findRecording(db, { recordingId: alive.recordingId })
  if (!found) return { kind: 'lost' }
  return { kind: 'go_on', meeting: found.meeting }
}

/** The bot is in the call: the attempt, the recording and the meeting learn it together. */
export async function markAdmitted(
  tx: Transaction,
  attemptId: string,
  at: Date,
  actor: string,
): Promise<void> {
  const [attempt] = await tx
    .update(attempts)
    .set({ admittedAt: at })
    .where(eq(attempts.id, attemptId))
    .returning()
  if (!attempt) throw new Error(`attempt ${attemptId} is not there`)
  const recording = await moveRecording(tx, attempt.recordingId, 'recording', {
    actor,
    set: {},
    detail: { attempt: attempt.number },
  })
  if (!recording.startedAt)
    await tx.update(recordings).set({ startedAt: at }).where(eq(recordings.id, recording.id))
  await tx
    .update(meetings)
    .set({ status: 'in_progress' })
    .where(and(eq(meetings.id, recording.meetingId), eq(meetings.status, 'scheduled')))
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
    .values({ id: randomUUID(), ...of, personKey: change.personKey, name: change.name, joinedAt: change.at })
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

/** Has the bot ever seen somebody in this meeting? */
export async function hasSeenPeople(db: Queryable, meetingId: string): Promise<boolean> {
  const [row] = await db
    .select({ id: presences.id })
    .from(presences)
    .where(eq(presences.meetingId, meetingId))
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
  await tx
    .update(meetings)
    .set({ status: 'ended', updatedAt: new Date(), ...(at ? { actualEnd: at } : {}) })
    .where(and(eq(meetings.id, meetingId), inArray(meetings.status, ['scheduled', 'in_progress'])))
}
