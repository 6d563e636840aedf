import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'

/** How the bucket and the database are tried again. */
export interface Patience {
  /** Before the second try; doubles up to `mostWaitMs`. Every wait is shortened by up to half, at random. */
  firstWaitMs: number
  mostWaitMs: number
  /** How long one upload may take: a server that accepts and never answers is given up then, and asked again. */
  uploadTryMs(sizeBytes: number): number
  /** How long the writing of a row may take. */
  rowTryMs: number
}

/** 100 kB/s is slower than any line that could carry the call itself. */
export const PATIENCE: Patience = {
  firstWaitMs: 500,
  mostWaitMs: 15_000,
  uploadTryMs: sizeBytes => 20_000 + sizeBytes / 100,
  rowTryMs: 30_000,
}

/** Says what fails, without a line for each try. */
export interface Trouble {
  met(error: unknown): void
  over(): void
}

const SAY_EVERY_MS = 60_000

/**
 * At once when something fails for the first time, then once a minute until it is over. What no repetition mends (no
 * such bucket, not allowed) is an error from the start: a person must act; the rest becomes one after a minute.
 */
export function reportTrouble(log: Log, what: string): Trouble {
  let failures = 0
  let sinceMs = 0
  let saidAtMs = 0
  return {
    met(error) {
      const nowMs = performance.now()
      if (failures++ === 0) sinceMs = nowMs
      else if (nowMs - saidAtMs < SAY_EVERY_MS) return
      saidAtMs = nowMs
      const fields = { error, failures, sinceSeconds: Math.round((nowMs - sinceMs) / 1000) }
      const needsPerson = (error as { retryable?: unknown }).retryable === false
      if (failures === 1 && !needsPerson) log.warn(fields, `${what}: it is tried again until it works`)
      else log.error(fields, `${what}: it is tried again until it works`)
    },
    over() {
      if (failures > 0)
        log.info({ failures, sinceSeconds: (performance.now() - sinceMs) / 1000 }, `${what}: over`)
      failures = 0
    },
  }
}

/** Does the work until it succeeds; rejects only with the signal's reason. */
export async function tryAgain<T>(
  work: () => Promise<T>,
  {
    patience,
    trouble,
    clock,
    signal,
  }: { patience: Patience; trouble: Trouble; clock: Clock; signal: AbortSignal },
): Promise<T> {
  for (let ceilingMs = patience.firstWaitMs; ; ceilingMs = Math.min(ceilingMs * 2, patience.mostWaitMs)) {
    signal.throwIfAborted()
    try {
      const result = await work()
      trouble.over()
      return result
    } catch (error) {
      signal.throwIfAborted()
      trouble.met(error)
    }
    await clock.sleep(ceilingMs / 2 + (Math.random() * ceilingMs) / 2, signal)
  }
}
