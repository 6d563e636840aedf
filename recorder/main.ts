// The recorder process: takes due jobs, one child process for each meeting, and stops in order.
import { join } from 'node:path'
import { systemClock, within } from '../clock.ts'
import { type Config, readConfig, SettingsRefused } from '../config.ts'
import { startAuditChaining } from '../db/audit-notes.ts'
import { DatabaseUnusable, migrateDatabase, openDatabase } from '../db/connect.ts'
import { type DatabaseClock, openDatabaseClock } from '../db/database-clock.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { openJobs } from '../db/jobs.ts'
import { createGoogle } from '../google/google.ts'
import { createLog, type Log } from '../log.ts'
import { createStore } from '../storage/s3.ts'
import { EXPECTED_BYTES, expectedCores, mayBegin, UNMEASURED, watchLoad } from './admission.ts'
import { takeLeftovers } from './spool/leftovers.ts'
import { createVisits, type Visits } from './visits.ts'
import { watchAttempts } from './watch-attempts.ts'
import { workOnJobs } from './work-on-jobs.ts'

const STOP_LIMIT_MS = 900_000
const LEFTOVERS_EVERY_MS = 5_000
const MEASURE_EVERY_MS = 60_000

async function main(config: Config): Promise<void> {
  const name = `${config.recorder.host}:${process.pid}`
  const log = createLog(config.logLevel, { process: 'recorder', recorder: name })
  await using server = config.databaseUrl ? undefined : await startEmbeddedPostgres(config.dataDir)
  const databaseUrl = config.databaseUrl ?? server?.url ?? ''
  await migrateDatabase(databaseUrl)
  await using database = openDatabase(databaseUrl, { prepared: true })
  const jobs = await openJobs(databaseUrl, error => log.error({ error }, 'the job queue complains'))
  const store = createStore(config.storage, log)
  const google = createGoogle(config.google, { log, clock: systemClock })
  const clock = await openDatabaseClock(database.db)
  const deps = { config, db: database.db, databaseUrl, jobs, store, google, clock, log, name }
  const chaining = startAuditChaining({ db: database.db, log })
  const stopping = new AbortController()
  const draining = new AbortController()
  const untilStop = new Promise<string>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
  const load = watchLoad(clock, stopping.signal)
  const limits = {
    slots: config.recorder.slots,
    coresOfOne: expectedCores(config.recorder),
    bytesOfOne: EXPECTED_BYTES,
  }
  const visits = createVisits(deps, running =>
    mayBegin(config.recorder.admission === 'load' ? load.now() : UNMEASURED, running, limits),
  )
  const watching = Promise.all([
    load.over,
    visits.takeUntil(draining.signal),
    watchAttempts(deps, stopping.signal),
    keepTakingLeftovers(deps, visits, stopping.signal),
    keepMeasuring(clock, log, stopping.signal),
  ])
  await workOnJobs(deps, stopping.signal)
  process.stdout.write(`Testigo's recorder ${name} is ready, ${config.recorder.slots} at once\n`)

  const signal = await untilStop
  log.info({ signal, recording: visits.count() }, 'recorder stops')
  draining.abort()
  if (signal === 'SIGINT') visits.leave('recorder_stopped')
  else await drain(visits, config.recorder.drainMs, log)
  await visits.settled()
  stopping.abort('recorder_stopped')
  await watching
  await jobs.close(STOP_LIMIT_MS)
  await chaining.close()
  log.info({}, 'recorder stopped')
}

/**
 * The end by order of a platform: calls go on here until they end or until `drainMs` are over; then others are called to
 * take over. A second signal, of either kind, leaves the calls at once.
 */
async function drain(visits: Visits, drainMs: number, log: Log): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => visits.leave('recorder_stopped'))
  await within(drainMs, visits.settled())
  try {
    await visits.handOver()
  } catch (error) {
    log.error({ error }, 'nobody could be called to take over; the calls are recorded here until they end')
  }
}

/** What a child that died, or an earlier process on this disk, could not bring to the bucket. */
async function keepTakingLeftovers(
  deps: Omit<Parameters<typeof takeLeftovers>[0], 'prefix' | 'workRoot'> & { config: Config },
  visits: Visits,
  signal: AbortSignal,
): Promise<void> {
  const { config, clock } = deps
  const workRoot = join(config.dataDir, 'work')
  const isOwnChild = (pid: number) => visits.pids().includes(pid)
  while (!signal.aborted) {
    await takeLeftovers({ ...deps, prefix: config.storage.prefix, workRoot, isOwnChild, signal }).catch(
      (error: unknown) => deps.log.error({ error }, 'what dead recordings left cannot be looked for'),
    )
    await clock.sleep(LEFTOVERS_EVERY_MS, signal).catch(() => undefined)
  }
}

async function keepMeasuring(clock: DatabaseClock, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(MEASURE_EVERY_MS, signal).catch(() => undefined)
    await clock
      .measure()
      .catch((error: unknown) => log.warn({ error }, 'the database does not tell its time'))
  }
}

try {
  await main(readConfig(process.env))
} catch (error) {
  const plain = error instanceof SettingsRefused || error instanceof DatabaseUnusable
  process.stderr.write(
    `${plain ? error.message : `The recorder cannot run: ${(error as Error).stack ?? String(error)}`}\n`,
  )
  process.exitCode = 1
}
