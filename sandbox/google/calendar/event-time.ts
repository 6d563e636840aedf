import { GoogleError } from '../errors.ts'
import type { EventTime } from './event.ts'

const halfDayMs = 12 * 3600_000

/** Milliseconds since 1970 of an event's start or end; a date counts from its midnight in `timeZone`. */
export function instantMs(time: EventTime, timeZone: string): number {
  if (time.dateTime === undefined) return localToMs(`${time.date}T00:00:00`, timeZone)
  return hasOffset(time.dateTime)
    ? Date.parse(time.dateTime)
    : localToMs(time.dateTime, time.timeZone ?? timeZone)
}

/**
 * Checks start and end of an event as written and returns them as Calendar stores them: `dateTime` with the offset
 * of the calendar's time zone, `timeZone` filled in. Errors: 400 `required`, `invalid`, `timeRangeEmpty`.
 */
export function storedTimes(
  given: { start: EventTime; end: EventTime; recurrence?: string[] },
  calendarTimeZone: string,
): { start: EventTime; end: EventTime } {
  const start = storedTime('start', given.start, calendarTimeZone, given.recurrence !== undefined)
  const end = storedTime('end', given.end, calendarTimeZone, given.recurrence !== undefined)
  if ((start.date === undefined) !== (end.date === undefined))
    throw new GoogleError(400, 'The start and end times must either both be date or both be dateTime.', {
      reason: 'invalid',
    })
  const length = instantMs(end, calendarTimeZone) - instantMs(start, calendarTimeZone)
  if (length < 0 || (length === 0 && start.date !== undefined))
    throw new GoogleError(400, 'The specified time range is empty.', {
      reason: 'timeRangeEmpty',
      domain: 'calendar',
      location: { type: 'parameter', name: 'timeMax' },
    })
  return { start, end }
}

function storedTime(name: string, time: EventTime, calendarTimeZone: string, recurring: boolean): EventTime {
  if (time.date !== undefined && time.dateTime !== undefined)
    throw new GoogleError(400, `Invalid ${name} time.`, { reason: 'invalid' })
  if (time.timeZone !== undefined) checkTimeZone(name, time.timeZone)
  if (time.date !== undefined) return { date: time.date }
  if (time.dateTime === undefined) throw new GoogleError(400, `Missing ${name} time.`, { reason: 'required' })
  if (time.timeZone === undefined && (recurring || !hasOffset(time.dateTime)))
    throw new GoogleError(400, `Missing time zone definition for ${name} time.`, { reason: 'required' })
  return {
    dateTime: formatInZone(instantMs(time, calendarTimeZone), calendarTimeZone),
    timeZone: time.timeZone ?? calendarTimeZone,
  }
}

function checkTimeZone(name: string, timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone })
  } catch (cause) {
    const error = new GoogleError(400, `Invalid time zone definition for ${name} time.`, {
      reason: 'invalid',
    })
    error.cause = cause
    throw error
  }
}

function hasOffset(dateTime: string): boolean {
  return /(Z|[+-]\d\d:\d\d)$/.test(dateTime)
}

/** RFC 3339 text of an instant with the offset of a time zone, to the second; `Z` for UTC. */
export function formatInZone(ms: number, timeZone: string): string {
  const offsetMs = zoneOffsetMs(ms, timeZone)
  const local = localIn(ms, timeZone)
  if (offsetMs === 0) return `${local}Z`
  const minutes = Math.abs(offsetMs) / 60_000
  const pad = (value: number) => String(value).padStart(2, '0')
  return `${local}${offsetMs < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`
}

/** What clocks of a zone show at an instant: `YYYY-MM-DDTHH:MM:SS`. */
export function localIn(ms: number, timeZone: string): string {
  return new Date(ms + zoneOffsetMs(ms, timeZone)).toISOString().slice(0, 19)
}

/**
 * The instant at which clocks of a zone show `local` (`YYYY-MM-DDTHH:MM:SS`): the first of two where the clocks go
 * back, and where they jump over it, the time counted on from before the jump.
 */
export function localToMs(local: string, timeZone: string): number {
  const asUtc = Date.parse(`${local}Z`)
  const before = zoneOffsetMs(asUtc - halfDayMs, timeZone)
  const after = zoneOffsetMs(asUtc + halfDayMs, timeZone)
  const fits = [before, after].find(offsetMs => zoneOffsetMs(asUtc - offsetMs, timeZone) === offsetMs)
  return asUtc - (fits ?? before)
}

const formats = new Map<string, Intl.DateTimeFormat>()

function zoneOffsetMs(ms: number, timeZone: string): number {
  // Making a format takes longer than the rest of an expansion together.
  const format =
    formats.get(timeZone) ?? new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
  formats.set(timeZone, format)
  const name = format.formatToParts(ms).find(part => part.type === 'timeZoneName')?.value ?? 'GMT'
  const found = /GMT([+-])(\d\d):(\d\d)/.exec(name)
  if (!found) return 0
  const size = (Number(found[2]) * 60 + Number(found[3])) * 60_000
  return found[1] === '-' ? -size : size
}
