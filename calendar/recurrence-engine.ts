import { RRuleTemporal } from 'rrule-temporal'
import type { RecurrenceRule } from './recurrence-rule.ts'

/**
 * When the meetings of a series start: `start` is the first, the others keep its wall-clock time in `timeZone`, also
 * over daylight saving. A day that a month does not have (31st, 29 February) and a time that daylight saving skips
 * have no meeting, and do not count (RFC 5545 §3.3.10).
 */
export interface Recurrence {
  /** Whole seconds. */
  start: Date
  /** IANA name. */
  timeZone: string
  rule: RecurrenceRule
  /** Starts that the rule makes and that do not take place, ascending. */
  exceptions: readonly Date[]
}

/** 24 hours. */
export const DAY_MS = 86_400_000
const PIECE_MS = 366 * DAY_MS
// Periods of the rule that are looked through for the next occurrence before it counts as having none.
const MOST_PERIODS = 5000

/** What the rule makes, exceptions not taken out; piece by piece, so that whoever has enough may stop. */
export function* generatedBetween(recurrence: Recurrence, from: Date, to: Date): Generator<Date> {
  const engine = engineOf(recurrence)
  for (let at = Math.max(from.getTime(), recurrence.start.getTime()); at < to.getTime(); at += PIECE_MS) {
    const end = Math.min(at + PIECE_MS, to.getTime())
    // The engine takes both ends in.
    yield* engine.between(new Date(at), new Date(end - 1), true).map(toDate)
  }
}

/** The first that the rule makes at or after `from` (only after, unless `inclusive`), exceptions not taken out. */
export function generatedNext(recurrence: Recurrence, from: Date, inclusive: boolean): Date | undefined {
  const next = within(() => engineOf(recurrence).next(from, inclusive))
  return next ? toDate(next) : undefined
}

/** The last that a rule with an UNTIL makes at or before `to` (only before, unless `inclusive`), exceptions not taken out. */
export function generatedBefore(recurrence: Recurrence, to: Date, inclusive: boolean): Date | undefined {
  const before = within(() => engineOf(recurrence).previous(to, inclusive))
  return before && before.epochMilliseconds >= recurrence.start.getTime() ? toDate(before) : undefined
}

/**
 * All that a rule with a COUNT makes, exceptions not taken out; for such a rule the engine begins at the start again
 * whatever it is asked. Undefined for other rules, and for one whose end is out of reach.
 */
export function generatedByCount(recurrence: Recurrence): readonly Date[] | undefined {
  if (recurrence.rule.count === undefined) return undefined
  if (!counted.has(recurrence))
    counted.set(
      recurrence,
      within(() => engineOf(recurrence).all().map(toDate)),
    )
  return counted.get(recurrence)
}
const counted = new WeakMap<Recurrence, readonly Date[] | undefined>()

type Engine = RRuleTemporal
type Occurrence = NonNullable<ReturnType<Engine['next']>>
// Expanding one series asks several times; a rule is parsed anew only when it changed.
const engines = new WeakMap<Recurrence, Engine>()

function engineOf(recurrence: Recurrence): Engine {
  const known = engines.get(recurrence)
  if (known) return known
  const { start, timeZone, rule } = recurrence
  const { count, until, months, monthDays, days, positions } = rule
  const zoned = (at: Date, zone: string) => ({
    timeZoneId: zone,
    toString: () => `${at.toISOString()}[${zone}]`,
  })
  const engine = new RRuleTemporal({
    freq: rule.frequency,
    interval: rule.interval,
    wkst: rule.weekStart,
    dtstart: zoned(start, timeZone),
    tzid: timeZone,
    maxIterations: MOST_PERIODS,
    ...(count !== undefined && { count }),
    ...(until && { until: zoned(until, 'UTC') }),
    ...(months.length > 0 && { byMonth: [...months] }),
    ...(monthDays.length > 0 && { byMonthDay: [...monthDays] }),
    ...(days.length > 0 && { byDay: days.map(({ day, ordinal }) => `${ordinal || ''}${day}`) }),
    ...(positions.length > 0 && { bySetPos: [...positions] }),
  })
  engines.set(recurrence, engine)
  return engine
}

/** The same with other exceptions; what was worked out of its rule is kept. */
export function withExceptions(recurrence: Recurrence, exceptions: readonly Date[]): Recurrence {
  const made = { ...recurrence, exceptions }
  engines.set(made, engineOf(recurrence))
  if (counted.has(recurrence)) counted.set(made, counted.get(recurrence))
  return made
}

/** Undefined for a rule of which nothing comes within {@link MOST_PERIODS}, such as a 30 February. */
function within<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && /^Maximum \w+ \(\d+\) exceeded/.test(error.message)) return undefined
    throw error
  }
}

function toDate(at: Occurrence): Date {
  return new Date(at.epochMilliseconds)
}
