import { and, eq, inArray, ne, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { type Actor, auditMeeting, type MeetingRow, noteMeetingEvent } from './meetings.ts'
import { moveRecording } from './recordings.ts'
import { attempts, meetings, presences, recordings } from './schema.ts'
import { announceMeeting } from './webhooks.ts'

interface By {
  actor: Actor
  now: Date
}

/**
 * `taken`: another meeting is in its place of the series. `recorded`: a bot has been in the call, or what there was of it is
 * being erased, so that what comes now is another recording.
 */
export type Revival = { kind: 'revived'; meeting: MeetingRow } | { kind: 'taken' } | { kind: 'recorded' }

/** A cancelled meeting takes place after all: somebody put its event back. */
export async function reviveMeeting(tx: Transaction, meeting: MeetingRow, by: By): Promise<Revival> {
  if (meeting.seriesId !== null && meeting.originalStart !== null) {
    const [other] = await tx
      .select({ id: meetings.id })
      .from(meetings)
      .where(
        and(
          eq(meetings.seriesId, meeting.seriesId),
          eq(meetings.originalStart, meeting.originalStart),
          ne(meetings.status, 'cancelled'),
        ),
      )
    if (other) return { kind: 'taken' }
  }
  if (meeting.erasingSince !== null) return { kind: 'recorded' }
  const [recording] = await tx
    .select()
    .from(recordings)
    .where(eq(recordings.meetingId, meeting.id))
    .for('update')
  if (recording?.status !== 'cancelled') return { kind: 'recorded' }
  const [visit] = await tx
    .select({ id: attempts.id })
    .from(attempts)
    .where(eq(attempts.recordingId, recording.id))
    .limit(1)
  if (visit) return { kind: 'recorded' }
  const [row] = await tx
    .update(meetings)
    .set({
      status: 'scheduled',
      cancelledAt: null,
      calendarSeen: sql`${meetings.calendarSeen} - 'cancelledEtag'`,
      revision: meeting.revision + 1,
      updatedAt: by.now,
    })
    .where(eq(meetings.id, meeting.id))
    .returning()
  if (!row) throw new Error(`The meeting ${meeting.id} is gone although it was locked`)
  await moveRecording(tx, recording.id, 'pending', { actor: by.actor })
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.restored')
  await auditMeeting(tx, meeting, by.actor, 'meeting.restored', {
    before: { status: meeting.status },
    after: { status: row.status },
  })
  await announceMeeting(tx, 'meeting.updated', meeting, { at: by.now, changed: ['status'] })
  return { kind: 'revived', meeting: row }
}

/** Nobody has come yet and the call is put off: the meeting waits again. Its new times are the caller's to write. */
export async function awaitAnew(tx: Transaction, meeting: MeetingRow, by: By): Promise<MeetingRow> {
  const [row] = await tx
    .update(meetings)
    .set({ status: 'scheduled', actualStart: null, updatedAt: by.now })
    .where(eq(meetings.id, meeting.id))
    .returning()
  if (!row) throw new Error(`The meeting ${meeting.id} is gone although it was locked`)
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.put_off')
  return row
}

/** Has anybody but a bot been in the call of this meeting, at whatever time? */
export async function hasEverMet(db: Queryable, meetingId: string): Promise<boolean> {
  const [row] = await db
    .select({ id: presences.id })
    .from(presences)
    .where(and(eq(presences.meetingId, meetingId), eq(presences.bot, false)))
    .limit(1)
  return row !== undefined
}

/** Is there another meeting of the same event that is going to be held, or is being held? */
export async function hasTwin(db: Queryable, meeting: MeetingRow): Promise<boolean> {
  const [row] = await db
    .select({ id: meetings.id })
    .from(meetings)
    .where(
      and(
        ne(meetings.id, meeting.id),
        eq(meetings.organizationId, meeting.organizationId),
        eq(meetings.eventId, meeting.eventId),
        eq(meetings.organizer, meeting.organizer),
        inArray(meetings.status, ['scheduled', 'in_progress']),
      ),
    )
    .limit(1)
  return row !== undefined
}

/** Keeps how the event stood when it counted as cancelled: any other state of it that is alive was put back. */
export async function noteCancelledEvent(tx: Transaction, meetingId: string, etag: string): Promise<void> {
  await tx
    .update(meetings)
    .set({
      calendarSeen: sql`coalesce(${meetings.calendarSeen}, '{"etag": "", "updatedAt": null, "fields": {}}'::jsonb)
        || jsonb_build_object('cancelledEtag', ${etag}::text)`,
    })
    .where(eq(meetings.id, meetingId))
}
