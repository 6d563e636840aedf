import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { Google } from '../google/google.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'
import { copyToDrive } from './copy-to-drive.ts'
import { finishRecording } from './finish-recording.ts'
import { importNative } from './import-native.ts'
import { readConference } from './read-conference.ts'
import { applyRetention } from './retention.ts'
import { sweep } from './sweep.ts'

const EVERY_MINUTE = '* * * * *'
/** UTC: at night in America. */
const RETENTION_CRON = '23 7 * * *'

/**
 * Works on everything that recorders do beside recording, until the queue is closed, and has done by the clock what is due
 * every minute or every day.
 * @param stopping aborts what is being worked on
 */
export async function workOnJobs(
  deps: {
    config: Config
    db: Database
    jobs: OpenJobs
    store: Store
    google: Google
    clock: Clock
    log: Log
  },
  stopping: AbortSignal,
): Promise<void> {
  const { jobs, google } = deps
  const until = (job: { signal: AbortSignal }) => AbortSignal.any([stopping, job.signal])
  await jobs.work('finish-recording', { atOnce: 1 }, ({ recordingId }, job) =>
    finishRecording(deps, recordingId, until(job)),
  )
  await jobs.work('copy-to-drive', { atOnce: 1 }, ({ recordingId }, job) =>
    copyToDrive(deps, recordingId, until(job)),
  )
  await jobs.work('read-conference', { atOnce: 2 }, async (payload, job) => {
    await readConference(deps, payload, until(job))
  })
  await jobs.work('import-native', { atOnce: 1, pollMs: 5000 }, async (payload, job) => {
    await importNative(deps, payload, until(job))
  })
  await jobs.work('sweep', { atOnce: 1, pollMs: 5000 }, (_, job) => sweep(deps, until(job)))
  await jobs.schedule('sweep', EVERY_MINUTE)
  await jobs.work('retention', { atOnce: 1, pollMs: 30_000 }, async (_payload, job) => {
    await applyRetention({ ...deps, driveRemoval: google.driveRemoval }, until(job))
  })
  await jobs.schedule('retention', RETENTION_CRON)
}
