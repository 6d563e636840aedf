import { countBefore, isOccurrence, lastOccurrence, nextOccurrence, type Recurrence } from './recurrence.ts'
import { type DayOfRule, RecurrenceRefused, type RecurrenceRule, WEEKDAYS } from './recurrence-rule.ts'
import {
  addDays,
  daysBetween,
  daysInMonth,
  instantAt,
  type WallTime,
  wallTimeAt,
  weekdayOf,
} from './wall-time.ts'

/**
 * Takes one meeting out of the series.
 * @throws {RecurrenceRefused} `not_an_occurrence`, `nothing_left` when it is the only one that is left
 */
export function withException(recurrence: Recurrence, originalStart: Date): Recurrence {
  refuseOther(recurrence, originalStart)
  const exceptions = [...recurrence.exceptions, originalStart].sort((a, b) => a.getTime() - b.getTime())
  const changed = { ...recurrence, exceptions }
  if (nextOccurrence(changed, changed.start) === undefined)
    throw new RecurrenceRefused('nothing_left', 'It is the only meeting of the series. Cancel the series.')
  return changed
}

/**
 * Splits a series before one of its meetings: `before` ends just before it, `following` starts with it and makes the
 * meetings that the series would have made from there on.
 * @throws {RecurrenceRefused} `not_an_occurrence`; `nothing_before` for the first meeting: change the whole series then
 */
export function splitRecurrence(
  recurrence: Recurrence,
  originalStart: Date,
): { before: Recurrence; following: Recurrence } {
  refuseOther(recurrence, originalStart)
  const { rule, exceptions } = recurrence
  const firstLeft = nextOccurrence(recurrence, recurrence.start)
  if (!firstLeft || firstLeft >= originalStart)
    throw new RecurrenceRefused('nothing_before', 'No meeting of the series comes before this one.')
  const made = rule.count === undefined ? 0 : countBefore(recurrence, originalStart)
  const counted = rule.count !== undefined
  return {
    before: {
      ...recurrence,
      rule: counted ? { ...rule, count: made } : { ...rule, until: new Date(originalStart.getTime() - 1000) },
      exceptions: exceptions.filter(at => at < originalStart),
    },
    following: {
      ...recurrence,
      start: originalStart,
      rule: counted ? { ...rule, count: (rule.count ?? 0) - made } : rule,
      exceptions: exceptions.filter(at => at > originalStart),
    },
  }
}

/** A series at other times, and where each meeting of the old one went. */
export interface MovedRecurrence {
  recurrence: Recurrence
  /** The start of a meeting of the old series in the new one; undefined when it has none (day 31 moved to day 30). */
  startOf(oldStart: Date): Date | undefined
}

/**
 * Moves all meetings of a series as its first one moves, exceptions with them. Another time of day moves any rule;
 * another day moves rules of weekdays, of every n days, and of one day of the month within its month.
 * @param timeZone of the new series; the old one's when absent
 * @throws {RecurrenceRefused} `cannot_move_day` for a rule that another day makes another rule: send that rule then
 */
export function moveRecurrence(
  recurrence: Recurrence,
  newStart: Date,
  timeZone = recurrence.timeZone,
): MovedRecurrence {
  if (newStart.getTime() % 1000 !== 0)
    throw new RecurrenceRefused('start_not_whole_seconds', 'The start of a series is a whole second.')
  const from = wallTimeAt(recurrence.start, recurrence.timeZone)
  const to = wallTimeAt(newStart, timeZone)
  const days = daysBetween(from, to)
  const { rule, dateOf } =
    days === 0 ? { rule: recurrence.rule, dateOf: same } : moveDay(recurrence.rule, from, to)
  const startOf = (oldStart: Date): Date | undefined => {
    if (oldStart.getTime() === recurrence.start.getTime()) return newStart
    const date = dateOf(wallTimeAt(oldStart, recurrence.timeZone))
    return date && instantAt({ ...date, hour: to.hour, minute: to.minute, second: to.second }, timeZone)
  }
  const last = rule.until && lastGenerated(recurrence)
  const until = last && (startOf(last) ?? endOfMonth(wallTimeAt(last, recurrence.timeZone), timeZone))
  const moved: Recurrence = {
    start: newStart,
    timeZone,
    rule: { ...rule, until },
    exceptions: recurrence.exceptions.map(startOf).filter(at => at !== undefined),
  }
  const withoutExceptions = { ...moved, exceptions: [] }
  return {
    recurrence: moved,
    startOf: oldStart => {
      const at = startOf(oldStart)
      return at && isOccurrence(withoutExceptions, at) ? at : undefined
    },
  }
}

interface MovedDay {
  rule: RecurrenceRule
  dateOf(date: WallTime): WallTime | undefined
}

const same = (date: WallTime): WallTime => date

function moveDay(rule: RecurrenceRule, from: WallTime, to: WallTime): MovedDay {
  const { frequency, days, monthDays, months, positions } = rule
  const shift = daysBetween(from, to)
  if (frequency === 'DAILY' && months.length === 0) return { ...turned(rule, shift) }
  if (frequency === 'WEEKLY') return { ...turned(rule, shift) }
  const sameMonth = from.year === to.year && from.month === to.month
  const [day, ...otherDays] = days
  const [monthDay, ...otherMonthDays] = monthDays
  const monthly = frequency === 'MONTHLY' || (frequency === 'YEARLY' && months.length > 0)
  if (sameMonth && monthly && positions.length === 0) {
    if (day === undefined && monthDay !== undefined && monthDay > 0 && otherMonthDays.length === 0)
      return {
        rule: { ...rule, monthDays: [to.day] },
        dateOf: date => (to.day <= daysInMonth(date.year, date.month) ? { ...date, day: to.day } : undefined),
      }
    if (day !== undefined && day.ordinal !== 0 && otherDays.length === 0 && monthDay === undefined) {
      const moved = nthDayOf(to, day.ordinal < 0)
      return { rule: { ...rule, days: [moved] }, dateOf: date => nthOfMonth(date, moved) }
    }
  }
  throw new RecurrenceRefused(
    'cannot_move_day',
    'This rule does not say what another day means for its other meetings. Send the new rule with the new start.',
  )
}

/** All days turned by as many, and the week with them: exactly the same pattern, some days later. */
function turned(rule: RecurrenceRule, shift: number): MovedDay {
  const turn = (day: DayOfRule['day']) => WEEKDAYS[(((WEEKDAYS.indexOf(day) + shift) % 7) + 7) % 7] ?? day
  const days = rule.days
    .map(({ day, ordinal }) => ({ day: turn(day), ordinal }))
    .sort((a, b) => WEEKDAYS.indexOf(a.day) - WEEKDAYS.indexOf(b.day))
  // With one day, or in every week, it does not matter where a week starts.
  const weekMatters = rule.frequency === 'WEEKLY' && rule.interval > 1 && days.length > 1
  const weekStart = weekMatters ? turn(rule.weekStart) : rule.weekStart
  return { rule: { ...rule, days, weekStart }, dateOf: date => addDays(date, shift) }
}

/** Which weekday of its month a date is, such as the 2nd Tuesday; from the end where asked and where it is the last. */
function nthDayOf(date: WallTime, fromEnd: boolean): DayOfRule {
  const day = WEEKDAYS[weekdayOf(date)] ?? 'MO'
  const isLast = date.day + 7 > daysInMonth(date.year, date.month)
  const nth = Math.ceil(date.day / 7)
  return { day, ordinal: isLast && (fromEnd || nth === 5) ? -1 : nth }
}

function nthOfMonth(date: WallTime, { day, ordinal }: DayOfRule): WallTime | undefined {
  const length = daysInMonth(date.year, date.month)
  const matching = Array.from({ length }, (_, index) => ({ ...date, day: index + 1 })).filter(
    each => WEEKDAYS[weekdayOf(each)] === day,
  )
  return matching.at(ordinal > 0 ? ordinal - 1 : ordinal)
}

// Exceptions too: the rule has to reach as far as it did.
function lastGenerated(recurrence: Recurrence): Date | undefined {
  return lastOccurrence({ ...recurrence, exceptions: [] })
}

function endOfMonth(date: WallTime, timeZone: string): Date {
  const day = daysInMonth(date.year, date.month)
  return instantAt({ ...date, day, hour: 23, minute: 59, second: 59 }, timeZone)
}

function refuseOther(recurrence: Recurrence, originalStart: Date): void {
  if (isOccurrence(recurrence, originalStart)) return
  throw new RecurrenceRefused(
    'not_an_occurrence',
    `The series has no meeting that starts at ${originalStart.toISOString()}.`,
  )
}
