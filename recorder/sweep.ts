import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { endMeeting, moveRecording } from '../db/recordings.ts'
import { findNeverMade, findUncopied } from '../db/stalled.ts'
import type { Log } from '../log.ts'
import { sendOwed } from './send-owed.ts'

/**
 * The job `sweep`, once a minute: whatever waits for a job that does not exist gets one, and a meeting that was over
 * before Google gave it a link ends as `missed`. Nothing stays in between for ever.
 */
export async function sweep(deps: {
  config: Config
  db: Database
  jobs: OpenJobs
  clock: Clock
  log: Log
}): Promise<void> {
  const { db, jobs, clock, log } = deps
  await sendOwed(deps)
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
}
