import { and, asc, eq, exists, gt, isNotNull, isNull, lte, max, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import type { Ending } from './endings.ts'
import { findRecording, hasMedia, type Meeting, moveRecording, type Recording } from './recordings.ts'
import { newRowId } from './row-id.ts'
import { type Artefact, attempts, meetings, presences, recordings, segments } from './schema.ts'
import { isFinal } from './states.ts'
import { together } from './together.ts'
import { announceMeeting } from './webhooks.ts'

export type Attempt = typeof attempts.$inferSelect

/** The attempts of a recording, first to last. */
export function listAttempts(db: Queryable, recordingId: string): Promise<Attempt[]> {
  return db.select().from(attempts).where(eq(attempts.recordingId, recordingId)).orderBy(asc(attempts.number))
}

/** A recording that nobody else changes until the transaction ends. */
export async function lockRecording(tx: Transaction, recordingId: string): Promise<Recording | undefined> {
  const [recording] = await tx.select().from(recordings).where(eq(recordings.id, recordingId)).for('update')
  return recording
}

/** Attempts of a recording that have not ended as far as the rows know. */
export function listLivingOf(db: Queryable, recordingId: string): Promise<Attempt[]> {
  return db
    .select()
    .from(attempts)
    .where(and(eq(attempts.recordingId, recordingId), isNull(attempts.endedAt)))
}

export type Opening =
  | { kind: 'opened'; attempt: Attempt; beside: boolean }
  | { kind: 'refused'; because: 'already_recording' | 'over' | 'same_host' }

/** The host of a recorder's name, `host:pid`. */
const hostOf = (recorder: string) => recorder.replace(/:\d+$/, '')

/**
 * Takes the lease: begins an attempt and moves the recording to `joining`. A lane has at most one living attempt, and
 * beside one that hands over at most one more. Two lanes never share a host. Never judges whether a living attempt is
 * dead: that is `loseAttempt`, for who has watched it.
 */
export async function openAttempt(
  tx: Transaction,
  recordingId: string,
  facts: { recorder: string; botAccount: string | null; lane?: number },
): Promise<Opening> {
  const refuse = (because: Extract<Opening, { kind: 'refused' }>['because']): Opening => ({
    kind: 'refused',
    because,
  })
  const [recording, living, [last]] = await together([
    lockRecording(tx, recordingId),
    // Not before the lock is there.
    listLivingOf(tx, recordingId),
    tx
      .select({ number: max(attempts.number) })
      .from(attempts)
      .where(eq(attempts.recordingId, recordingId)),
  ])
  if (!recording || isFinal(recording.status) || recording.status === 'finishing') return refuse('over')
  const { recorder, botAccount, lane = 0 } = facts
  const own = living.filter(attempt => attempt.lane === lane)
  if (own.some(attempt => !attempt.handoverAt)) return refuse('already_recording')
  if (living.some(other => other.lane !== lane && hostOf(other.recorder) === hostOf(recorder)))
    return refuse('same_host')
  const number = (last?.number ?? 0) + 1
  const actor = `recorder:${recorder}`
  const [attempt] = await together([
    insertAttempt(tx, recording, { number, lane, recorder, botAccount }),
    living.length === 0 && beginJoining(tx, recording, { number, actor }),
  ])
  return { kind: 'opened', attempt, beside: own.length > 0 }
}

async function insertAttempt(
  tx: Transaction,
  { id: recordingId, organizationId }: Recording,
  facts: Pick<Attempt, 'number' | 'lane' | 'recorder' | 'botAccount'>,
): Promise<Attempt> {
  const [attempt] = await tx
    .insert(attempts)
    .values({
      ...{ id: newRowId(), organizationId, recordingId, ...facts },
      startedAt: sql`now()`,
      heartbeatAt: sql`now()`,
    })
    .returning()
  if (!attempt) throw new Error('the attempt was not stored')
  return attempt
}

async function beginJoining(
  tx: Transaction,
  { id, status }: Recording,
  { number, actor }: { number: number; actor: string },
): Promise<void> {
  if (status === 'recording') await moveRecording(tx, id, 'interrupted', { actor, ending: 'recorder_died' })
  await moveRecording(tx, id, 'joining', { actor, detail: { attempt: number } })
}

/** Writes down how an attempt ended. @returns false when it had already been closed: nothing changes then */
export async function closeAttempt(
  tx: Transaction,
  attemptId: string,
  facts: {
    ending: Ending
    detail?: string
    at: Date
    artefacts?: Artefact[]
    notInCallMs?: number
    speech?: { fromMs: number; toMs: number }[]
  },
): Promise<boolean> {
  const { ending, detail, at, artefacts = [], notInCallMs = 0, speech = [] } = facts
  const [closed] = await tx
    .update(attempts)
    .set({
      ending,
      detail: detail ?? null,
      endedAt: at,
      artefacts,
      notInCallMs: Math.round(notInCallMs),
      speech,
    })
    .where(and(eq(attempts.id, attemptId), isNull(attempts.endedAt)))
    .returning({ id: attempts.id })
  if (!closed) return false
  await tx
    .update(presences)
    .set({ leftAt: at })
    .where(and(eq(presences.attemptId, attemptId), isNull(presences.leftAt)))
  return true
}

/** What an attempt learns with each sign of life. `lost`: somebody else closed it, so it must stop. */
export type BeatAnswer =
  | {
      kind: 'go_on'
      meeting: Meeting
      /** The database's clock, milliseconds since the epoch. */
      databaseNow: number
      /** It was to hand over, and the one who came has stored pictures. */
      relieved: boolean
    }
  | { kind: 'lost' }

/** A sign of life of an attempt; answers what changed about its meeting. */
export async function beat(
  db: Queryable,
  attemptId: string,
  clockOffsetMs: number | null,
): Promise<BeatAnswer> {
  const [alive] = await db
    .update(attempts)
    .set({
      beats: sql`${attempts.beats} + 1`,
      heartbeatAt: sql`now()`,
      ...(clockOffsetMs === null ? {} : { clockOffsetMs }),
    })
    .where(and(eq(attempts.id, attemptId), isNull(attempts.endedAt)))
    .returning({
      recordingId: attempts.recordingId,
      lane: attempts.lane,
      number: attempts.number,
      handoverAt: attempts.handoverAt,
      databaseNow: sql<number>`extract(epoch from clock_timestamp()) * 1000`.mapWith(Number),
    })
  if (!alive) return { kind: 'lost' }
  const found = await findRecording(db, { recordingId: alive.recordingId })
  if (!found) return { kind: 'lost' }
  const relieved = alive.handoverAt !== null && (await hasRelief(db, alive))
  return { kind: 'go_on', meeting: found.meeting, databaseNow: alive.databaseNow, relieved }
}

async function hasRelief(
  db: Queryable,
  { recordingId, lane, number }: { recordingId: string; lane: number; number: number },
): Promise<boolean> {
  const [relief] = await db
    .select({ id: attempts.id })
    .from(attempts)
    .where(
      and(
        eq(attempts.recordingId, recordingId),
        eq(attempts.lane, lane),
        gt(attempts.number, number),
        isNull(attempts.endedAt),
        isNotNull(attempts.admittedAt),
        exists(
          db
            .select({ one: sql`1` })
            .from(segments)
            .where(and(eq(segments.attemptId, attempts.id), gt(segments.number, 0))),
        ),
      ),
    )
    .limit(1)
  return relief !== undefined
}

/** Lets another recorder come and take over from a living attempt. @returns its meeting and lane, or undefined when it has ended */
export async function offerHandover(
  tx: Transaction,
  attemptId: string,
): Promise<{ meetingId: string; lane: number } | undefined> {
  const [offered] = await tx
    .update(attempts)
    .set({ handoverAt: sql`coalesce(${attempts.handoverAt}, now())` })
    .where(and(eq(attempts.id, attemptId), isNull(attempts.endedAt)))
    .returning({ recordingId: attempts.recordingId, lane: attempts.lane })
  if (!offered) return undefined
  const found = await findRecording(tx, { recordingId: offered.recordingId })
  return found && { meetingId: found.meeting.id, lane: offered.lane }
}

/** What a watcher sees of a living attempt. */
export interface LivingAttempt {
  attemptId: string
  recordingId: string
  meetingId: string
  lane: number
  beats: number
  heartbeatAt: Date
  recorder: string
}

/** All living attempts of all recordings, for who watches over them. */
export function listLiving(db: Queryable): Promise<LivingAttempt[]> {
  return db
    .select({
      attemptId: attempts.id,
      recordingId: attempts.recordingId,
      meetingId: recordings.meetingId,
      lane: attempts.lane,
      beats: attempts.beats,
      heartbeatAt: attempts.heartbeatAt,
      recorder: attempts.recorder,
    })
    .from(attempts)
    .innerJoin(recordings, eq(recordings.id, attempts.recordingId))
    .where(isNull(attempts.endedAt))
}

/** May this attempt be judged dead? Only while its count of signs of life stands where the watcher saw it stand still. */
export async function standsStill(tx: Transaction, { attemptId, beats }: LivingAttempt): Promise<boolean> {
  const [still] = await tx
    .select({ id: attempts.id })
    .from(attempts)
    .where(and(eq(attempts.id, attemptId), eq(attempts.beats, beats), isNull(attempts.endedAt)))
    .for('update')
  return still !== undefined
}

/** No bot is sent earlier than this. */
const EARLIEST_CALL_MS = 30 * 60_000

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
  if (attempt.endedAt) return
  const recording = await moveRecording(tx, attempt.recordingId, 'recording', {
    actor,
    detail: { attempt: attempt.number },
  })
  if (!recording.startedAt)
    await tx.update(recordings).set({ startedAt: at }).where(eq(recordings.id, recording.id))
  // One that was put off just now has not begun: its bot goes again.
  const isNear = lte(meetings.startsAt, new Date(at.getTime() + EARLIEST_CALL_MS))
  const [begun] = await tx
    .update(meetings)
    .set({ status: 'in_progress' })
    .where(and(eq(meetings.id, recording.meetingId), eq(meetings.status, 'scheduled'), isNear))
    .returning()
  if (begun) await announceMeeting(tx, 'meeting.started', begun, { at })
}

/** What the page shows before the call; nothing changes while another attempt is already recording. */
export async function markWaiting(
  tx: Transaction,
  attempt: { id: string; recordingId: string },
  state: 'joining' | 'waiting_room',
  actor: string,
): Promise<void> {
  const recording = await lockRecording(tx, attempt.recordingId)
  const [mine] = await tx
    .select({ endedAt: attempts.endedAt })
    .from(attempts)
    .where(eq(attempts.id, attempt.id))
  const others = (await listLivingOf(tx, attempt.recordingId)).filter(other => other.id !== attempt.id)
  if (!recording || mine?.endedAt !== null || others.some(other => other.admittedAt)) return
  await moveRecording(tx, attempt.recordingId, state, { actor })
}

/**
 * Sends a recording that was already final back to be finished, because segments have come late; one that is still
 * being recorded gets there by itself.
 * @returns whether it was sent back
 */
export async function finishAnew(
  tx: Transaction,
  recordingId: string,
  facts: { actor: string; detail?: Record<string, unknown> },
): Promise<boolean> {
  const recording = await lockRecording(tx, recordingId)
  if (!recording || !['available', 'partial', 'failed'].includes(recording.status)) return false
  if ((await listLivingOf(tx, recordingId)).length > 0 || !(await hasMedia(tx, recordingId))) return false
  await moveRecording(tx, recordingId, 'finishing', facts)
  return true
}
