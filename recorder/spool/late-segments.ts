import { hostname } from 'node:os'
import { finishAnew, lockRecording } from '../../db/attempts.ts'
import type { Transaction } from '../../db/connect.ts'
import type { OpenJobs } from '../../db/jobs.ts'
import { segments } from '../../db/schema.ts'
import type { SegmentOwner } from './segment-queue.ts'

const ROWS_AT_ONCE = 500

/**
 * Rows for segments that come late, and what follows from them: a recording that was final and gets pictures is finished
 * anew. One that is being finished finds them by itself; one still being recorded gets there.
 * @returns how many had no row before
 */
export async function addLateSegments(
  tx: Transaction,
  jobs: OpenJobs,
  { recordingId, attemptNumber }: SegmentOwner,
  rows: (typeof segments.$inferInsert)[],
): Promise<number> {
  const recording = await lockRecording(tx, recordingId)
  if (!recording) throw new Error(`recording ${recordingId} is not there`)
  const added: number[] = []
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const some = await tx
      .insert(segments)
      .values(rows.slice(at, at + ROWS_AT_ONCE))
      .onConflictDoNothing()
      .returning({ number: segments.number })
    added.push(...some.map(({ number }) => number))
  }
  const facts = {
    actor: `recorder:${hostname()}:${process.pid}`,
    detail: { lateSegments: added.length, attempt: attemptNumber },
  }
  if (added.some(number => number > 0) && (await finishAnew(tx, recordingId, facts)))
    await jobs.send(tx, 'finish-recording', { recordingId }, { key: recordingId })
  return added.length
}
