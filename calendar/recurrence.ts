import {
  generatedBefore,
  generatedBetween,
  generatedByCount,
  generatedNext,
  type Recurrence,
  withExceptions,
} from './recurrence-engine.ts'
import { readExceptions } from './recurrence-exceptions.ts'
import { parseRule, RecurrenceRefused, writeRule } from './recurrence-rule.ts'
import { isTimeZone, wallTimeAt, writeUtc, writeWallTime } from './wall-time.ts'

export type { Recurrence } from './recurrence-engine.ts'

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
  const recurrence = withExceptions(bare, exceptions)
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
  const all = excluded.size > 0 ? generatedByCount(recurrence) : undefined
  if (all) return all.find(at => at >= from && !excluded.has(at.getTime()))
  // One more than there are exceptions: so many steps pass all of them.
  let at: Date | undefined = from
  for (let inclusive = true; ; inclusive = false) {
    at = generatedNext(recurrence, at, inclusive)
    if (at === undefined || !excluded.has(at.getTime())) return at
  }
}

/** Whether a meeting of the series starts then. */
export function isOccurrence(recurrence: Recurrence, at: Date): boolean {
  const all = generatedByCount(recurrence)
  if (all) {
    const isAt = (other: Date) => other.getTime() === at.getTime()
    return all.some(isAt) && !recurrence.exceptions.some(isAt)
  }
  return nextOccurrence(recurrence, at)?.getTime() === at.getTime()
}

/** The last start there will be; undefined for a series without end. */
export function lastOccurrence(recurrence: Recurrence): Date | undefined {
  const { rule } = recurrence
  if (rule.count === undefined && rule.until === undefined) return undefined
  const excluded = timesOf(recurrence.exceptions)
  if (rule.until === undefined)
    return generatedByCount(recurrence)?.findLast(at => !excluded.has(at.getTime()))
  let at: Date | undefined = rule.until
  for (let inclusive = true; ; inclusive = false) {
    at = generatedBefore(recurrence, at, inclusive)
    if (at === undefined || !excluded.has(at.getTime())) return at
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

function timesOf(dates: readonly Date[]): Set<number> {
  return new Set(dates.map(date => date.getTime()))
}

function ascending(dates: readonly Date[]): Date[] {
  return [...dates].sort((a, b) => a.getTime() - b.getTime())
}
