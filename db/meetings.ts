import { randomUUID } from 'node:crypto'
import { and, asc, eq, isNull, lt, notInArray, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { moveRecording } from './recordings.ts'
import {
  meetingEvents,
  meetings,
  type Patience,
  participants,
  recordings,
  type SpaceConfiguration,
} from './schema.ts'
import type { RecordingStatus } from './states.ts'

export type MeetingRow = typeof meetings.$inferSelect
export type ParticipantRow = typeof participants.$inferSelect

/** Somebody to invite. The address is lower-cased: it tells people of one meeting apart. */
export interface Invited {
  email: string
  name: string | null
  role: 'host' | 'participant'
}

/** What a caller asks for, ready for the row. */
export interface MeetingWish {
  topic: string
  description: string | null
  startsAt: Date
  endsAt: Date
  timeZone: string
  externalId: string | null
  relatedType: string | null
  relatedId: string | null
  customFields: Record<string, unknown> | null
  patience: Patience
  participants: Invited[]
}

/** What may change after a meeting was made; what is absent stays. */
export type MeetingChange = Partial<
  Pick<MeetingWish, 'topic' | 'description' | 'startsAt' | 'endsAt' | 'timeZone' | 'participants'>
>

/** Who does something, as the log of the meeting names them: `api_key:<prefix>`, `job:<name>`. */
export type Actor = string

/**
 * Writes a new meeting with its invited people, its pending recording and the first line of its log.
 * @returns false when the organisation already has a meeting with this external id; nothing is written then
 */
export async function insertMeeting(
  tx: Transaction,
  made: MeetingWish & { id: string; organizationId: string; organizer: string; eventId: string },
  actor: Actor,
): Promise<boolean> {
  const { participants: invited, ...row } = made
  const inserted = await tx
    .insert(meetings)
    .values(row)
    .onConflictDoNothing({ target: [meetings.organizationId, meetings.externalId] })
    .returning({ id: meetings.id })
  if (inserted.length === 0) return false
  await invite(tx, made, invited)
  await tx
    .insert(recordings)
    .values({ id: randomUUID(), organizationId: made.organizationId, meetingId: made.id })
  await noteMeetingEvent(tx, made, actor, 'meeting.created')
  return true
}

/** One organisation's meeting; `undefined` when it is not there or not theirs. */
export async function findMeeting(
  db: Queryable,
  organizationId: string,
  id: string,
): Promise<MeetingRow | undefined> {
  const [row] = await db
    .select()
    .from(meetings)
    .where(and(eq(meetings.organizationId, organizationId), eq(meetings.id, id)))
  return row
}

export async function findMeetingByExternalId(
  db: Queryable,
  organizationId: string,
  externalId: string,
): Promise<MeetingRow | undefined> {
  const [row] = await db
    .select()
    .from(meetings)
    .where(and(eq(meetings.organizationId, organizationId), eq(meetings.externalId, externalId)))
  return row
}

/** As {@link findMeeting}, and nobody else changes the meeting until the transaction ends. */
export async function lockMeeting(
  tx: Transaction,
  organizationId: string,
  id: string,
): Promise<MeetingRow | undefined> {
  const [row] = await tx
    .select()
    .from(meetings)
    .where(and(eq(meetings.organizationId, organizationId), eq(meetings.id, id)))
    .for('update')
  return row
}

/** Those invited now, in the order they were invited. */
export async function listInvited(db: Queryable, meetingId: string): Promise<ParticipantRow[]> {
  return db
    .select()
    .from(participants)
    .where(and(eq(participants.meetingId, meetingId), isNull(participants.removedAt)))
    .orderBy(asc(participants.createdAt), asc(participants.email))
}

/** Applies a change to a meeting that {@link lockMeeting} holds, and counts its revision up. */
export async function changeMeeting(
  tx: Transaction,
  meeting: MeetingRow,
  change: MeetingChange,
  by: { actor: Actor; now: Date },
): Promise<MeetingRow> {
  const { participants: invited, ...fields } = change
  const [changed] = await tx
    .update(meetings)
    .set({ ...fields, revision: meeting.revision + 1, updatedAt: by.now })
    .where(eq(meetings.id, meeting.id))
    .returning()
  if (!changed) throw new Error(`The meeting ${meeting.id} is gone although it was locked`)
  if (invited) {
    const staying = invited.map(person => person.email)
    await tx
      .update(participants)
      .set({ removedAt: by.now })
      .where(
        and(
          eq(participants.meetingId, meeting.id),
          isNull(participants.removedAt),
          staying.length > 0 ? notInArray(participants.email, staying) : undefined,
        ),
      )
    await invite(tx, meeting, invited)
  }
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.changed', { fields: Object.keys(change) })
  return changed
}

/** Cancels a meeting that {@link lockMeeting} holds; a recording that has not begun is cancelled with it. */
export async function cancelMeeting(
  tx: Transaction,
  meeting: MeetingRow,
  by: { actor: Actor; now: Date },
): Promise<{ recordingCancelled: boolean }> {
  await tx
    .update(meetings)
    .set({
      status: 'cancelled',
      cancelledAt: by.now,
      updatedAt: by.now,
      revision: meeting.revision + 1,
    })
    .where(eq(meetings.id, meeting.id))
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.cancelled')
  const [pending] = await tx
    .select({ id: recordings.id })
    .from(recordings)
    .where(and(eq(recordings.meetingId, meeting.id), eq(recordings.status, 'pending')))
    .for('update')
  if (pending) await moveRecording(tx, pending.id, 'cancelled', { actor: by.actor })
  return { recordingCancelled: pending !== undefined }
}

/** A meeting as Google has to know it: the row, those invited, and where its recording stands. */
export interface MeetingToProvision {
  meeting: MeetingRow
  invited: ParticipantRow[]
  recordingStatus: RecordingStatus
}

/** Reads row, people and recording as they stand together at one moment. */
export async function readMeetingToProvision(
  tx: Transaction,
  meetingId: string,
): Promise<MeetingToProvision | undefined> {
  // The row's lock makes a change by a caller come wholly before or wholly after this reading.
  const [row] = await tx
    .select({ meeting: meetings, recordingStatus: recordings.status })
    .from(meetings)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .where(eq(meetings.id, meetingId))
    .for('share', { of: meetings })
  return row && { ...row, invited: await listInvited(tx, meetingId) }
}

/** What Google made of a meeting. */
export interface Provisioned {
  /** Differs from the row's when the first event had been deleted in Google and another was made. */
  eventId: string
  joinUrl: string
  meetingCode: string
  spaceName: string | null
  space: SpaceConfiguration
}

/**
 * Notes that Google has what the row said at `revision`.
 * @param made absent for a meeting whose event was cancelled
 * @returns whether that is still all: false when a caller changed the meeting meanwhile
 */
export async function noteProvisioned(
  tx: Transaction,
  meeting: MeetingRow,
  made: Provisioned | undefined,
  by: { actor: Actor; now: Date },
): Promise<{ upToDate: boolean }> {
  const [noted] = await tx
    .update(meetings)
    .set({
      ...made,
      syncedRevision: sql`greatest(${meetings.syncedRevision}, ${meeting.revision})`,
      updatedAt: by.now,
    })
    .where(eq(meetings.id, meeting.id))
    .returning({ revision: meetings.revision })
  if (!noted) throw new Error(`The meeting ${meeting.id} is gone although meetings are never deleted`)
  await noteMeetingEvent(tx, meeting, by.actor, made ? 'meeting.provisioned' : 'meeting.withdrawn', {
    revision: meeting.revision,
    ...(made && made.space.refusals.length > 0 ? { refusals: made.space.refusals } : {}),
  })
  return { upToDate: noted.revision === meeting.revision }
}

/** Keeps the id of an event that is about to be made in the place of one that somebody deleted in Google. */
export async function keepEventId(db: Queryable, meetingId: string, eventId: string): Promise<void> {
  await db.update(meetings).set({ eventId }).where(eq(meetings.id, meetingId))
}

/** Meetings whose last change, older than `before`, has not reached Google, and that no job takes care of. */
export async function findForgotten(db: Queryable, before: Date, limit: number): Promise<string[]> {
  const rows = await db
    .select({ id: meetings.id })
    .from(meetings)
    .where(
      and(
        lt(meetings.syncedRevision, meetings.revision),
        lt(meetings.updatedAt, before),
        sql`not exists (select 1 from pgboss.job where name = 'provision-meeting'
          and coalesce(singleton_key, '') = ${meetings.id}::text and state <= 'active')`,
      ),
    )
    .orderBy(asc(meetings.updatedAt))
    .limit(limit)
  return rows.map(row => row.id)
}

/** Adds a line to the meeting's log. */
export async function noteMeetingEvent(
  tx: Queryable,
  meeting: { id: string; organizationId: string },
  actor: Actor,
  kind: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  await tx
    .insert(meetingEvents)
    .values({ organizationId: meeting.organizationId, meetingId: meeting.id, actor, kind, detail })
}

async function invite(
  tx: Transaction,
  meeting: { id: string; organizationId: string },
  invited: Invited[],
): Promise<void> {
  if (invited.length === 0) return
  await tx
    .insert(participants)
    .values(
      invited.map(person => ({
        id: randomUUID(),
        organizationId: meeting.organizationId,
        meetingId: meeting.id,
        ...person,
      })),
    )
    .onConflictDoUpdate({
      target: [participants.meetingId, participants.email],
      set: { name: sql`excluded.name`, role: sql`excluded.role`, removedAt: null },
    })
}
