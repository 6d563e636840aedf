import { type Clock, repeat } from '../../clock.ts'
import type { Database } from '../../db/connect.ts'
import { purgeRequests } from '../../db/idempotency.ts'
import type { Log } from '../../log.ts'

const LOOK_EVERY_MS = 600_000
const AT_ONCE = 1000

/** Removes answers that are kept no longer, until closed. Any number of processes may do so side by side. */
export function startForgetting(deps: { db: Database; clock: Clock; log: Log }): {
  close(graceMs: number): Promise<void>
} {
  const { db, clock, log } = deps
  return repeat(
    LOOK_EVERY_MS,
    async () => ((await purgeRequests(db, new Date(clock.now()), AT_ONCE)) === AT_ONCE ? 'at_once' : 'pause'),
    error => log.error({ error }, 'answers of old requests could not be removed'),
  )
}
