import { WEEKDAYS } from './recurrence-rule.ts'
import { daysInMonth, fromUtcMs, offsetMsAt, type WallTime, weekdayOf, writeWallTime } from './wall-time.ts'

/** A change of a zone's offset: from then on the new one holds. */
interface Transition {
  at: Date
  fromMs: number
  toMs: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
// Shorter than any stretch between two transitions that a zone has had in living memory.
const STEP_MS = 20 * DAY_MS
// How far ahead is looked for the pattern of a zone that changes its clocks every year.
const YEARS_AHEAD = 5
// Longer than anybody plans: looking costs time, and yearly patterns hold beyond it as well.
const MOST_YEARS = 50

/**
 * The VTIMEZONE of a zone (RFC 5545 §3.6.5), right from `from` on. Changes that follow a yearly pattern to the end of
 * what is looked at are written as a rule, which holds as long as the law does; others as dates. At most 50 years are looked
 * at, however far away `to` is.
 */
export function timeZoneComponent(timeZone: string, from: Date, to: Date): string {
  const begin = new Date(from.getTime() - 400 * DAY_MS)
  const last = Math.min(Math.max(to.getTime(), from.getTime()), from.getTime() + MOST_YEARS * 366 * DAY_MS)
  const end = new Date(last + YEARS_AHEAD * 366 * DAY_MS)
  const transitions = transitionsBetween(timeZone, begin, end)
  const standardMs = Math.min(...transitions.map(({ toMs }) => toMs), offsetMsAt(begin, timeZone))
  const groups = Map.groupBy(transitions, ({ fromMs, toMs }) => `${fromMs} ${toMs}`)
  const first = offsetMsAt(begin, timeZone)
  const observances = [
    observance({ fromMs: first, toMs: first, name: kindOf(first, standardMs), onsets: [begin] }),
    ...[...groups.values()].flatMap(group => {
      const [one] = group
      if (!one) return []
      const { fromMs, toMs } = one
      const onsets = group.map(({ at }) => at)
      return observance({ fromMs, toMs, name: kindOf(toMs, standardMs), onsets, end })
    }),
  ]
  return [
    'BEGIN:VTIMEZONE',
    `TZID:${timeZone}`,
    `X-LIC-LOCATION:${timeZone}`,
    ...observances,
    'END:VTIMEZONE',
  ].join('\r\n')
}

function kindOf(offsetMs: number, standardMs: number): 'STANDARD' | 'DAYLIGHT' {
  return offsetMs > standardMs ? 'DAYLIGHT' : 'STANDARD'
}

interface Observance {
  fromMs: number
  toMs: number
  name: 'STANDARD' | 'DAYLIGHT'
  onsets: readonly Date[]
  /** Where looking for changes ended; a pattern that reaches it goes on. */
  end?: Date
}

function observance({ fromMs, toMs, name, onsets, end }: Observance): string {
  // Onsets are written in the local time that held before them.
  const [first, ...others] = onsets.map(at => fromUtcMs(at.getTime() + fromMs))
  const last = onsets.at(-1)
  if (!first || !last) return ''
  const goesOn = end !== undefined && last.getTime() > end.getTime() - 370 * DAY_MS
  const rule = goesOn ? yearlyRule([first, ...others]) : undefined
  return [
    `BEGIN:${name}`,
    `DTSTART:${writeWallTime(first)}`,
    `TZOFFSETFROM:${writeOffset(fromMs)}`,
    `TZOFFSETTO:${writeOffset(toMs)}`,
    ...(rule === undefined ? others.map(at => `RDATE:${writeWallTime(at)}`) : [`RRULE:${rule}`]),
    `END:${name}`,
  ].join('\r\n')
}

/** The rule that makes exactly these times and goes on after them; undefined where there is none. */
function yearlyRule(times: readonly WallTime[]): string | undefined {
  const [first] = times
  if (!first || times.length < 3) return undefined
  const weekday = weekdayOf(first)
  const alike = times.every(
    (time, index) =>
      time.year === first.year + index &&
      time.month === first.month &&
      time.hour === first.hour &&
      time.minute === first.minute &&
      weekdayOf(time) === weekday,
  )
  if (!alike) return undefined
  const nths = new Set(times.map(({ day }) => Math.ceil(day / 7)))
  const allLast = times.every(({ year, month, day }) => day + 7 > daysInMonth(year, month))
  const nth = allLast ? -1 : nths.size === 1 ? [...nths][0] : undefined
  return nth === undefined ? undefined : `FREQ=YEARLY;BYMONTH=${first.month};BYDAY=${nth}${WEEKDAYS[weekday]}`
}

function transitionsBetween(timeZone: string, begin: Date, end: Date): Transition[] {
  const found: Transition[] = []
  let offset = offsetMsAt(begin, timeZone)
  for (let at = begin.getTime(); at < end.getTime(); at += STEP_MS) {
    const next = offsetMsAt(new Date(at + STEP_MS), timeZone)
    if (next === offset) continue
    let low = at
    let high = at + STEP_MS
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2)
      if (offsetMsAt(new Date(middle), timeZone) === offset) low = middle
      else high = middle
    }
    // Transitions are at whole minutes.
    found.push({ at: new Date(Math.floor(high / 60_000) * 60_000), fromMs: offset, toMs: next })
    offset = next
  }
  return found
}

function writeOffset(offsetMs: number): string {
  const minutes = Math.abs(offsetMs) / 60_000
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  return `${offsetMs < 0 ? '-' : '+'}${two(minutes / 60)}${two(minutes % 60)}`
}
