// Google's own record of the conference, asked now and then in the background; an old or missing answer is `unknown`.
import { type Clock, withTimeout } from '../../clock.ts'
import type { Log } from '../../log.ts'

const ASK_EVERY_MS = 30_000
const ANSWER_LIMIT_MS = 10_000
const ANSWER_HOLDS_MS = 90_000

export type AskGoogle = () => Promise<boolean | 'unknown'>

/** Gives the last answer at once and asks again when it is time; never waits and never throws. */
export function createGoogleWord(
  ask: AskGoogle | undefined,
  clock: Clock,
  log: Log,
): () => boolean | 'unknown' {
  let answer: boolean | 'unknown' = 'unknown'
  let answeredAt = Number.NEGATIVE_INFINITY
  let askedAt = Number.NEGATIVE_INFINITY
  let asking = false

  return () => {
    const now = clock.now()
    if (ask && !asking && now - askedAt >= ASK_EVERY_MS) {
      asking = true
      askedAt = now
      withTimeout(ask(), ANSWER_LIMIT_MS, 'asking Google about the conference')
        .then(given => {
          answer = given
          answeredAt = clock.now()
        })
        .catch((error: unknown) => log.warn({ error }, 'Google did not say who is in the conference'))
        .finally(() => {
          asking = false
        })
    }
    return now - answeredAt <= ANSWER_HOLDS_MS ? answer : 'unknown'
  }
}
