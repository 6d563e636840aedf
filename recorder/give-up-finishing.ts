import { sql } from 'drizzle-orm'
import { appendAudit } from '../db/audit.ts'
import type { Queryable } from '../db/connect.ts'
import { moveRecording } from '../db/recordings.ts'
import type { FinishDeps } from './finish-recording.ts'

/** Has the recording's finishing job no more tries left after this one? Without a job there is no such limit. */
export async function isLastTry(db: Queryable, recordingId: string): Promise<boolean> {
  const rows = await db.execute<{ last: boolean }>(
    sql`select retry_count >= retry_limit as last from pgboss.job
        where name = 'finish-recording' and singleton_key = ${recordingId} and state = 'active'`,
  )
  return rows[0]?.last === true
}

/**
 * The recording's last word when no video can be made: `failed`, with all its segments kept. One that has a video already
 * keeps it.
 */
export async function markFinishFailed(
  { db, log }: Pick<FinishDeps, 'db' | 'log'>,
  recordingId: string,
  error: unknown,
): Promise<void> {
  const because = error instanceof Error ? error.message : String(error)
  const actor = 'job:finish-recording'
  const status = await db.transaction(async tx => {
    const [row] = await tx.execute<{ s3_key: string | null }>(
      sql`select s3_key from recordings where id = ${recordingId} for update`,
    )
    const hasVideo = typeof row?.s3_key === 'string'
    const recording = await moveRecording(tx, recordingId, hasVideo ? 'partial' : 'failed', {
      actor,
      ...(hasVideo ? {} : { ending: 'finish_failed' as const }),
      detail: { because },
    })
    await appendAudit(tx, {
      organizationId: recording.organizationId,
      actor,
      action: 'recording.finish_failed',
      subject: `recording:${recordingId}`,
      detail: { because, status: recording.status },
    })
    return recording.status
  })
  // Loud on purpose: the segments are there, and a person has to look at them.
  log.error({ error, status, ending: 'finish_failed' }, 'VIDEO NOT MADE; the segments are kept')
}
