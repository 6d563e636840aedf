import { instantAt, readWallTime, type WallTime, wallTimeAt, weekdayOf, writeUtc } from './wall-time.ts'

export const WEEKDAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'] as const
export type Weekday = (typeof WEEKDAYS)[number]
export type Frequency = 'DAILY' | 'WEEKLY' | 'MONTHLY' | 'YEARLY'

/** A weekday, or with an ordinal the nth one of the month; negative ones count from its end. */
export interface DayOfRule {
  day: Weekday
  /** 0: every one. */
  ordinal: number
}

/**
 * An RRULE in normal form: what the start would say by default is written out (the weekday, the day of the month, the
 * month), lists are sorted and free of repeats.
 */
export interface RecurrenceRule {
  frequency: Frequency
  interval: number
  /** At most one of `count` and `until`; neither for a rule without end. */
  count: number | undefined
  /** The last start that may be. */
  until: Date | undefined
  months: readonly number[]
  monthDays: readonly number[]
  days: readonly DayOfRule[]
  positions: readonly number[]
  weekStart: Weekday
}

export type RecurrenceReason =
  | 'malformed'
  | 'no_rule'
  | 'several_rules'
  | 'unsupported_frequency'
  | 'unsupported_part'
  | 'unsupported_line'
  | 'bad_value'
  | 'count_and_until'
  | 'too_many'
  | 'until_before_start'
  | 'start_not_in_rule'
  | 'exception_not_in_rule'
  | 'start_not_whole_seconds'
  | 'unknown_time_zone'
  | 'not_an_occurrence'
  | 'nothing_before'
  | 'nothing_left'
  | 'cannot_move_day'

/** A recurrence that cannot be; the message is for the caller and says what to send instead. */
export class RecurrenceRefused extends Error {
  readonly code = 'recurrence_refused'
  readonly reason: RecurrenceReason

  constructor(reason: RecurrenceReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RecurrenceRefused'
    this.reason = reason
  }
}

const MOST_OCCURRENCES = 1000
const LARGEST_INTERVAL = 999
const LONGEST_YEARS = 100
const FREQUENCIES: readonly string[] = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY']
const PARTS = ['FREQ', 'INTERVAL', 'COUNT', 'UNTIL', 'BYMONTH', 'BYMONTHDAY', 'BYDAY', 'BYSETPOS', 'WKST']

/**
 * Reads the value of an RRULE (RFC 5545 §3.3.10) for a meeting that starts first at `start`.
 * @param start wall time of the first meeting, in `timeZone`
 * @throws {RecurrenceRefused}
 */
export function parseRule(value: string, start: WallTime, timeZone: string): RecurrenceRule {
  const parts = splitParts(value)
  const frequency = frequencyOf(parts.get('FREQ'))
  const until = untilOf(parts.get('UNTIL'), timeZone)
  const days = list(parts, 'BYDAY', dayOf)
  const rule: RecurrenceRule = {
    frequency,
    interval: integer('INTERVAL', parts.get('INTERVAL') ?? '1', 1, LARGEST_INTERVAL),
    count: countOf(parts.get('COUNT')),
    // Outlook writes a year such as 4500 for a series without end.
    until: until && wallTimeAt(until, 'UTC').year - start.year > LONGEST_YEARS ? undefined : until,
    months: numbers(parts, 'BYMONTH', 1, 12),
    monthDays: numbers(parts, 'BYMONTHDAY', 1, 31, true),
    days: [...new Map(days.map(day => [writeDay(day), day])).values()].sort(byWeekday),
    positions: numbers(parts, 'BYSETPOS', 1, 366, true),
    weekStart: weekdayNamed(parts.get('WKST') ?? 'MO', 'WKST'),
  }
  if (rule.count !== undefined && rule.until !== undefined)
    throw new RecurrenceRefused('count_and_until', 'COUNT and UNTIL exclude each other. Send one of them.')
  refuseCombinations(rule)
  return withDefaults(rule, start)
}

/** The value of the RRULE, without the name: `FREQ=WEEKLY;BYDAY=MO`. */
export function writeRule(rule: RecurrenceRule): string {
  const { frequency, interval, count, until, months, monthDays, days, positions, weekStart } = rule
  const parts: [string, string | number | undefined | false][] = [
    ['FREQ', frequency],
    ['INTERVAL', interval > 1 && interval],
    ['COUNT', count],
    ['UNTIL', until && writeUtc(until)],
    ['BYMONTH', months.join(',')],
    ['BYMONTHDAY', monthDays.join(',')],
    ['BYDAY', days.map(writeDay).join(',')],
    ['BYSETPOS', positions.join(',')],
    ['WKST', weekStart !== 'MO' && weekStart],
  ]
  return parts
    .filter(([, value]) => value !== undefined && value !== false && value !== '')
    .map(([name, value]) => `${name}=${value}`)
    .join(';')
}

function splitParts(value: string): Map<string, string> {
  const parts = new Map<string, string>()
  for (const part of value.trim().toUpperCase().replace(/;$/, '').split(';')) {
    const [, name, content] = /^([A-Z-]+)=([^=]+)$/.exec(part) ?? []
    if (name === undefined || content === undefined)
      throw new RecurrenceRefused(
        'malformed',
        `"${part.slice(0, 60)}" is not a part of an RRULE. Parts look like FREQ=WEEKLY;BYDAY=MO.`,
      )
    if (!PARTS.includes(name))
      throw new RecurrenceRefused(
        'unsupported_part',
        `${name.slice(0, 60)} is not supported in an RRULE. Use ${PARTS.join(', ')}; the time of day is that of start.`,
      )
    if (parts.has(name)) throw new RecurrenceRefused('malformed', `${name} stands twice in the RRULE.`)
    parts.set(name, content)
  }
  return parts
}

function frequencyOf(text: string | undefined): Frequency {
  if (text === undefined) throw new RecurrenceRefused('malformed', 'The RRULE has no FREQ.')
  if (!FREQUENCIES.includes(text))
    throw new RecurrenceRefused(
      'unsupported_frequency',
      `FREQ=${text.slice(0, 60)} is not supported. Use DAILY, WEEKLY, MONTHLY or YEARLY.`,
    )
  return text as Frequency
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const count = integer('COUNT', text, 1, Number.MAX_SAFE_INTEGER)
  if (count > MOST_OCCURRENCES)
    throw new RecurrenceRefused(
      'too_many',
      `COUNT is at most ${MOST_OCCURRENCES}. Leave it away for a series without end, or send UNTIL.`,
    )
  return count
}

// A date counts to its end: so Outlook and Google write it. A local time is one of the meeting's zone.
function untilOf(text: string | undefined, timeZone: string): Date | undefined {
  if (text === undefined) return undefined
  const read = readWallTime(text)
  if (!read)
    throw new RecurrenceRefused(
      'bad_value',
      `UNTIL=${text.slice(0, 60)} is not a time. Write it in UTC, such as 20261231T235959Z.`,
    )
  const { wall, kind } = read
  if (kind === 'date') return instantAt({ ...wall, hour: 23, minute: 59, second: 59 }, timeZone)
  return instantAt(wall, kind === 'utc' ? 'UTC' : timeZone)
}

function dayOf(text: string): DayOfRule {
  const [, ordinal = '', day = ''] = /^([+-]?\d{1,2})?([A-Z]{2})$/.exec(text) ?? []
  const number = ordinal === '' ? 0 : Number(ordinal)
  if (ordinal !== '' && (number === 0 || Math.abs(number) > 53)) throw badValue('BYDAY', text)
  return { day: weekdayNamed(day, 'BYDAY', text), ordinal: number }
}

function weekdayNamed(name: string, part: string, shown = name): Weekday {
  const found = WEEKDAYS.find(day => day === name)
  if (!found) throw badValue(part, shown)
  return found
}

function numbers(
  parts: Map<string, string>,
  name: string,
  least: number,
  most: number,
  signed = false,
): number[] {
  const values = list(parts, name, text => {
    const [, sign = '', digits = ''] = /^([+-]?)(\d+)$/.exec(text) ?? []
    if (digits === '' || (sign !== '' && !signed)) throw badValue(name, text)
    return (sign === '-' ? -1 : 1) * integer(name, digits, least, most)
  })
  return [...new Set(values)].sort((a, b) => a - b)
}

function list<T>(parts: Map<string, string>, name: string, read: (text: string) => T): T[] {
  return (parts.get(name)?.split(',') ?? []).map(read)
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) throw badValue(name, text)
  return value
}

function badValue(name: string, text: string): RecurrenceRefused {
  return new RecurrenceRefused('bad_value', `${name}=${text.slice(0, 60)} is not usable in an RRULE.`)
}

function refuseCombinations({ frequency, days, months, monthDays, positions }: RecurrenceRule): void {
  const refuse = (what: string) => {
    throw new RecurrenceRefused('unsupported_part', `${what} cannot stand with FREQ=${frequency}.`)
  }
  const monthly = frequency === 'MONTHLY' || frequency === 'YEARLY'
  if (!monthly && monthDays.length > 0) refuse('BYMONTHDAY')
  if (!monthly && positions.length > 0) refuse('BYSETPOS')
  if (!monthly && days.some(({ ordinal }) => ordinal !== 0)) refuse('BYDAY with an ordinal')
  if (frequency === 'WEEKLY' && months.length > 0) refuse('BYMONTH')
  if (days.some(({ ordinal }) => Math.abs(ordinal) > 5))
    throw new RecurrenceRefused('bad_value', 'No month has a weekday more than five times.')
  if (frequency === 'YEARLY' && days.length > 0 && months.length === 0) refuse('BYDAY without BYMONTH')
  if (monthDays.length > 0 && days.some(({ ordinal }) => ordinal !== 0))
    throw new RecurrenceRefused(
      'unsupported_part',
      'BYMONTHDAY and BYDAY with an ordinal exclude each other. Send one of them.',
    )
  if (positions.length > 0 && days.length === 0 && monthDays.length === 0)
    throw new RecurrenceRefused('malformed', 'BYSETPOS chooses among BYDAY or BYMONTHDAY. Send one of these.')
}

// RFC 5545 §3.3.10: what the rule does not say, DTSTART says.
function withDefaults(rule: RecurrenceRule, start: WallTime): RecurrenceRule {
  const { frequency, days, monthDays, months } = rule
  if (days.length > 0) return rule
  const [weekday] = WEEKDAYS.slice(weekdayOf(start))
  if (frequency === 'WEEKLY' && weekday) return { ...rule, days: [{ day: weekday, ordinal: 0 }] }
  if (frequency === 'MONTHLY' && monthDays.length === 0) return { ...rule, monthDays: [start.day] }
  if (frequency !== 'YEARLY') return rule
  // BYMONTHDAY alone means that day of every month (RFC 5545 §3.3.10, table of expansions).
  if (monthDays.length > 0) return rule
  return { ...rule, months: months.length > 0 ? months : [start.month], monthDays: [start.day] }
}

function writeDay({ ordinal, day }: DayOfRule): string {
  return `${ordinal === 0 ? '' : ordinal}${day}`
}

function byWeekday(a: DayOfRule, b: DayOfRule): number {
  return a.ordinal - b.ordinal || WEEKDAYS.indexOf(a.day) - WEEKDAYS.indexOf(b.day)
}
