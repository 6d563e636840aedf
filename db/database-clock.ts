import { sql } from 'drizzle-orm'
import { type Clock, systemClock } from '../clock.ts'
import type { Queryable } from './connect.ts'

/** The database's clock, carried on by this process's monotonic one: steps of this machine's clock do not move it. */
export interface DatabaseClock extends Clock {
  /** Milliseconds to add to this machine's wall clock, as it stood when the process began, to get the database's. */
  offsetMs(): number
  /** Asks the database again; a quicker answer than before, or a database whose clock was set, corrects the offset. */
  measure(): Promise<void>
}

const SAMPLES = 3
/** A difference beyond this is no inexact measurement: the database's clock was set. */
const SET_MS = 2_000

/** Opens the clock all processes agree on. Rejects when the database does not answer. */
export async function openDatabaseClock(db: Queryable): Promise<DatabaseClock> {
  const anchorMs = Date.now() - performance.now()
  const steady = () => anchorMs + performance.now()
  let offsetMs = 0
  let bestRoundTripMs = Number.POSITIVE_INFINITY

  async function measure(): Promise<void> {
    const before = steady()
    const [row] = (await db.execute(
      sql`select extract(epoch from clock_timestamp()) * 1000 as now`,
    )) as unknown as { now: string | number }[]
    const after = steady()
    const measuredMs = Number(row?.now) - (before + after) / 2
    const wasSet = Math.abs(measuredMs - offsetMs) > SET_MS + (after - before)
    if (after - before > bestRoundTripMs && !wasSet) return
    bestRoundTripMs = after - before
    offsetMs = measuredMs
  }

  for (let sample = 0; sample < SAMPLES; sample++) await measure()
  return {
    now: () => steady() + offsetMs,
    sleep: systemClock.sleep,
    offsetMs: () => Math.round(offsetMs),
    measure,
  }
}
