import ICAL from 'ical.js'
import { GoogleError } from '../errors.ts'
import { instantMs, localToMs } from './event-time.ts'

/** One start of a series. */
export interface Occurrence {
  /** The clock on the wall of the series' zone: `2026-12-07T09:00:00`, or `2026-12-07` for whole days. */
  local: string
  /** The same as milliseconds since 1970. */
  startMs: number
}

export interface Series {
  /** RRULE, EXRULE, RDATE, EXDATE lines. */
  lines: readonly string[]
  /** First start, as in {@link Occurrence.local}. */
  first: string
  /** Zone of the series; the calendar's for whole days. */
  timeZone: string
}

/** No rule that anybody writes needs more steps than this; one that never matches ends here. */
const mostSteps = 20_000

/** Refuses recurrence lines that RFC 5545 or Calendar do not allow, with 400 `invalid` (google-apis.md §1.5). */
export function checkRecurrence(lines: readonly string[] | undefined): void {
  for (const line of lines ?? []) {
    const known = /^(RRULE|EXRULE|RDATE|EXDATE)[;:]/.test(line)
    if (!known || (/^(RRULE|EXRULE)/.test(line) && !isRule(line))) throw invalidRule()
  }
}

function isRule(line: string): boolean {
  if (!/[:;]FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)\b/.test(line)) return false
  if (/COUNT=/.test(line) && /UNTIL=/.test(line)) return false
  try {
    ICAL.Recur.fromString(withoutUntil(line))
    return true
  } catch {
    // The library says nothing but that it cannot read it, and that is the answer.
    return false
  }
}

function invalidRule(): GoogleError {
  return new GoogleError(400, 'Invalid recurrence rule.', { reason: 'invalid' })
}

/**
 * The starts of a series before `beforeMs`, at most `most` of those at or after `fromMs`, in order. Counting goes by
 * the clock on the wall, so that a change of the clocks does not move the meeting.
 */
export function occurrencesOf(series: Series, fromMs: number, beforeMs: number, most: number): Occurrence[] {
  const found = new Map<number, Occurrence>()
  const rules = series.lines.filter(line => line.startsWith('RRULE'))
  const take = (occurrence: Occurrence) => found.set(occurrence.startMs, occurrence)
  for (const rule of rules) startsOfRule(series, rule, fromMs, beforeMs, most).forEach(take)
  // Without a rule the first start counts by itself, and RDATEs are added to it.
  if (rules.length === 0) take(at(series, series.first))
  for (const occurrence of listed(series, 'RDATE')) take(occurrence)
  for (const rule of series.lines.filter(line => line.startsWith('EXRULE')))
    for (const { startMs } of startsOfRule(series, rule, fromMs, beforeMs, most)) found.delete(startMs)
  for (const { startMs } of listed(series, 'EXDATE')) found.delete(startMs)
  return [...found.values()]
    .filter(({ startMs }) => startMs >= fromMs && startMs < beforeMs)
    .sort((a, b) => a.startMs - b.startMs)
    .slice(0, most)
}

function startsOfRule(
  series: Series,
  line: string,
  fromMs: number,
  beforeMs: number,
  most: number,
): Occurrence[] {
  const recur = ICAL.Recur.fromString(completed(withoutUntil(line), series.first))
  const iterator = recur.iterator(timeOf(series.first))
  const lastMs = untilMs(line, series.timeZone)
  const starts: Occurrence[] = []
  for (let step = 0; step < mostSteps && starts.length < most; step++) {
    const next = iterator.next()
    if (!next) break
    const occurrence = at(series, next.toString())
    if (occurrence.startMs > lastMs || occurrence.startMs >= beforeMs) break
    if (occurrence.startMs >= fromMs) starts.push(occurrence)
  }
  return starts
}

/** UNTIL is compared here: the library knows no time zones, and UNTIL is in UTC while the series is not. */
function withoutUntil(line: string): string {
  return line
    .replace(/^(RRULE|EXRULE)[^:]*:/, '')
    .split(';')
    .filter(part => !part.startsWith('UNTIL='))
    .join(';')
}

/** The library moves 29 February to 1 March where RFC 5545 leaves the year out: said in full it does not. */
function completed(rule: string, first: string): string {
  const [, month, day] = first.slice(0, 10).split('-').map(Number)
  if (/BY(MONTH|DAY|MONTHDAY|YEARDAY|WEEKNO|SETPOS)=/.test(rule)) return rule
  if (rule.includes('FREQ=YEARLY')) return `${rule};BYMONTH=${month};BYMONTHDAY=${day}`
  if (rule.includes('FREQ=MONTHLY')) return `${rule};BYMONTHDAY=${day}`
  return rule
}

function untilMs(line: string, timeZone: string): number {
  const text = /UNTIL=([\dTZ]+)/.exec(line)?.[1]
  if (text === undefined) return Number.POSITIVE_INFINITY
  // A date alone includes the whole of that day.
  return text.length === 8
    ? localToMs(`${dashed(text)}T23:59:59`, timeZone)
    : instantMs({ dateTime: dashed(text) }, timeZone)
}

function listed(series: Series, property: 'RDATE' | 'EXDATE'): Occurrence[] {
  return series.lines
    .filter(line => line.startsWith(property))
    .flatMap(line => {
      const [head = '', values = ''] = line.split(':', 2)
      const zone = /TZID=([^;:]+)/.exec(head)?.[1] ?? series.timeZone
      return values.split(',').map(value => {
        const text = dashed(value)
        if (text.length === 10)
          return at(series, series.first.length > 10 ? `${text}${series.first.slice(10)}` : text)
        return { local: text, startMs: instantMs({ dateTime: text }, zone) }
      })
    })
}

/** `20261207T090000Z` as `2026-12-07T09:00:00Z`. */
function dashed(text: string): string {
  return text.replace(/^(\d{4})(\d\d)(\d\d)/, '$1-$2-$3').replace(/T(\d\d)(\d\d)(\d\d)/, 'T$1:$2:$3')
}

function at(series: Series, local: string): Occurrence {
  const startMs = localToMs(local.length > 10 ? local : `${local}T00:00:00`, series.timeZone)
  return { local, startMs }
}

function timeOf(local: string): ICAL.Time {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = local.split(/\D/).map(Number)
  return ICAL.Time.fromData({ year, month, day, hour, minute, second, isDate: local.length === 10 })
}
