import { and, asc, eq, sql } from 'drizzle-orm'
import type { Queryable } from './connect.ts'
import type { MeetingRow } from './meetings.ts'
import { attempts, meetings, presences, recordings, segments } from './schema.ts'

export type RecordingRow = typeof recordings.$inferSelect
export type PresenceRow = typeof presences.$inferSelect

/** A meeting with where its recording stands. */
export interface MeetingWithRecording {
  meeting: MeetingRow
  recording: Pick<RecordingRow, 'status' | 'ending'>
}

const withRecording = {
  meeting: meetings,
  recording: { status: recordings.status, ending: recordings.ending },
}

/** One organisation's meeting with where its recording stands; `undefined` when it is not there or not theirs. */
export async function showMeeting(
  db: Queryable,
  organizationId: string,
  id: string,
): Promise<MeetingWithRecording | undefined> {
  const [row] = await db
    .select(withRecording)
    .from(meetings)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .where(and(eq(meetings.organizationId, organizationId), eq(meetings.id, id)))
  return row
}

/** Who was seen in the call and when, by the time they came. */
export async function listPresences(
  db: Queryable,
  organizationId: string,
  meetingId: string,
): Promise<PresenceRow[]> {
  return db
    .select()
    .from(presences)
    .where(and(eq(presences.organizationId, organizationId), eq(presences.meetingId, meetingId)))
    .orderBy(asc(presences.joinedAt), asc(presences.id))
}

/** One organisation's recording of a meeting, with the meeting's topic and start for its file name. */
export async function showRecording(
  db: Queryable,
  organizationId: string,
  meetingId: string,
): Promise<{ recording: RecordingRow; meeting: MeetingRow } | undefined> {
  const [row] = await db
    .select({ recording: recordings, meeting: meetings })
    .from(recordings)
    .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
    .where(and(eq(recordings.organizationId, organizationId), eq(recordings.meetingId, meetingId)))
  return row
}

/** Every attempt at a recording with how much of it is stored. */
export async function listAttempts(db: Queryable, organizationId: string, recordingId: string) {
  return db
    .select({
      number: attempts.number,
      startedAt: attempts.startedAt,
      admittedAt: attempts.admittedAt,
      endedAt: attempts.endedAt,
      ending: attempts.ending,
      segments: sql<number>`count(${segments.number}) filter (where ${segments.number} > 0)`.mapWith(Number),
      recordedMs: sql<number>`coalesce(sum(${segments.durationMs}), 0)`.mapWith(Number),
    })
    .from(attempts)
    .leftJoin(segments, eq(segments.attemptId, attempts.id))
    .where(and(eq(attempts.organizationId, organizationId), eq(attempts.recordingId, recordingId)))
    .groupBy(attempts.id)
    .orderBy(asc(attempts.number))
}

/** Do the database and the job queue's tables answer? Rejects when they do not. */
export async function checkDatabase(db: Queryable): Promise<void> {
  const rows = await db.execute(sql`select 1 from pgboss.queue where name = 'provision-meeting'`)
  if (rows.length === 0) throw new Error('The job queue has no queue named provision-meeting')
}
