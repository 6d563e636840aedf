import { RRuleTemporal } from 'rrule-temporal'
import { parseRule, RecurrenceRefused, type RecurrenceRule, writeRule } from './recurrence-rule.ts'
import {
  daysBetween,
  instantAt,
  isTimeZone,
  readWallTime,
  wallTimeAt,
  writeUtc,
  writeWallTime,
} from './wall-time.ts'

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

const MOST_EXCEPTIONS = 1000
const DAY_MS = 86_400_000
const PIECE_MS = 366 * DAY_MS
// Periods of the rule that are looked through for the next occurrence before it counts as having none.
const MOST_PERIODS = 5000

/**
 * Reads the lines of a recurrence as Google Calendar and iCalendar write them: one `RRULE:…` and any number of
 * `EXDATE…:…`. A bare `FREQ=…` counts as an RRULE. An EXDATE that is a date takes out the meeting of that day.
 * @param options `strayExceptions`: what to do with an EXDATE at which there is no meeting; another program's file may
 * hold some, a caller's is a mistake
 * @throws {RecurrenceRefused}
 */
export function parseRecurrence(
  lines: readonly string[],
  { start, timeZone }: { start: Date; timeZone: string },
  options: { strayExceptions?: 'refuse' | 'drop' } = {},
): Recurrence {
  if (!isTimeZone(timeZone))
    throw new RecurrenceRefused('unknown_time_zone', `${timeZone} is not an IANA time zone.`)
  if (start.getTime() % 1000 !== 0)
    throw new RecurrenceRefused('start_not_whole_seconds', 'The start of a series is a whole second.')
  const { rules, exceptionLines } = sortLines(lines)
  const [value, second] = rules
  if (value === undefined)
    throw new RecurrenceRefused('no_rule', 'A recurrence needs an RRULE, such as RRULE:FREQ=WEEKLY;BYDAY=MO.')
  if (second !== undefined)
    throw new RecurrenceRefused('several_rules', 'A recurrence has one RRULE. Make a series of each rule.')
  const rule = parseRule(value, wallTimeAt(start, timeZone), timeZone)
  const bare: Recurrence = { start, timeZone, rule, exceptions: [] }
  if (rule.until && rule.until < start)
    throw new RecurrenceRefused('until_before_start', 'UNTIL is before the first meeting.')
  refuseOtherStart(bare)
  const exceptions = readExceptions(exceptionLines, bare, options.strayExceptions ?? 'refuse')
  const recurrence = { ...bare, exceptions }
  if (nextOccurrence(recurrence, start) === undefined)
    throw new RecurrenceRefused('nothing_left', 'The exceptions take out every meeting of the series.')
  return recurrence
}

/** A recurrence as it was stored: a rule that {@link writeRule} wrote, which is not judged again. */
export function storedRecurrence(stored: {
  start: Date
  timeZone: string
  rule: string
  exceptions: readonly Date[]
}): Recurrence {
  const { start, timeZone } = stored
  const rule = parseRule(stored.rule, wallTimeAt(start, timeZone), timeZone)
  return { start, timeZone, rule, exceptions: ascending(stored.exceptions) }
}

/** The lines for Google Calendar and iCalendar; exceptions as wall time of the zone. */
export function writeRecurrence({ rule, timeZone, exceptions }: Recurrence): string[] {
  const lines = [`RRULE:${writeRule(rule)}`]
  if (exceptions.length > 0) {
    const times = exceptions.map(at => writeWallTime(wallTimeAt(at, timeZone)))
    lines.push(`EXDATE;TZID=${timeZone}:${times.join(',')}`)
  }
  return lines
}

/**
 * Starts at or after `from` and before `to`, ascending.
 * @param limit how many at most; a range that holds more is cut off there
 */
export function occurrencesBetween(
  recurrence: Recurrence,
  from: Date,
  to: Date,
  limit = MOST_OCCURRENCES_AT_ONCE,
): Date[] {
  const excluded = timesOf(recurrence.exceptions)
  const found: Date[] = []
  for (const at of generatedBetween(recurrence, from, to)) {
    if (excluded.has(at.getTime())) continue
    if (found.push(at) >= limit) break
  }
  return found
}

/** More than any horizon of ours holds: ten years of every day. */
const MOST_OCCURRENCES_AT_ONCE = 4000

/** The first start at or after `from`; undefined when the series has ended by then. */
export function nextOccurrence(recurrence: Recurrence, from: Date): Date | undefined {
  const excluded = timesOf(recurrence.exceptions)
  // One more than there are exceptions: so many steps pass all of them.
  let at: Date | undefined = from
  for (let inclusive = true; ; inclusive = false) {
    at = generatedNext(recurrence, at, inclusive)
    if (at === undefined || !excluded.has(at.getTime())) return at
  }
}

/** Whether a meeting of the series starts then. */
export function isOccurrence(recurrence: Recurrence, at: Date): boolean {
  return nextOccurrence(recurrence, at)?.getTime() === at.getTime()
}

/** The last start there will be; undefined for a series without end. */
export function lastOccurrence(recurrence: Recurrence): Date | undefined {
  const { rule, start } = recurrence
  if (rule.count === undefined && rule.until === undefined) return undefined
  const excluded = timesOf(recurrence.exceptions)
  if (rule.until === undefined) {
    const all = within(() => engineOf(recurrence).all().map(toDate)) ?? []
    return all.findLast(at => !excluded.has(at.getTime()))
  }
  for (let at = rule.until, inclusive = true; ; inclusive = false) {
    const before = within(() => engineOf(recurrence).previous(at, inclusive))
    if (!before || before.epochMilliseconds < start.getTime()) return undefined
    at = toDate(before)
    if (!excluded.has(at.getTime())) return at
  }
}

/** How many starts the rule makes before an instant, exceptions among them: so COUNT counts them. */
export function countBefore(recurrence: Recurrence, at: Date): number {
  return [...generatedBetween(recurrence, recurrence.start, at)].length
}

/**
 * The id of one instance of a recurring event at Google: the event's id and the start that the rule gave it, also
 * after it was moved (google-apis.md §1.5, not promised by Google: where it matters, read it from events.instances).
 */
export function instanceIdFor(eventId: string, originalStart: Date): string {
  return `${eventId}_${writeUtc(originalStart)}`
}

/** What the rule makes, exceptions not taken out; piece by piece, so that whoever has enough may stop. */
function* generatedBetween(recurrence: Recurrence, from: Date, to: Date): Generator<Date> {
  const engine = engineOf(recurrence)
  for (let at = Math.max(from.getTime(), recurrence.start.getTime()); at < to.getTime(); at += PIECE_MS) {
    const end = Math.min(at + PIECE_MS, to.getTime())
    // The engine takes both ends in.
    yield* engine.between(new Date(at), new Date(end - 1), true).map(toDate)
  }
}

function generatedNext(recurrence: Recurrence, from: Date, inclusive: boolean): Date | undefined {
  const next = within(() => engineOf(recurrence).next(from, inclusive))
  return next ? toDate(next) : undefined
}

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

function sortLines(lines: readonly string[]): { rules: string[]; exceptionLines: string[] } {
  const rules: string[] = []
  const exceptionLines: string[] = []
  for (const line of lines.flatMap(text => text.split(/\r?\n/)).map(text => text.trim())) {
    if (line === '') continue
    const name = /^[A-Za-z-]+(?=[:;])/.exec(line)?.[0].toUpperCase()
    if (name === 'RRULE') rules.push(line.slice(line.indexOf(':') + 1))
    else if (name === 'EXDATE') exceptionLines.push(line)
    else if (/^FREQ=/i.test(line)) rules.push(line)
    else refuseLine(name, line)
  }
  return { rules, exceptionLines }
}

function refuseLine(name: string | undefined, line: string): never {
  if (name === 'RDATE')
    throw new RecurrenceRefused(
      'unsupported_line',
      'RDATE is not supported: a series follows one rule. Make the meetings outside of it one by one.',
    )
  if (name === 'EXRULE')
    throw new RecurrenceRefused('unsupported_line', 'EXRULE is not supported. List the exceptions as EXDATE.')
  if (name === 'DTSTART' || name === 'DTEND')
    throw new RecurrenceRefused(
      'unsupported_line',
      `${name} does not belong into the recurrence: start and end of the meeting say it.`,
    )
  throw new RecurrenceRefused(
    'malformed',
    `"${line.slice(0, 60)}" is no line of a recurrence. Send "RRULE:…" and, for exceptions, "EXDATE:…".`,
  )
}

// A rule may leave out the start itself; Google and others would then make a meeting more than the rule says.
function refuseOtherStart(recurrence: Recurrence): void {
  const first = generatedNext(recurrence, recurrence.start, true)
  if (first?.getTime() === recurrence.start.getTime()) return
  throw new RecurrenceRefused(
    'start_not_in_rule',
    first
      ? `The rule makes no meeting at start. The first one it makes is ${first.toISOString()}: start there, or change the rule.`
      : 'The rule makes no meeting at all.',
  )
}

function readExceptions(lines: readonly string[], recurrence: Recurrence, stray: 'refuse' | 'drop'): Date[] {
  const found = new Map<number, Date>()
  for (const line of lines) {
    const [head = '', values = ''] = splitOnce(line, ':')
    const parameters = new Map(
      head
        .split(';')
        .slice(1)
        .map(text => splitOnce(text.toUpperCase(), '=')),
    )
    const zoneName = /;TZID="?([^";:]+)/i.exec(head)?.[1]
    const zone = zoneName ?? recurrence.timeZone
    if (!isTimeZone(zone))
      throw new RecurrenceRefused(
        'unknown_time_zone',
        `${zone.slice(0, 60)} in EXDATE is not an IANA time zone.`,
      )
    if (parameters.get('VALUE') === 'PERIOD')
      throw new RecurrenceRefused('bad_value', 'An EXDATE is a time, not a period.')
    for (const text of values.split(',')) {
      const at = exceptionAt(text.trim(), zone, recurrence)
      if (at && generatedNext(recurrence, at, true)?.getTime() === at.getTime()) found.set(at.getTime(), at)
      else if (stray === 'refuse')
        throw new RecurrenceRefused(
          'exception_not_in_rule',
          `The rule makes no meeting at EXDATE ${text.slice(0, 60)}. Write the start of one, such as ${writeUtc(recurrence.start)}.`,
        )
    }
    if (found.size > MOST_EXCEPTIONS)
      throw new RecurrenceRefused('too_many', `A series has at most ${MOST_EXCEPTIONS} exceptions.`)
  }
  return ascending([...found.values()])
}

function exceptionAt(text: string, zone: string, recurrence: Recurrence): Date | undefined {
  const read = readWallTime(text)
  if (!read)
    throw new RecurrenceRefused(
      'bad_value',
      `EXDATE ${text.slice(0, 60)} is not a time. Write it in UTC, such as 20261224T150000Z.`,
    )
  if (read.kind === 'utc') return instantAt(read.wall, 'UTC')
  if (read.kind === 'local') return instantAt(read.wall, zone)
  const day = instantAt(read.wall, recurrence.timeZone)
  // Local days may be longer or shorter than 24 hours: the one that starts on this day is looked for within two.
  const nearby = [...generatedBetween(recurrence, day, new Date(day.getTime() + 2 * DAY_MS))]
  return nearby.find(at => daysBetween(read.wall, wallTimeAt(at, recurrence.timeZone)) === 0)
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function timesOf(dates: readonly Date[]): Set<number> {
  return new Set(dates.map(date => date.getTime()))
}

function ascending(dates: readonly Date[]): Date[] {
  return [...dates].sort((a, b) => a.getTime() - b.getTime())
}
