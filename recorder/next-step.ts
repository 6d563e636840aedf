import { ENDINGS, type Ending } from '../db/endings.ts'

/** What comes after an attempt. */
export type NextStep =
  | { kind: 'again'; delaySeconds: number }
  | { kind: 'finish' }
  | { kind: 'not_held' }
  | { kind: 'failed' }

export interface AttemptHistory {
  /** Endings of all attempts so far, first to last. */
  endings: readonly Ending[]
  /** Is there any picture of the call yet? */
  hasMedia: boolean
  now: number
  /** Scheduled end, milliseconds since the epoch. */
  endsAt: number
}

interface Persistence {
  /** How often this ending may be answered with another attempt. */
  times: number
  delaySeconds: number
}

// How stubborn the bot is. A part of ours that broke is tried at once and often; a person's "no" is asked once more.
const PERSISTENCE: Partial<Record<Ending, Persistence>> = {
  removed_from_call: { times: 1, delaySeconds: 2 },
  join_denied: { times: 1, delaySeconds: 60 },
  waiting_room_timeout: { times: 3, delaySeconds: 5 },
  cannot_join: { times: 3, delaySeconds: 30 },
  meeting_full_or_locked: { times: 20, delaySeconds: 30 },
  unknown_screen: { times: 2, delaySeconds: 10 },
  page_not_reached: { times: 20, delaySeconds: 10 },
}
const OURS: Persistence = { times: 20, delaySeconds: 1 }

/**
 * Decides what follows an attempt: another one while the meeting may still be on, the finishing of what was recorded,
 * or the final word that nothing was.
 */
export function nextStep({ endings, hasMedia, now, endsAt }: AttemptHistory): NextStep {
  const last = endings.at(-1)
  if (last === undefined) return { kind: 'again', delaySeconds: 0 }
  const facts = ENDINGS[last]
  if (facts.tryAgain) {
    const { times, delaySeconds } = PERSISTENCE[last] ?? OURS
    // Waiting past the end would only knock at an empty room.
    const inTime = now + delaySeconds * 1000 < endsAt
    const answered = endings.filter(ending => ending === last).length - 1
    if (inTime && answered < times) return { kind: 'again', delaySeconds }
  }
  // An empty room that was recorded while the bot waited is no recording of a meeting.
  if (last === 'nobody_came') return { kind: 'not_held' }
  if (hasMedia) return { kind: 'finish' }
  return facts.held === 'no' ? { kind: 'not_held' } : { kind: 'failed' }
}
