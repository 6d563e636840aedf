import { ENDINGS, type Ending } from '../db/endings.ts'

/** What comes after an attempt. */
export type NextStep =
  | { kind: 'again'; delaySeconds: number }
  | { kind: 'finish' }
  | { kind: 'not_held' }
  | { kind: 'failed' }

export interface AttemptHistory {
  /** Endings of all attempts of one lane so far, first to last. */
  endings: readonly Ending[]
  /** Is there any picture of the call yet? */
  hasMedia: boolean
  /** Was a bot ever let into the call? */
  wasIn: boolean
  now: number
  /** Scheduled end, milliseconds since the epoch. */
  endsAt: number
  /** Nobody records past this moment. */
  hardStopAt: number
}

interface Persistence {
  /** How often this ending may be answered with another attempt. */
  times: number
  delaySeconds: number
}

// A person's "no" is asked once more, a closed door a few times.
const PERSISTENCE: Partial<Record<Ending, Persistence>> = {
  removed_from_call: { times: 1, delaySeconds: 2 },
  join_denied: { times: 1, delaySeconds: 60 },
  waiting_room_timeout: { times: 3, delaySeconds: 5 },
  cannot_join: { times: 3, delaySeconds: 30 },
  meeting_full_or_locked: { times: Number.POSITIVE_INFINITY, delaySeconds: 30 },
  unknown_screen: { times: 20, delaySeconds: 10 },
  put_out_of_empty_call: { times: Number.POSITIVE_INFINITY, delaySeconds: 30 },
}
// A part of ours or a connection that broke is tried at once, then less and less often, as long as the meeting lasts.
const DELAYS_SECONDS = [0, 0, 1, 2, 5, 10, 15, 20, 30]

function persistence(last: Ending, endings: readonly Ending[]): Persistence {
  const inARow = endings.length - 1 - endings.findLastIndex(ending => ending !== last)
  const delaySeconds = DELAYS_SECONDS[Math.min(inARow - 1, DELAYS_SECONDS.length - 1)] ?? 0
  return PERSISTENCE[last] ?? { times: Number.POSITIVE_INFINITY, delaySeconds }
}

/**
 * Decides what follows an attempt: another one while the meeting may still be on, the finishing of what was recorded,
 * or the final word that nothing was.
 */
export function nextStep(history: AttemptHistory): NextStep {
  const { endings, hasMedia, wasIn, now, endsAt, hardStopAt } = history
  const last = endings.at(-1)
  if (last === undefined) return { kind: 'again', delaySeconds: 0 }
  const facts = ENDINGS[last]
  if (facts.tryAgain) {
    const { times, delaySeconds } = persistence(last, endings)
    // A call that overruns is still going on; one that the bot never got into is only knocked at until its end.
    const until = wasIn && facts.scope !== 'meeting' ? hardStopAt : endsAt
    const answered = endings.filter(ending => ending === last).length - 1
    if (now + delaySeconds * 1000 < until && answered < times) return { kind: 'again', delaySeconds }
  }
  // An empty room that was recorded while the bot waited is no recording of a meeting.
  if (last === 'nobody_came') return { kind: 'not_held' }
  if (hasMedia) return { kind: 'finish' }
  return facts.held === 'no' ? { kind: 'not_held' } : { kind: 'failed' }
}
