import { sql } from 'drizzle-orm'
import { systemClock } from '../../clock.ts'
import { type Config, readConfig } from '../../config.ts'
import { openDatabase } from '../../db/connect.ts'
import { openJobs } from '../../db/jobs.ts'
import { createLog } from '../../log.ts'
import type { RecorderDeps } from '../../recorder/record-meeting.ts'
import { takeDue } from '../../recorder/take-due.ts'

const LOOK_MS = 500
const LIMIT_MS = 120_000

export interface HandedOut {
  meetings: number
  recorders: number
  /** From the moment in which all were due until the last attempt was open. */
  tookMs: number
}

/**
 * Lets so many meetings become due at one moment and has recorders take them as they always do (`takeDue`), except that no
 * browser is started. All recorders are in this process, each with connections of its own.
 */
export async function handOut(
  databaseUrl: string,
  env: Record<string, string>,
  { meetings, recorders }: { meetings: number; recorders: number },
): Promise<HandedOut> {
  const config = readConfig({ ...env, DATABASE_URL: databaseUrl })
  await using opened = new AsyncDisposableStack()
  const deps = await Promise.all(
    Array.from({ length: recorders }, async (_, at): Promise<RecorderDeps> => {
      const one = await openRecorder(databaseUrl, config, at)
      opened.defer(one.close)
      return one.deps
    }),
  )
  const dueAtMs = await makeDue(databaseUrl, meetings)
  let taken = 0
  let lastAtMs = dueAtMs
  await Promise.all(
    deps.map(async one => {
      while (taken < meetings) {
        const taking = await takeDue(one, () => {
          taken++
          lastAtMs = Date.now()
        })
        if (Date.now() > dueAtMs + LIMIT_MS) throw new Error(`only ${taken} of ${meetings} were handed out`)
        if (taking !== 'took') await systemClock.sleep(LOOK_MS)
      }
    }),
  )
  return { meetings, recorders, tookMs: lastAtMs - dueAtMs }
}

async function openRecorder(databaseUrl: string, config: Config, at: number) {
  const log = createLog('silent')
  const database = openDatabase(databaseUrl, { prepared: true })
  const jobs = await openJobs(databaseUrl, error => {
    throw error
  })
  const close = async () => {
    await jobs.close(0)
    await database.close()
  }
  const name = `bench-${at}:${process.pid}`
  return { close, deps: { config, db: database.db, databaseUrl, jobs, clock: systemClock, log, name } }
}

/** Moves meetings that are to come, with their jobs, to one moment in some seconds. @returns that moment */
async function makeDue(databaseUrl: string, count: number): Promise<number> {
  await using database = openDatabase(databaseUrl, { max: 1, statementTimeoutMs: 300_000 })
  const dueAt = new Date(Date.now() + 3000)
  await database.db.transaction(async tx => {
    const moved = await tx.execute<{ id: string }>(sql`
      update meetings set starts_at = ${dueAt.toISOString()}, ends_at = ${new Date(dueAt.getTime() + 3_600_000).toISOString()}
      where id in (
        select singleton_key::uuid from pgboss.job where name = 'record-meeting' and state = 'created' and start_after > now()
        order by start_after desc limit ${count}) returning id`)
    if (moved.length < count) throw new Error(`there are only ${moved.length} meetings to come`)
    await tx.execute(sql`
      update pgboss.job set start_after = ${dueAt.toISOString()}
      where name = 'record-meeting' and singleton_key = any(${`{${moved.map(({ id }) => id).join(',')}}`})`)
  })
  return dueAt.getTime()
}
