import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import { findUncovered, findUnfinished, findUnrecorded, recordJobKey } from '../db/stalled.ts'
import type { Log } from '../log.ts'
import { dueAt } from './due.ts'

interface Deps {
  config: Config
  db: Database
  jobs: OpenJobs
  clock: Clock
  log: Log
}

/**
 * Sends the jobs that the rows ask for and that do not exist: who ends an attempt only writes rows, so that nothing is
 * forgotten when it dies in between. Sending one twice makes one.
 * @param recordingId only for this recording
 */
export async function sendOwed({ config, db, jobs, clock, log }: Deps, recordingId?: string): Promise<void> {
  for (const { meetingId, lane, retryAt, ...meeting } of await findUnrecorded(db, recordingId)) {
    const startAfter = new Date(Math.max(dueAt(meeting, config), retryAt?.getTime() ?? 0))
    const waits = startAfter.getTime() > clock.now()
    log.info({ meeting: meetingId, lane, ...(waits ? { startAfter } : {}) }, 'a recorder is called')
    await db.transaction(tx =>
      jobs.send(
        tx,
        'record-meeting',
        { meetingId, lane },
        { key: recordJobKey(meetingId, lane), ...(waits ? { startAfter } : {}) },
      ),
    )
  }
  for (const { recordingId: unfinished } of await findUnfinished(db, recordingId))
    await db.transaction(tx =>
      jobs.send(tx, 'finish-recording', { recordingId: unfinished }, { key: unfinished }),
    )
  for (const { recordingId: uncovered } of await findUncovered(db, recordingId))
    await db.transaction(tx =>
      jobs.send(tx, 'read-conference', { recordingId: uncovered }, { key: uncovered }),
    )
}
