// Facts + limits + now → stay or an ending. Leaving needs two signals that agree; unknown never means alone (DESIGN.md §5).
import type { Ending } from '../../db/endings.ts'
import type { PeopleReading } from './people.ts'

/** What is known about the call at one moment. */
export interface CallFacts {
  at: number
  /** `unknown`: the page could not be read, or it was reconnecting. */
  people: PeopleReading | 'unknown'
  /** The page itself says that only we are there. */
  onlyOneHere: boolean
  /** Sound since the last facts; without a sound meter, whether any audio track is alive (never `yes` then). */
  sound: 'yes' | 'no' | 'unknown'
  /** Google's own record shows somebody else in the conference. */
  googleSaysSomebody: boolean | 'unknown'
}

export interface LeaveLimits {
  nobodyCameMs: number
  everyoneLeftMs: number
  onlyBotsMs: number
}

/** `company`: people are there. `unsure`: the signals are too few or contradict each other. */
export type Verdict = 'company' | 'alone' | 'only_bots' | 'unsure'

export interface CallMemory {
  /** The scheduled start, or when the bot came in if nothing is scheduled; the patience starts here. */
  startsAt: number
  lastAt: number
  verdict: Verdict
  /** When somebody was last there; null before anybody was. */
  companyAt: number | null
  /** How long it has agreed that nobody is there, since the start and without counting unsure moments. */
  aloneForMs: number
}

/** @param sawPeople an earlier attempt at this meeting has already met somebody */
export function startMemory(now: number, scheduledStart: number | null, sawPeople: boolean): CallMemory {
  const startsAt = scheduledStart ?? now
  return {
    startsAt,
    lastAt: now,
    verdict: 'unsure',
    companyAt: sawPeople ? Math.max(now, startsAt) : null,
    aloneForMs: 0,
  }
}

/** Are people there? Counting may fail on either place of the page, so tiles and people chip are two signals. */
export function judge({ people, onlyOneHere, sound, googleSaysSomebody }: CallFacts): Verdict {
  const seen = people === 'unknown' ? null : people.seen
  const chipOthers = people === 'unknown' ? null : people.chipOthers
  const bots = seen?.filter(person => person.bot).length ?? 0
  if (seen !== null && seen.length > bots) return 'company'
  if (chipOthers !== null && chipOthers > bots) return 'company'
  // Google's record lags by a minute and Meet's own chimes are sound: both only hold a verdict back.
  if (googleSaysSomebody === true || sound === 'yes') return 'unsure'
  const saysAlone = [
    seen !== null,
    chipOthers !== null,
    onlyOneHere,
    sound === 'no',
    googleSaysSomebody === false,
  ].filter(Boolean).length
  // Silence and an empty chip may both come of a page that broke; a reading of people must be among the two.
  if (saysAlone < 2 || (seen === null && chipOthers === null && googleSaysSomebody !== false)) return 'unsure'
  return bots > 0 ? 'only_bots' : 'alone'
}

/** Between two looks no more than this counts: a recorder that stood still has seen nothing meanwhile. */
const MOST_BETWEEN_LOOKS_MS = 30_000

/** Adds the facts of one moment. Time counts as alone only between two moments that both say so. */
export function remember(memory: CallMemory, facts: CallFacts): CallMemory {
  const verdict = judge(facts)
  if (verdict === 'company')
    return { ...memory, verdict, lastAt: facts.at, companyAt: facts.at, aloneForMs: 0 }
  const wasAlone = memory.verdict === 'alone' || memory.verdict === 'only_bots'
  const counted = wasAlone && verdict !== 'unsure' ? facts.at - Math.max(memory.lastAt, memory.startsAt) : 0
  const countedMs = Math.min(MOST_BETWEEN_LOOKS_MS, Math.max(0, counted))
  return { ...memory, verdict, lastAt: facts.at, aloneForMs: memory.aloneForMs + countedMs }
}

/** Stay, or the ending with which to leave now. @param hardStopAt the longest call ends here, whoever is still there */
export function whenToLeave(
  memory: CallMemory,
  limits: LeaveLimits,
  hardStopAt: number,
  now: number,
): 'stay' | Ending {
  if (now >= hardStopAt) return 'longest_call_reached'
  const { verdict, companyAt, aloneForMs, startsAt } = memory
  if (verdict === 'company' || verdict === 'unsure') return 'stay'
  const patienceMs = verdict === 'only_bots' ? limits.onlyBotsMs : limits.everyoneLeftMs
  // People who looked in before the start are expected back.
  if (companyAt === null || companyAt < startsAt) {
    if (now - startsAt < limits.nobodyCameMs || aloneForMs < Math.min(patienceMs, limits.nobodyCameMs))
      return 'stay'
    return companyAt === null ? 'nobody_came' : 'everyone_left'
  }
  if (aloneForMs < patienceMs) return 'stay'
  return verdict === 'only_bots' ? 'only_bots_left' : 'everyone_left'
}
