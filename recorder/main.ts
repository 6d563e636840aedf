// The recorder process: takes due jobs, one child process for each meeting, and stops in order.
import { hostname } from 'node:os'
import { systemClock } from '../clock.ts'
import { type Config, readConfig, SettingsRefused } from '../config.ts'
import { migrateDatabase, openDatabase } from '../db/connect.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { openJobs } from '../db/jobs.ts'
import { createGoogle } from '../google/google.ts'
import { createLog } from '../log.ts'
import { createStore } from '../storage/s3.ts'
import { copyToDrive } from './copy-to-drive.ts'
import { finishRecording } from './finish-recording.ts'
import { recordMeeting } from './record-meeting.ts'
import { sweep } from './sweep.ts'

const POLL_MS = 500
const STOP_LIMIT_MS = 900_000

async function main(config: Config): Promise<void> {
  const name = `${hostname()}:${process.pid}`
  const log = createLog(config.logLevel, { process: 'recorder', recorder: name })
  await using server = config.databaseUrl ? undefined : await startEmbeddedPostgres(config.dataDir)
  const databaseUrl = config.databaseUrl ?? server?.url ?? ''
  await migrateDatabase(databaseUrl)
  await using database = openDatabase(databaseUrl)
  const jobs = await openJobs(databaseUrl, error => log.error({ error }, 'the job queue complains'))
  const store = createStore(config.storage, log)
  const google = createGoogle(config.google, { log, clock: systemClock })
  const deps = { config, db: database.db, databaseUrl, jobs, store, google, clock: systemClock, log, name }

  const stopping = new AbortController()
  const untilStop = new Promise<string>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
  await jobs.work(
    'record-meeting',
    { atOnce: config.recorder.slots, pollMs: POLL_MS },
    ({ meetingId }, job) => recordMeeting(deps, meetingId, AbortSignal.any([stopping.signal, job.signal])),
  )
  await jobs.work('finish-recording', { atOnce: 1, pollMs: POLL_MS }, ({ recordingId }, job) =>
    finishRecording(deps, recordingId, AbortSignal.any([stopping.signal, job.signal])),
  )
  await jobs.work('copy-to-drive', { atOnce: 1, pollMs: POLL_MS }, ({ recordingId }, job) =>
    copyToDrive(deps, recordingId, AbortSignal.any([stopping.signal, job.signal])),
  )
  await jobs.work('sweep', { atOnce: 1, pollMs: 5000 }, () => sweep(deps))
  await jobs.schedule('sweep', '* * * * *')
  process.stdout.write(`Testigo's recorder ${name} is ready, ${config.recorder.slots} at once\n`)

  const signal = await untilStop
  log.info({ signal }, 'recorder stops')
  stopping.abort('recorder_stopped')
  await jobs.close(STOP_LIMIT_MS)
  log.info({}, 'recorder stopped')
}

try {
  await main(readConfig(process.env))
} catch (error) {
  process.stderr.write(
    `${error instanceof SettingsRefused ? error.message : `The recorder cannot run: ${(error as Error).stack ?? String(error)}`}\n`,
  )
  process.exitCode = 1
}
