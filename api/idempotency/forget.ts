import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, within } from '../../clock.ts'
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
  const stopping = new AbortController()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        while ((await purgeRequests(db, new Date(clock.now()), AT_ONCE)) === AT_ONCE)
          stopping.signal.throwIfAborted()
      } catch (error) {
        if (!stopping.signal.aborted) log.error({ error }, 'answers of old requests could not be removed')
      }
      await delay(LOOK_EVERY_MS, undefined, { signal: stopping.signal }).catch((error: unknown) => {
        if (!stopping.signal.aborted) throw error
      })
    }
  }

  const running = run()
  return {
    async close(graceMs) {
      stopping.abort()
      await within(graceMs, running)
    },
  }
}
