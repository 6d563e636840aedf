import ICAL from 'ical.js'
import type { EventBlock } from './ics-blocks.ts'
import { timeZoneNamed } from './ics-time-zones.ts'
import { LONGEST_REMINDER_MINUTES, MOST_REMINDERS, type ReminderRule } from './reminders.ts'
import { addDays, instantAt, readWallTime, wallTimeAt } from './wall-time.ts'

export type IcsReason =
  | 'bad_event'
  | 'no_uid'
  | 'no_start'
  | 'no_end'
  | 'no_topic'
  | 'all_day'
  | 'floating_time'
  | 'bad_time'
  | 'unknown_time_zone'
  | 'end_before_start'
  | 'bad_recurrence'
  | 'unsupported_method'
  | 'twice'

/** One event that cannot become a meeting. */
export class IcsEventRefused extends Error {
  readonly code = 'ics_event_refused'
  readonly reason: IcsReason

  constructor(reason: IcsReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'IcsEventRefused'
    this.reason = reason
  }
}

export interface IcsTimes {
  start: Date
  end: Date
  /** IANA name. */
  timeZone: string
}

/** What a VEVENT says, before it is put together with the others of its series. */
export interface IcsEvent extends IcsTimes {
  uid: string
  sequence: number
  method: string
  cancelled: boolean
  topic: string
  description: string | undefined
  organizer: string | undefined
  participants: { email: string; name: string | undefined; role: 'host' | 'participant' }[]
  reminders: ReminderRule[]
  /** Lines of the rule and its exceptions, time zones by their IANA names; empty for a single meeting. */
  recurrence: string[]
  /** The meeting of a series that this event speaks of. */
  originalStart: Date | undefined
}

/** Of a cancellation only these count; other programs leave the rest out. */
export type IcsCancellation = Pick<IcsEvent, 'uid' | 'sequence' | 'originalStart'>

/**
 * Reads one VEVENT.
 * @throws {IcsEventRefused}
 */
export function readEvent(block: EventBlock): IcsEvent | { cancellation: IcsCancellation } {
  const event = parse(block)
  const uid = eventUid(event)
  const sequence = Math.max(0, Number(event.getFirstPropertyValue('sequence') ?? 0) || 0)
  const originalStart = originalStartOf(event)
  const status = String(event.getFirstPropertyValue('status') ?? '').toUpperCase()
  const cancelled = block.method === 'CANCEL' || status === 'CANCELLED'
  if (cancelled) return { cancellation: { uid, sequence, originalStart } }
  const times = timesOf(event)
  const topic = textOf(event, 'summary')
  if (topic === undefined)
    throw new IcsEventRefused('no_topic', 'The event has no SUMMARY, and a meeting needs a topic.')
  return {
    uid,
    sequence,
    method: block.method,
    cancelled,
    topic,
    description: textOf(event, 'description'),
    organizer: addressOf(event.getFirstProperty('organizer')),
    participants: participantsOf(event),
    reminders: remindersOf(event),
    recurrence: block.recurrence.map(namedZones),
    originalStart,
    ...times,
  }
}

/** The UID of an event that may be broken otherwise: to say which one it was. */
export function uidIn({ lines }: EventBlock): string | null {
  return /^UID[^:]*:(.+)$/i.exec(lines.find(line => /^UID[;:]/i.test(line)) ?? '')?.[1]?.trim() ?? null
}

function parse({ lines }: EventBlock): ICAL.Component {
  try {
    return new ICAL.Component(ICAL.parse(lines.join('\r\n')))
  } catch (error) {
    // The library throws errors of several kinds at what it cannot read.
    throw new IcsEventRefused('bad_event', `The event cannot be read: ${wordsOf(error)}`, { cause: error })
  }
}

function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 200)
}

function eventUid(event: ICAL.Component): string {
  const uid = textOf(event, 'uid')
  if (uid === undefined || uid.length > 255)
    throw new IcsEventRefused('no_uid', 'The event has no UID of up to 255 characters to know it by.')
  return uid
}

function timesOf(event: ICAL.Component): IcsTimes {
  const startProperty = event.getFirstProperty('dtstart')
  if (!startProperty) throw new IcsEventRefused('no_start', 'The event has no DTSTART.')
  const { at: start, timeZone } = instantOf(startProperty, 'DTSTART')
  const end = endOf(event, start, timeZone)
  if (end <= start) throw new IcsEventRefused('end_before_start', 'The event does not end after its start.')
  return { start, end, timeZone }
}

function endOf(event: ICAL.Component, start: Date, timeZone: string): Date {
  const endProperty = event.getFirstProperty('dtend')
  if (endProperty) return instantOf(endProperty, 'DTEND').at
  const text = event.getFirstProperty('duration')?.jCal.at(3)
  if (typeof text !== 'string')
    throw new IcsEventRefused('no_end', 'The event has neither DTEND nor DURATION: it has no end.')
  const duration = readDuration(text)
  if (!duration || duration.sign < 0)
    throw new IcsEventRefused('bad_time', `DURATION ${text.slice(0, 60)} is no duration.`)
  // Days of a duration are those of the calendar, hours are exact (RFC 5545 §3.3.6).
  const day = instantAt(addDays(wallTimeAt(start, timeZone), duration.days), timeZone)
  return new Date(day.getTime() + duration.seconds * 1000)
}

function readDuration(text: string): { sign: 1 | -1; days: number; seconds: number } | undefined {
  const [whole, sign, ...parts] =
    /^([+-]?)P(?=.)(?:(\d{1,3})W)?(?:(\d{1,4})D)?(?:T(?=.)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$/.exec(
      text,
    ) ?? []
  if (whole === undefined) return undefined
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts.map(part => Number(part ?? 0))
  return {
    sign: sign === '-' ? -1 : 1,
    days: weeks * 7 + days,
    seconds: hours * 3600 + minutes * 60 + seconds,
  }
}

function originalStartOf(event: ICAL.Component): Date | undefined {
  const property = event.getFirstProperty('recurrence-id')
  if (!property) return undefined
  if (parameterOf(property, 'range').toUpperCase() === 'THISANDFUTURE')
    throw new IcsEventRefused(
      'bad_recurrence',
      'RECURRENCE-ID with RANGE=THISANDFUTURE is not supported. Change the series, or each of its meetings.',
    )
  return instantOf(property, 'RECURRENCE-ID').at
}

/** A time with a zone or in UTC. */
function instantOf(property: ICAL.Property, name: string): { at: Date; timeZone: string } {
  const raw = String(property.jCal.at(3)).replace(/[-:]/g, '')
  const read = readWallTime(raw)
  if (!read) throw new IcsEventRefused('bad_time', `${name} ${raw.slice(0, 60)} is no time.`)
  if (read.kind === 'date')
    throw new IcsEventRefused('all_day', `${name} is a day without a time: all-day events are not recorded.`)
  if (read.kind === 'utc') return { at: instantAt(read.wall, 'UTC'), timeZone: 'UTC' }
  const tzid = parameterOf(property, 'tzid')
  if (tzid === '')
    throw new IcsEventRefused(
      'floating_time',
      `${name} has no time zone, so it is another moment for everybody. Give it a TZID, or write it in UTC.`,
    )
  const timeZone = zoneNamed(tzid)
  return { at: instantAt(read.wall, timeZone), timeZone }
}

function zoneNamed(tzid: string): string {
  const timeZone = timeZoneNamed(tzid)
  if (timeZone === undefined)
    throw new IcsEventRefused(
      'unknown_time_zone',
      `The time zone ${tzid.slice(0, 60)} is unknown. Use an IANA name, such as America/Bogota.`,
    )
  return timeZone
}

/** The line with the IANA name of its time zone; exceptions in UTC need none. */
function namedZones(line: string): string {
  const [, before, quoted, bare, after] = /^([^:"]*;TZID=)(?:"([^"]*)"|([^;:]*))(.*)$/i.exec(line) ?? []
  const tzid = quoted ?? bare
  return before === undefined || tzid === undefined ? line : `${before}${zoneNamed(tzid)}${after}`
}

function parameterOf(property: ICAL.Property, name: string): string {
  const value: unknown = property.getParameter(name)
  return String((Array.isArray(value) ? value[0] : value) ?? '')
}

function textOf(event: ICAL.Component, name: string): string | undefined {
  const value = event.getFirstPropertyValue(name)
  const text = typeof value === 'string' ? value.trim() : ''
  return text === '' ? undefined : text
}

function addressOf(property: ICAL.Property | null): string | undefined {
  if (!property) return undefined
  // Exchange names people by paths of its directory, and puts the address beside it.
  const candidates = [
    String(property.getFirstValue() ?? '').replace(/^mailto:/i, ''),
    parameterOf(property, 'email'),
  ]
  return candidates.find(text => /^[^\s@]+@[^\s@]+$/.test(text))?.toLowerCase()
}

function participantsOf(event: ICAL.Component): IcsEvent['participants'] {
  const found = new Map<string, IcsEvent['participants'][number]>()
  for (const attendee of event.getAllProperties('attendee')) {
    const email = addressOf(attendee)
    const kind = parameterOf(attendee, 'cutype').toUpperCase()
    // Rooms and things do not take part in a call; who has no address cannot be invited.
    if (email === undefined || kind === 'ROOM' || kind === 'RESOURCE') continue
    const name = parameterOf(attendee, 'cn').trim()
    const chair = parameterOf(attendee, 'role').toUpperCase() === 'CHAIR'
    found.set(email, {
      email,
      name: name === '' || name.toLowerCase() === email ? undefined : name,
      role: chair ? 'host' : 'participant',
    })
  }
  return [...found.values()]
}

function remindersOf(event: ICAL.Component): ReminderRule[] {
  const found = new Map<string, ReminderRule>()
  for (const alarm of event.getAllSubcomponents('valarm')) {
    const trigger = alarm.getFirstProperty('trigger')
    const duration = readDuration(String(trigger?.jCal.at(3)))
    // Alarms at a fixed time, or after the meeting, are nothing we have.
    if (!trigger || !duration || parameterOf(trigger, 'related').toUpperCase() === 'END') continue
    const minutes = (-duration.sign * (duration.days * 86_400 + duration.seconds)) / 60
    if (!Number.isInteger(minutes) || minutes < 0 || minutes > LONGEST_REMINDER_MINUTES) continue
    const channel =
      String(alarm.getFirstPropertyValue('action')).toUpperCase() === 'EMAIL' ? 'email' : 'popup'
    found.set(`${channel} ${minutes}`, { channel, ...inLargestUnit(minutes) })
  }
  return [...found.values()].slice(0, MOST_REMINDERS)
}

function inLargestUnit(minutes: number): Pick<ReminderRule, 'amount' | 'unit'> {
  const units = [
    ['weeks', 10_080],
    ['days', 1440],
    ['hours', 60],
  ] as const
  const fitting = units.find(([, size]) => minutes > 0 && minutes % size === 0)
  return fitting ? { amount: minutes / fitting[1], unit: fitting[0] } : { amount: minutes, unit: 'minutes' }
}
