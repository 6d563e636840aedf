// node recorder/finish-for-tests.ts RECORDING [STEP]: finishes a recording as the job does, and dies of SIGKILL after
// STEP. For tests and the table of faults; the settings come from the environment, as everywhere.
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { openDatabase } from '../db/connect.ts'
import { openJobs } from '../db/jobs.ts'
import { createLog } from '../log.ts'
import { createStore } from '../storage/s3.ts'
import { FINISH_STEPS, finishRecording } from './finish-recording.ts'

const [recordingId, dieAfter] = process.argv.slice(2)
const config = readConfig(process.env)
if (!recordingId || !config.databaseUrl || (dieAfter && !FINISH_STEPS.some(step => step === dieAfter))) {
  process.stderr.write(
    `usage: DATABASE_URL=… node recorder/finish-for-tests.ts RECORDING [${FINISH_STEPS.join('|')}]\n`,
  )
  process.exit(2)
}
const log = createLog(config.logLevel, { process: 'finish' })
await using database = openDatabase(config.databaseUrl)
await using jobs = await openJobs(config.databaseUrl, error =>
  log.error({ error }, 'the job queue complains'),
)
const store = createStore(config.storage, log)
await finishRecording(
  {
    ...{ config, db: database.db, jobs, store, clock: systemClock, log },
    onStep: step => {
      if (step === dieAfter) process.kill(process.pid, 'SIGKILL')
    },
  },
  recordingId,
  new AbortController().signal,
)
store.close()
