import { and, eq, inArray, lt, type SQL, sql } from 'drizzle-orm'
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
  sql`not exists (select 1 from pgboss.job where name = ${name} and singleton_key = ${key}::text and state <= 'active')`

function stalled(db: Queryable, where: SQL | undefined): Promise<Stalled[]> {
  return db
    .select({
      recordingId: recordings.id,
      meetingId: meetings.id,
      startsAt: meetings.startsAt,
      patience: meetings.patience,
    })
    .from(recordings)
    .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
    .where(where)
    .limit(MOST)
}

/** Meetings with a link that nobody is going to record. */
export function findUnrecorded(db: Queryable): Promise<Stalled[]> {
  return stalled(
    db,
    and(
      inArray(recordings.status, ['pending', 'joining', 'waiting_room', 'recording', 'interrupted']),
      sql`${meetings.joinUrl} is not null`,
      sql`(${meetings.status} <> 'cancelled' or ${recordings.status} <> 'pending')`,
      withoutJob('record-meeting', sql`${meetings.id}`),
    ),
  )
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
export function findUnfinished(db: Queryable): Promise<Stalled[]> {
  return stalled(
    db,
    and(eq(recordings.status, 'finishing'), withoutJob('finish-recording', sql`${recordings.id}`)),
  )
}

/** Finished recordings that nobody is going to copy to Drive. */
export function findUncopied(db: Queryable): Promise<Stalled[]> {
  return stalled(
    db,
    and(
      inArray(recordings.status, ['available', 'partial']),
      eq(recordings.driveStatus, 'pending'),
      withoutJob('copy-to-drive', sql`${recordings.id}`),
    ),
  )
}
