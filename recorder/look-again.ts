// When Google's record of a conference is looked at again.

/** Times of looking, all in milliseconds. */
export interface Pace {
  /** From one look to the next; the last one repeats. */
  delaysMs: readonly number[]
  /** How long after the scheduled end somebody may still come back to the call. */
  afterEndMs: number
  /** How long after the end of meeting and recording nobody looks any more. */
  giveUpMs: number
}

/** Google's record is complete some seconds after the call; outages of hours are waited out. */
export const DEFAULT_PACE: Pace = {
  delaysMs: [15_000, 30_000, 60_000, 120_000, 300_000, 300_000, 600_000, 900_000, 1_800_000],
  afterEndMs: 300_000,
  giveUpMs: 24 * 3_600_000,
}

export interface LookFacts {
  /** How many looks there were before this one. */
  look: number
  now: number
  /** Scheduled end of the meeting. */
  endsAt: number
  /** When meeting and recording were both over. */
  endedAt: number
  /** The record is complete. */
  final: boolean
  /** A conference is running, as far as Google knows. */
  ongoing: boolean
  /** There is no conference. */
  empty: boolean
  /** A bot of ours was in the call: then there must be a record. */
  wasThere: boolean
}

/** The next look, or undefined when the matter is closed. */
export function nextLook(pace: Pace, facts: LookFacts): { look: number; at: number } | undefined {
  const { look, now, endsAt, endedAt, final, ongoing, empty, wasThere } = facts
  const lastTime = endsAt + pace.afterEndMs
  // People may come (back) to the call until its scheduled end, with nobody there to record them.
  if (final || (empty && !wasThere && !ongoing && now < lastTime))
    return now < lastTime ? { look: 0, at: lastTime } : undefined
  if (now >= endedAt + pace.giveUpMs) return undefined
  const delayMs = pace.delaysMs[Math.min(look, pace.delaysMs.length - 1)] ?? pace.giveUpMs
  return { look: look + 1, at: now + delayMs }
}
