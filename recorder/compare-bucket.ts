import { eq } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { finishAnew } from '../db/attempts.ts'
import type { Database } from '../db/connect.ts'
import { meetingEvents, recordings } from '../db/schema.ts'
import { findUncompared } from '../db/stalled.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'
import { findRowsWithoutObjects, rebuildSegmentRows } from './rebuild-rows.ts'

const SETTLED_FOR_MS = 120_000
const AT_ONCE = 20
const ACTOR = 'job:sweep'
const MOST_NAMED = 20

/**
 * Compares rows and bucket of recordings that were settled lately: segments without rows get them, and the video is made
 * anew with them; rows without objects are told, for they are missing as evidence. Each recording is compared once for
 * each time it was settled.
 * @param settledForMs how long a recording has been settled at least: late segments are still on their way before
 */
export async function compareWithBucket(
  deps: { config: Config; db: Database; store: Store; clock: Clock; log: Log },
  signal: AbortSignal,
  settledForMs = SETTLED_FOR_MS,
): Promise<void> {
  const { config, db, store, clock } = deps
  const { prefix } = config.storage
  const settledBefore = new Date(clock.now() - settledForMs)
  for (const recording of await findUncompared(db, settledBefore, AT_ONCE)) {
    signal.throwIfAborted()
    const log = deps.log.child({ recording: recording.id })
    const comparedAt = new Date(Math.max(clock.now(), recording.updatedAt.getTime()))
    const found = await rebuildSegmentRows({ db, store, log, prefix }, recording, signal)
    const missing = (await findRowsWithoutObjects({ db, store, prefix }, recording)).map(({ s3Key }) => s3Key)
    if (missing.length > 0) log.error({ missing: missing.length }, 'SEGMENTS ARE MISSING IN THE BUCKET')
    await db.transaction(async tx => {
      await tx.update(recordings).set({ bucketCheckedAt: comparedAt }).where(eq(recordings.id, recording.id))
      if (found > 0) await finishAnew(tx, recording.id, { actor: ACTOR, detail: { lateSegments: found } })
      if (missing.length > 0)
        await tx.insert(meetingEvents).values({
          organizationId: recording.organizationId,
          meetingId: recording.meetingId,
          actor: ACTOR,
          kind: 'recording.segments_missing',
          detail: { count: missing.length, keys: missing.slice(0, MOST_NAMED) },
        })
    })
  }
}
