import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { endMeeting, moveRecording } from '../db/recordings.ts'
import { findNeverMade, findUncopied, findWaiting } from '../db/stalled.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'
import { clearOldBrowsers, clearOldWork } from './clear-work.ts'
import { compareWithBucket } from './compare-bucket.ts'
import { sendOwed } from './send-owed.ts'

const WAITED_TOO_LONG_SECONDS = 20

/**
 * The job `sweep`, once a minute: whatever waits for a job that does not exist gets one, a meeting that was over before
 * Google gave it a link ends as `missed`, and rows and bucket are compared. Nothing stays in between for ever.
 */
export async function sweep(
  deps: {
    config: Config
    db: Database
    jobs: OpenJobs
    store: Store
    clock: Clock
    log: Log
  },
  signal: AbortSignal,
): Promise<void> {
  const { db, jobs, clock, log } = deps
  await sendOwed(deps)
  const waiting = await findWaiting(db, WAITED_TOO_LONG_SECONDS)
  if (waiting.length > 0)
    log.error(
      { meetings: waiting.length, first: waiting[0] },
      'MEETINGS WAIT FOR A RECORDER: start more recorders',
    )
  for (const { recordingId } of await findUncopied(db)) {
    log.warn({ recording: recordingId }, 'a recording had no job to copy it')
    await db.transaction(tx => jobs.send(tx, 'copy-to-drive', { recordingId }, { key: recordingId }))
  }
  for (const { recordingId, meetingId } of await findNeverMade(db, new Date(clock.now()))) {
    log.error({ meeting: meetingId, ending: 'missed' }, 'MEETING NOT RECORDED')
    await db.transaction(async tx => {
      await moveRecording(tx, recordingId, 'failed', { actor: 'job:sweep', ending: 'missed' })
      await endMeeting(tx, meetingId, null)
    })
  }
  await compareWithBucket(deps, signal)
  const cleared = [
    ...(await clearOldWork(join(deps.config.dataDir, 'work'), Date.now())),
    ...(await clearOldBrowsers(tmpdir(), Date.now())),
  ]
  if (cleared.length > 0)
    log.info({ cleared: cleared.length }, 'files of processes that died are cleared away')
}
