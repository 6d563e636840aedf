// The child process of one attempt: wires the parts, visits the call, and tells the parent how it ended.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfig } from '../config.ts'
import { openDatabase } from '../db/connect.ts'
import { openDatabaseClock } from '../db/database-clock.ts'
import { createLog } from '../log.ts'
import { createStore } from '../storage/s3.ts'
import { recordAttempt } from './record-attempt.ts'
import { returnMemory } from './return-memory.ts'
import { CHILD_BEATS, type ParentMessage } from './spawn-recording.ts'
import { somethingWaits } from './spool/work-folder.ts'

const attemptId = process.argv[2]
if (!attemptId || !process.send) {
  process.stderr.write('recorder/record.ts is started by the recorder, with the id of an attempt\n')
  process.exit(2)
}

const config = readConfig(process.env)
const log = createLog(config.logLevel, { process: 'recording', attempt: attemptId })
if (!config.databaseUrl) throw new Error('the recorder gives its children the address of the database')

const abort = new AbortController()
// The first reason wins.
process.on('message', (message: ParentMessage) => abort.abort(message.ending))
// The call is still on and nothing here needs the parent: the recording goes on and writes its own end.
const onParentGone = () => log.warn({}, 'the recorder that started this recording is gone')
process.on('disconnect', onParentGone)
// The whole group gets the terminal's signals; the parent decides what they mean.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => log.debug({ signal }, 'left to the parent'))

// What loading this program left behind would stay with the call to its end.
returnMemory()
const workDir = join(config.dataDir, 'work', attemptId)
await using database = openDatabase(config.databaseUrl, { max: 2 })
const store = createStore(config.storage, log)
const clock = await openDatabaseClock(database.db)
if (process.connected) process.send(CHILD_BEATS)
const ending = await recordAttempt(
  {
    config,
    db: database.db,
    store,
    clock,
    log,
    workDir,
    signal: abort.signal,
  },
  attemptId,
  process.argv[3] === 'beside',
)
log.info({ ending }, 'attempt over')
// What did not reach the bucket is the only copy of that part of the call: recorders on this machine bring it there.
if (await somethingWaits(workDir))
  log.error({ workDir }, 'segments that could not be stored are kept on this disk')
else await rm(workDir, { recursive: true, force: true })
process.off('disconnect', onParentGone)
if (process.connected) process.disconnect()
