import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
/** What nobody wanted to hear for so long is dropped, so that what comes after it is heard. */
const MOST_PATIENCE_MS = 15 * 60_000

export interface Telling {
  /** Does the work after what was told before; one that fails is tried again, with growing pauses. Never throws. */
  tell(what: string, work: () => Promise<void>): void
  /** Waits at most `limitMs`; what could not be told by then is dropped, and named in the log. Never throws. */
  done(limitMs: number): Promise<void>
}

/** What a visit sees is told one after another, however slow the listener is; one that is away ends nothing. */
export function tellInOrder({ clock, log }: { clock: Clock; log: Log }): Telling {
  const noMore = new AbortController()
  let last: Promise<void> = Promise.resolve()

  async function persist(what: string, work: () => Promise<void>): Promise<void> {
    const since = clock.now()
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      try {
        await work()
        return
      } catch (error) {
        if (noMore.signal.aborted || clock.now() - since >= MOST_PATIENCE_MS) {
          log.error({ error, what }, 'could not be told')
          return
        }
        log.warn({ error, what, againInMs: pauseMs }, 'could not be told yet')
      }
      await clock.sleep(pauseMs, noMore.signal).catch((error: unknown) => {
        if (!noMore.signal.aborted) throw error
      })
    }
  }

  return {
    tell(what, work) {
      last = last.then(() => persist(what, work))
    },
    async done(limitMs) {
      const tooLate = setTimeout(() => noMore.abort(), limitMs)
      try {
        // The last try of each may itself hang on a listener that never answers.
        const given = Promise.withResolvers<void>()
        noMore.signal.addEventListener('abort', () => setTimeout(given.resolve, FIRST_PAUSE_MS), {
          once: true,
        })
        await Promise.race([last, given.promise])
      } finally {
        clearTimeout(tooLate)
      }
    },
  }
}
