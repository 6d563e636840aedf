import {
  DAY_MS,
  generatedBetween,
  generatedByCount,
  generatedNext,
  type Recurrence,
} from './recurrence-engine.ts'
import { RecurrenceRefused } from './recurrence-rule.ts'
import { daysBetween, instantAt, isTimeZone, readWallTime, wallTimeAt, writeUtc } from './wall-time.ts'

const MOST_EXCEPTIONS = 1000

/** One value of an EXDATE. */
interface Written {
  text: string
  zone: string
}

/**
 * Reads the lines `EXDATE…:…` of a recurrence. How many values there are, strays and repeats too, is looked at before any of
 * them is: each may cost a walk through the rule.
 * @param stray what to do with one at which the rule makes no meeting
 * @returns ascending
 * @throws {RecurrenceRefused}
 */
export function readExceptions(
  lines: readonly string[],
  recurrence: Recurrence,
  stray: 'refuse' | 'drop',
): Date[] {
  if (lines.length === 0) return []
  let count = 0
  for (const line of lines) count += valuesOf(line).length
  if (count > MOST_EXCEPTIONS)
    throw new RecurrenceRefused('too_many', `A series has at most ${MOST_EXCEPTIONS} exceptions.`)
  const all = generatedByCount(recurrence)
  const times = all && new Set(all.map(at => at.getTime()))
  const isMade = (at: Date) =>
    reaches(recurrence, at, at) &&
    (times ? times.has(at.getTime()) : generatedNext(recurrence, at, true)?.getTime() === at.getTime())
  const found = new Map<number, Date>()
  const read = new Set<string>()
  for (const { text, zone } of lines.flatMap(line => writtenIn(line, recurrence.timeZone))) {
    const value = `${zone} ${text}`
    if (read.has(value)) continue
    read.add(value)
    const at = exceptionAt(text, zone, recurrence)
    if (at && isMade(at)) found.set(at.getTime(), at)
    else if (stray === 'refuse')
      throw new RecurrenceRefused(
        'exception_not_in_rule',
        `The rule makes no meeting at EXDATE ${text.slice(0, 60)}. Write the start of one, such as ${writeUtc(recurrence.start)}.`,
      )
  }
  return [...found.values()].sort((a, b) => a.getTime() - b.getTime())
}

function valuesOf(line: string): string[] {
  return splitOnce(line, ':')[1].split(',')
}

function writtenIn(line: string, timeZone: string): Written[] {
  const [head] = splitOnce(line, ':')
  const parameters = new Map(
    head
      .split(';')
      .slice(1)
      .map(text => splitOnce(text.toUpperCase(), '=')),
  )
  const zone = /;TZID="?([^";:]+)/i.exec(head)?.[1] ?? timeZone
  if (!isTimeZone(zone))
    throw new RecurrenceRefused(
      'unknown_time_zone',
      `${zone.slice(0, 60)} in EXDATE is not an IANA time zone.`,
    )
  if (parameters.get('VALUE') === 'PERIOD')
    throw new RecurrenceRefused('bad_value', 'An EXDATE is a time, not a period.')
  return valuesOf(line).map(text => ({ text: text.trim(), zone }))
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
  const end = new Date(day.getTime() + 2 * DAY_MS)
  if (!reaches(recurrence, day, end)) return undefined
  const all = generatedByCount(recurrence)
  const nearby = all ? all.filter(at => at >= day && at <= end) : [...generatedBetween(recurrence, day, end)]
  return nearby.find(at => daysBetween(read.wall, wallTimeAt(at, recurrence.timeZone)) === 0)
}

/** Whether a meeting of the series can lie between the two at all, both included. */
function reaches({ start, rule: { until } }: Recurrence, from: Date, to: Date): boolean {
  return to >= start && (until === undefined || from <= until)
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
