import ICAL from 'ical.js'
import { expect, it } from 'vitest'
import { occurrencesBetween, parseRecurrence, type Recurrence } from './recurrence.ts'
import { type DayOfRule, type RecurrenceRule, WEEKDAYS } from './recurrence-rule.ts'
import {
  addDays,
  daysBetween,
  daysInMonth,
  exists,
  instantAt,
  type WallTime,
  wallTimeAt,
  weekdayOf,
  writeWallTime,
} from './wall-time.ts'

const ZONES = [
  'America/Bogota',
  'Europe/Madrid',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'America/Santiago',
]
const YEARS = 6
const MOST = 40

/** A generator with a seed, so that a failure can be looked at again. */
function randomFrom(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (most: number) => Math.floor(next() * most)
  const some = <T>(items: readonly T[], most: number): T[] => {
    const left = [...items]
    return Array.from({ length: 1 + below(most) }, () => left.splice(below(left.length), 1)).flat()
  }
  return { below, some, one: <T>(items: readonly T[]): T => items[below(items.length)] as T }
}
type Random = ReturnType<typeof randomFrom>

const MONTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]

function anyRule({ below, some, one }: Random): string {
  const days = (most: number) => some(WEEKDAYS, most).join(',')
  const nthDays = () =>
    some(WEEKDAYS, 2)
      .map(day => `${one([1, 2, 3, 4, 5, -1, -2])}${day}`)
      .join(',')
  const byMonth = () => `BYMONTH=${some(MONTHS, 3).join(',')}`
  const dates = () => `BYMONTHDAY=${some([1, 5, 13, 28, 29, 30, 31, -1, -3], 3).join(',')}`
  const pattern = one([
    () => 'DAILY',
    () => `DAILY;BYDAY=${days(4)}`,
    () => `DAILY;${byMonth()}`,
    () => `WEEKLY;BYDAY=${days(5)}${one(['', ';WKST=SU', ';WKST=WE'])}`,
    () => `MONTHLY;${dates()}`,
    () => `MONTHLY;BYDAY=${nthDays()}`,
    () => `MONTHLY;BYDAY=${days(5)};BYSETPOS=${one(['1', '2', '-1', '-2', '1,-1'])}`,
    () => `MONTHLY;BYDAY=${days(2)};BYMONTHDAY=13,14`,
    () => `MONTHLY;${byMonth()};${dates()}`,
    () => `YEARLY;${byMonth()};${dates()}`,
    () => `YEARLY;${byMonth()};BYDAY=${nthDays()}`,
    () => `YEARLY;${byMonth()};BYDAY=${days(2)};BYSETPOS=${one(['1', '-1', '3'])}`,
    () => `YEARLY;${dates()}`,
  ])()
  return `FREQ=${pattern};INTERVAL=${one([1, 1, 1, 2, 3, 5])}${one(['', '', `;COUNT=${1 + below(40)}`])}`
}

/** The rule looked at day by day, as RFC 5545 §3.3.10 defines it: slow and simple. */
function expandedByDay(
  rule: RecurrenceRule,
  start: WallTime,
  timeZone: string,
  most = rule.count ?? MOST,
): string[] {
  const found: string[] = []
  let set: WallTime[] = []
  let period = -1
  const weekStart = WEEKDAYS.indexOf(rule.weekStart)
  const daysIntoWeek = (date: WallTime) => (weekdayOf(date) - weekStart + 7) % 7
  const firstWeek = addDays(start, -daysIntoWeek(start))
  const periodOf = {
    DAILY: (date: WallTime) => daysBetween(start, date),
    WEEKLY: (date: WallTime) => Math.floor(daysBetween(firstWeek, date) / 7),
    MONTHLY: (date: WallTime) => (date.year - start.year) * 12 + date.month - start.month,
    YEARLY: (date: WallTime) => date.year - start.year,
  }[rule.frequency]
  const closeSet = () => {
    const { positions } = rule
    const chosen =
      positions.length === 0
        ? set
        : set.filter((_, index) => positions.includes(index + 1) || positions.includes(index - set.length))
    for (const wall of chosen) if (daysBetween(start, wall) >= 0) found.push(writeWallTime(wall))
    set = []
  }
  // From the beginning of the first period, since BYSETPOS counts in whole ones.
  let date = { ...start, month: 1, day: 1 }
  for (; date.year <= start.year + YEARS && found.length < most; date = addDays(date, 1)) {
    if (rule.frequency === 'WEEKLY' && daysBetween(firstWeek, date) < 0) continue
    if (periodOf(date) !== period) closeSet()
    period = periodOf(date)
    if (period >= 0 && period % rule.interval === 0 && isChosen(rule, date) && exists(date, timeZone))
      set.push(date)
  }
  closeSet()
  return found.slice(0, most)
}

function isChosen(rule: RecurrenceRule, date: WallTime): boolean {
  const length = daysInMonth(date.year, date.month)
  const isDay = ({ day, ordinal }: DayOfRule) =>
    WEEKDAYS[weekdayOf(date)] === day &&
    (ordinal === 0 ||
      ordinal === Math.ceil(date.day / 7) ||
      ordinal === -Math.ceil((length + 1 - date.day) / 7))
  return (
    (rule.months.length === 0 || rule.months.includes(date.month)) &&
    (rule.monthDays.length === 0 ||
      rule.monthDays.includes(date.day) ||
      rule.monthDays.includes(date.day - length - 1)) &&
    (rule.days.length === 0 || rule.days.some(isDay))
  )
}

function wallTimesOf(recurrence: Recurrence): string[] {
  const { start, timeZone } = recurrence
  const year = wallTimeAt(start, timeZone).year + YEARS
  const to = instantAt({ year: year + 1, month: 1, day: 1, hour: 0, minute: 0, second: 0 }, timeZone)
  return occurrencesBetween(recurrence, start, to, MOST).map(at => writeWallTime(wallTimeAt(at, timeZone)))
}

function anyDay(random: Random, hour: number): WallTime {
  return addDays({ year: 2026, month: 1, day: 1, hour, minute: 30, second: 0 }, random.below(1500))
}

it('400 random rules make the meetings that a search day by day finds', () => {
  let compared = 0
  for (let seed = 1; compared < 400; seed++) {
    const random = randomFrom(seed)
    const timeZone = random.one(ZONES)
    const text = anyRule(random)
    const day = anyDay(random, random.one([0, 2, 10, 23]))
    // Any start, to find one that the rule makes.
    const loose = { ...parseLoosely(text, timeZone), count: undefined, interval: 1 }
    const first = expandedByDay(loose, day, timeZone, 1)[0]
    if (first === undefined) continue
    const start = atWall(first, timeZone)
    const recurrence = parseRecurrence([text], { start, timeZone })
    const wall = wallTimeAt(start, timeZone)
    const expected = expandedByDay(recurrence.rule, wall, timeZone).slice(0, MOST)
    expect(wallTimesOf(recurrence), `seed ${seed}: ${text} in ${timeZone} from ${first}`).toEqual(expected)
    compared++
  }
})

it('200 everyday rules make the meetings that another library makes', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomFrom(seed)
    const { some, one } = random
    const timeZone = one(ZONES)
    const wall = anyDay(random, 10)
    const weekday = WEEKDAYS[weekdayOf(wall)] ?? 'MO'
    const nth = Math.ceil(wall.day / 7)
    const pattern = one([
      'DAILY',
      `WEEKLY;BYDAY=${[...new Set([weekday, ...some(WEEKDAYS, 4)])].join(',')}`,
      `MONTHLY;BYMONTHDAY=${wall.day}`,
      `MONTHLY;BYDAY=${nth}${weekday}`,
      'YEARLY',
    ])
    const text = `FREQ=${pattern};INTERVAL=${one([1, 2, 3])};COUNT=${1 + random.below(30)}`
    const recurrence = parseRecurrence([text], { start: instantAt(wall, timeZone), timeZone })
    const iterator = ICAL.Recur.fromString(text).iterator(
      ICAL.Time.fromData({ ...wall, isDate: false }, ICAL.Timezone.localTimezone),
    )
    const expected: string[] = []
    for (let next = iterator.next(); next && next.year <= wall.year + YEARS; next = iterator.next())
      expected.push(next.toICALString())
    expect(wallTimesOf(recurrence), `seed ${seed}: ${text} in ${timeZone}`).toEqual(expected)
  }
})

function atWall(text: string, timeZone: string): Date {
  const [, year, month, day, hour, minute] = /^(....)(..)(..)T(..)(..)/.exec(text)?.map(Number) ?? []
  if (!(year && month && day) || hour === undefined || minute === undefined) throw new Error(text)
  return instantAt({ year, month, day, hour, minute, second: 0 }, timeZone)
}

function parseLoosely(text: string, timeZone: string): RecurrenceRule {
  const parts = new Map(text.split(';').map(part => part.split('=') as [string, string]))
  const numbers = (name: string) => parts.get(name)?.split(',').map(Number) ?? []
  const days = (parts.get('BYDAY')?.split(',') ?? []).map(day => ({
    day: day.slice(-2) as DayOfRule['day'],
    ordinal: Number(day.slice(0, -2)),
  }))
  return {
    ...parseRecurrence(['FREQ=DAILY'], { start: new Date(0), timeZone }).rule,
    frequency: parts.get('FREQ') as RecurrenceRule['frequency'],
    months: numbers('BYMONTH'),
    monthDays: numbers('BYMONTHDAY'),
    days,
    positions: numbers('BYSETPOS'),
  }
}
