import { sql } from 'drizzle-orm'
import type { Database } from './connect.ts'
import { findNeverMade, findUncopied, findUncovered, findUnfinished, findUnrecorded } from './stalled.ts'
import { RECORDING_STATUSES, type RecordingStatus } from './states.ts'

/** What waits, and for how long the longest has waited, in seconds; 0: nothing waits. */
export type Waiting = {
  /** The newest picture in the bucket of a call that is being recorded. */
  segment: number
  /** A meeting that has begun and whose bot is not in the call yet. */
  join: number
  /** A recording that was interrupted and is not taken up yet. */
  rejoin: number
  /** A recording whose video is being made. */
  finish: number
  /** A video that is to be copied to Drive. */
  drive: number
  /** A job that is due and that nobody has taken. */
  job: number
  /** A note for the audit log that is not in its chain yet. */
  audit: number
}

/** How everything stands, all organisations together. */
export interface Metrics {
  recordings: Record<RecordingStatus, number>
  /** Meetings whose recording failed, by the word of its ending. */
  notRecorded: Record<string, number>
  coverageAlerts: number
  attemptsLiving: number
  waitingSeconds: Waiting
  jobs: { name: string; state: 'created' | 'retry' | 'active' | 'failed'; jobs: number }[]
  /** What no job and no recorder is going to do, up to 500 of each kind: the sweep finds these and sends jobs. */
  leftovers: Record<'unrecorded' | 'never_made' | 'unfinished' | 'uncovered' | 'uncopied', number>
}

/** Reads all of it. The counts go over whole tables, so ask every some seconds, not for every request. */
export async function readMetrics(db: Database, now: Date): Promise<Metrics> {
  const byStatus = await db.execute<{ status: RecordingStatus; recordings: number; alerts: number }>(sql`
    select status, count(*)::int as recordings, count(coverage_alert_at)::int as alerts from recordings group by status`)
  const failed = await db.execute<{ ending: string; recordings: number }>(sql`
    select coalesce(ending, 'unknown') as ending, count(*)::int as recordings
    from recordings where status = 'failed' group by 1 order by 1`)
  const counted = new Map(byStatus.map(row => [row.status, row.recordings]))
  return {
    recordings: Object.fromEntries(
      RECORDING_STATUSES.map(status => [status, counted.get(status) ?? 0]),
    ) as Metrics['recordings'],
    notRecorded: Object.fromEntries(failed.map(row => [row.ending, row.recordings])),
    coverageAlerts: byStatus.reduce((sum, row) => sum + row.alerts, 0),
    ...(await readAttempts(db)),
    jobs: await readJobs(db),
    leftovers: {
      unrecorded: (await findUnrecorded(db)).length,
      never_made: (await findNeverMade(db, now)).length,
      unfinished: (await findUnfinished(db)).length,
      uncovered: (await findUncovered(db)).length,
      uncopied: (await findUncopied(db)).length,
    },
  }
}

// By the database's clock throughout: the rows carry it.
async function readAttempts(db: Database): Promise<Pick<Metrics, 'attemptsLiving' | 'waitingSeconds'>> {
  const [row] = await db.execute<{ living: number } & Waiting>(sql`
    with waiting (what, since) as (
      select 'segment', coalesce(
        (select stored_at from segments where attempt_id = attempts.id order by number desc limit 1), admitted_at)
      from attempts where ended_at is null and admitted_at is not null
      union all
      select 'join', meetings.starts_at from recordings join meetings on meetings.id = recordings.meeting_id
      where recordings.status in ('pending', 'joining') and meetings.status <> 'cancelled'
      union all select 'rejoin', updated_at from recordings where status = 'interrupted'
      union all select 'finish', updated_at from recordings where status = 'finishing'
      union all select 'drive', available_at from recordings where drive_status = 'pending'
      union all select 'audit', at from audit_pending
      union all select 'job', start_after from pgboss.job where state in ('created', 'retry')
    ), longest as (
      select what, greatest(0, extract(epoch from now() - min(since)))::float8 as seconds from waiting group by what
    )
    select (select count(*)::int from attempts where ended_at is null) as living,
      ${sql.join(
        WAITING.map(
          what =>
            sql`coalesce((select seconds from longest where what = ${what}), 0) as ${sql.identifier(what)}`,
        ),
        sql`, `,
      )}`)
  if (!row) throw new Error('the database did not say what waits')
  const { living, segment, join, rejoin, finish, drive, job, audit } = row
  return { attemptsLiving: living, waitingSeconds: { segment, join, rejoin, finish, drive, job, audit } }
}

const WAITING = [
  'segment',
  'join',
  'rejoin',
  'finish',
  'drive',
  'job',
  'audit',
] as const satisfies (keyof Waiting)[]

async function readJobs(db: Database): Promise<Metrics['jobs']> {
  const rows = await db.execute<Metrics['jobs'][number]>(sql`
    select name, state::text as state, count(*)::int as jobs from pgboss.job
    where state in ('created', 'retry', 'active', 'failed') group by 1, 2 order by 1, 2`)
  return [...rows]
}
