import { and, asc, eq, inArray, lt, type SQL, sql } from 'drizzle-orm'
import type { Queryable } from './connect.ts'
import type { JobName } from './jobs.ts'
import { meetings, type Patience, recordings } from './schema.ts'

/** A recording that waits for a job which does not exist. */
export interface Stalled {
  recordingId: string
  meetingId: string
  startsAt: Date
  patience: Patience
}

const MOST = 500

// A job counts while it is queued, waits for its next try, or is being worked on.
const withoutJob = (name: JobName, key: SQL) =>
  sql`not exists (select 1 from pgboss.job where name = ${name} and singleton_key = ${key} and state <= 'active')`

const stalledColumns = {
  recordingId: recordings.id,
  meetingId: meetings.id,
  startsAt: meetings.startsAt,
  patience: meetings.patience,
}

function stalled(db: Queryable, where: SQL | undefined): Promise<Stalled[]> {
  return db
    .select(stalledColumns)
    .from(recordings)
    .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
    .where(where)
    .limit(MOST)
}

/** Key of the job that wakes a recorder for a meeting; the second lane of a redundant recording has one of its own. */
export const recordJobKey = (meetingId: string, lane: number) =>
  lane === 0 ? meetingId : `${meetingId}:${lane}`

/** A lane of a recording that no living attempt records and no job will wake anybody for. */
export interface Owed extends Stalled {
  lane: number
  /** When its next attempt may begin; null before the first. */
  retryAt: Date | null
}

/**
 * Meetings with a link that nobody is recording and nobody is going to. Living attempts count, dead or not: who watches
 * over them closes the dead.
 * @param recordingId only this one
 */
export async function findUnrecorded(db: Queryable, recordingId?: string): Promise<Owed[]> {
  const lane = sql`lanes.lane`
  const ofLane = sql`from attempts a where a.recording_id = ${recordings.id} and a.lane = ${lane}`
  const key = sql`(${meetings.id}::text || case when ${lane} = 0 then '' else ':' || ${lane} end)`
  return db
    .select({
      ...stalledColumns,
      lane: sql<number>`${lane}`.mapWith(Number),
      retryAt: sql<Date | null>`(select a.retry_at ${ofLane} order by a.number desc limit 1)`.mapWith(
        (value: string | Date | null) => (value === null ? null : new Date(value)),
      ),
    })
    .from(recordings)
    .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
    .innerJoin(sql`generate_series(0, ${meetings.redundancy} - 1) as lanes(lane)`, sql`true`)
    .where(
      and(
        inArray(recordings.status, ['pending', 'joining', 'waiting_room', 'recording', 'interrupted']),
        recordingId === undefined ? undefined : eq(recordings.id, recordingId),
        sql`${meetings.joinUrl} is not null`,
        sql`(${meetings.status} <> 'cancelled' or ${recordings.status} <> 'pending')`,
        sql`not exists (select 1 ${ofLane} and (a.ended_at is null or a.concluded))`,
        withoutJob('record-meeting', key),
      ),
    )
    .limit(MOST)
}

/** Settled recordings whose rows were not compared with the bucket since they were settled. */
export async function findUncompared(
  db: Queryable,
  settledBefore: Date,
  most: number,
): Promise<(typeof recordings.$inferSelect)[]> {
  return await db
    .select()
    .from(recordings)
    .where(
      and(
        inArray(recordings.status, ['available', 'partial', 'failed']),
        lt(recordings.updatedAt, settledBefore),
        sql`(${recordings.bucketCheckedAt} is null or ${recordings.bucketCheckedAt} < ${recordings.updatedAt})`,
      ),
    )
    .orderBy(asc(recordings.updatedAt))
    .limit(most)
}

/** Meetings that a recorder should have been sent to and that none has taken. */
export async function findWaiting(db: Queryable, seconds: number): Promise<string[]> {
  const rows = await db.execute<{ key: string }>(
    sql`select singleton_key as key from pgboss.job
      where name = 'record-meeting' and state < 'active' and start_after < now() - ${seconds} * interval '1 second'
      order by start_after limit ${MOST}`,
  )
  return rows.map(({ key }) => key)
}

/** Meetings that were over before they ever got a link. */
export function findNeverMade(db: Queryable, now: Date): Promise<Stalled[]> {
  return stalled(
    db,
    and(
      eq(recordings.status, 'pending'),
      sql`${meetings.joinUrl} is null`,
      sql`${meetings.status} <> 'cancelled'`,
      lt(meetings.endsAt, now),
    ),
  )
}

/** Recordings that nobody is going to finish. */
export function findUnfinished(db: Queryable, recordingId?: string): Promise<Stalled[]> {
  return stalled(
    db,
    and(
      eq(recordings.status, 'finishing'),
      recordingId === undefined ? undefined : eq(recordings.id, recordingId),
      withoutJob('finish-recording', sql`${recordings.id}::text`),
    ),
  )
}

/**
 * Recordings that are settled and of which nobody is going to ask Google what took place: without any word on it, or of
 * the last day without a final one. A video of a version that kept no timeline cannot be judged.
 * @param recordingId only this one
 */
export function findUncovered(db: Queryable, recordingId?: string): Promise<Stalled[]> {
  return stalled(
    db,
    and(
      inArray(recordings.status, ['finishing', 'available', 'partial', 'failed', 'not_held']),
      sql`(${recordings.coverage} is null or (${recordings.coverage} ->> 'final' = 'false'
        and ${meetings.endsAt} > now() - interval '24 hours'))`,
      sql`(${recordings.timeline} is not null or ${recordings.status} not in ('available', 'partial'))`,
      recordingId === undefined ? undefined : eq(recordings.id, recordingId),
      withoutJob('read-conference', sql`${recordings.id}::text`),
    ),
  )
}

/** Finished recordings that nobody is going to copy to Drive. */
export function findUncopied(db: Queryable): Promise<Stalled[]> {
  return stalled(
    db,
    and(
      inArray(recordings.status, ['available', 'partial']),
      eq(recordings.driveStatus, 'pending'),
      withoutJob('copy-to-drive', sql`${recordings.id}::text`),
    ),
  )
}
