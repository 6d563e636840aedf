/** What a clock on the wall of a time zone shows, on the Gregorian calendar. `month` counts from 1. */
export interface WallTime {
  year: number
  month: number
  day: number
  hour: number
  minute: number
  second: number
}

const DAY_MS = 86_400_000
// Formatters are slow to make; a caller can name some 600 zones at most.
const formatters = new Map<string, Intl.DateTimeFormat>()

/** Whether this is the IANA name of a time zone that the runtime knows, in any case. */
export function isTimeZone(name: string): boolean {
  // Intl also takes offsets such as "+05:00", which know no daylight saving.
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    formatterOf(name)
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

/** @throws {RangeError} for a zone that is none */
export function wallTimeAt(instant: Date, timeZone: string): WallTime {
  const parts: Record<string, number> = {}
  for (const { type, value } of formatterOf(timeZone).formatToParts(instant)) parts[type] = Number(value)
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts
  return { year, month, day, hour, minute, second }
}

/** How far local time is ahead of UTC at an instant, in milliseconds. */
export function offsetMsAt(instant: Date, timeZone: string): number {
  const ms = instant.getTime()
  return asUtcMs(wallTimeAt(instant, timeZone)) - (ms - (((ms % 1000) + 1000) % 1000))
}

/**
 * The instant at which the clock shows this. Of a time that comes twice the first; a time that is skipped is read with
 * the offset before the gap, as RFC 5545 §3.3.5 has it (02:30 of a night that skips 02:00 to 03:00 is 03:30).
 */
export function instantAt(wall: WallTime, timeZone: string): Date {
  const guess = asUtcMs(wall)
  // The offsets around it: a transition lies at most once within a day.
  const before = offsetMsAt(new Date(guess - DAY_MS), timeZone)
  const after = offsetMsAt(new Date(guess + DAY_MS), timeZone)
  const first = guess - before
  if (before === after || offsetMsAt(new Date(first), timeZone) === before) return new Date(first)
  const second = guess - after
  return new Date(offsetMsAt(new Date(second), timeZone) === after ? second : first)
}

/** Whether the clock ever shows this: false for a time skipped by daylight saving. */
export function exists(wall: WallTime, timeZone: string): boolean {
  return asUtcMs(wallTimeAt(instantAt(wall, timeZone), timeZone)) === asUtcMs(wall)
}

/** The wall time as if it were UTC, in milliseconds: for counting days and comparing. */
function asUtcMs({ year, month, day, hour, minute, second }: WallTime): number {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  return date.getTime()
}

/** The reverse of {@link asUtcMs}. */
export function fromUtcMs(ms: number): WallTime {
  const date = new Date(ms)
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
  }
}

/** The same time of day some days later, or earlier for a negative number. */
export function addDays(wall: WallTime, days: number): WallTime {
  return fromUtcMs(asUtcMs(wall) + days * DAY_MS)
}

/** How many calendar days `to` lies after `from`. */
export function daysBetween(from: WallTime, to: WallTime): number {
  const dayOf = (wall: WallTime) => asUtcMs({ ...wall, hour: 0, minute: 0, second: 0 })
  return Math.round((dayOf(to) - dayOf(from)) / DAY_MS)
}

/** 0 for Monday to 6 for Sunday. */
export function weekdayOf(wall: WallTime): number {
  return (new Date(asUtcMs(wall)).getUTCDay() + 6) % 7
}

/** 28 to 31. */
export function daysInMonth(year: number, month: number): number {
  return fromUtcMs(asUtcMs({ year, month: month + 1, day: 0, hour: 0, minute: 0, second: 0 })).day
}

/** As iCalendar writes it: `20261123T100000`. */
export function writeWallTime({ year, month, day, hour, minute, second }: WallTime): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return `${String(year).padStart(4, '0')}${two(month)}${two(day)}T${two(hour)}${two(minute)}${two(second)}`
}

/** As iCalendar writes an instant: `20261123T150000Z`. */
export function writeUtc(instant: Date): string {
  return `${writeWallTime(fromUtcMs(instant.getTime()))}Z`
}

/**
 * Reads `20261123`, `20261123T100000` and `20261123T100000Z`.
 * @returns undefined for anything else, also for days and times that do not exist on any calendar
 */
export function readWallTime(text: string): { wall: WallTime; kind: 'date' | 'local' | 'utc' } | undefined {
  const [, year, month, day, time, hour, minute, second, utc] =
    /^(\d{4})(\d\d)(\d\d)(T(\d\d)(\d\d)(\d\d)(Z)?)?$/.exec(text) ?? []
  if (year === undefined) return undefined
  const wall = {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour ?? 0),
    minute: Number(minute ?? 0),
    second: Number(second ?? 0),
  }
  const real = fromUtcMs(asUtcMs(wall))
  if (!Object.entries(real).every(([part, value]) => wall[part as keyof WallTime] === value)) return undefined
  return { wall, kind: time === undefined ? 'date' : utc === undefined ? 'local' : 'utc' }
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-u-ca-iso8601', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  // Names differ in case too: without a bound, a caller could fill the memory with them.
  if (formatters.size >= 1000) formatters.clear()
  formatters.set(timeZone, made)
  return made
}
