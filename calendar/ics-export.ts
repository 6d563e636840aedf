import {
  ICalAlarmType,
  ICalAttendeeRole,
  ICalAttendeeStatus,
  ICalCalendar,
  ICalCalendarMethod,
  type ICalDateTimeValue,
  type ICalEvent,
  ICalEventStatus,
} from 'ical-generator'
import { type Recurrence, writeRecurrence } from './recurrence.ts'
import { minutesBefore, type ReminderRule } from './reminders.ts'
import { timeZoneComponent } from './time-zone-component.ts'
import { wallTimeAt } from './wall-time.ts'

interface IcsPerson {
  email: string
  name?: string | undefined
}

/** A meeting, a series, or one changed meeting of a series (with `originalStart`), as an ICS file tells of it. */
export interface IcsMeeting {
  /** Stays the same for the whole life of the meeting, and for all meetings of a series. */
  uid: string
  /** Grows with every change; programs ignore what has a smaller one than they know. */
  sequence: number
  topic: string
  description?: string | undefined
  start: Date
  end: Date
  /** IANA name. */
  timeZone: string
  cancelled: boolean
  joinUrl?: string | undefined
  organizer: IcsPerson
  attendees: readonly (IcsPerson & {
    role: 'host' | 'participant'
    response?: 'accepted' | 'declined' | 'tentative' | 'needsAction' | undefined
  })[]
  reminders: readonly ReminderRule[]
  recurrence?: Recurrence | undefined
  /** The start that the rule gave to this one meeting of a series; excludes `recurrence`. */
  originalStart?: Date | undefined
  createdAt: Date
  updatedAt: Date
}

const PRODUCT = { company: 'Testigo', product: 'Testigo', language: 'ES' }
const RESPONSES = {
  accepted: ICalAttendeeStatus.ACCEPTED,
  declined: ICalAttendeeStatus.DECLINED,
  tentative: ICalAttendeeStatus.TENTATIVE,
  needsAction: ICalAttendeeStatus.NEEDSACTION,
}
const METHODS = {
  publish: ICalCalendarMethod.PUBLISH,
  request: ICalCalendarMethod.REQUEST,
  cancel: ICalCalendarMethod.CANCEL,
}

/**
 * Meetings as the text of an ICS file (RFC 5545), with the time zones they need.
 * @param options `method`: `publish` for a file to import, `request` for an invitation, `cancel` to take it back;
 * `name`: of the calendar, shown by programs that subscribe to it; `now`: when the file is made
 */
export function writeIcs(
  meetings: readonly IcsMeeting[],
  options: { method: keyof typeof METHODS; now: Date; name?: string },
): string {
  const calendar = new ICalCalendar({
    prodId: PRODUCT,
    method: METHODS[options.method],
    ...(options.name !== undefined && { name: plain(options.name) }),
    timezone: { name: null, generator: zone => zoneFor(zone, meetings, options.now) },
  })
  for (const meeting of meetings) addMeeting(calendar, meeting, options.now)
  // The library ends without a line break, which RFC 5545 §3.1 wants behind every line.
  return `${calendar.toString().replace(/(\r\n)*$/, '')}\r\n`
}

function addMeeting(calendar: ICalCalendar, meeting: IcsMeeting, now: Date): void {
  const { timeZone, recurrence, originalStart, joinUrl, organizer } = meeting
  const event = calendar.createEvent({
    id: meeting.uid,
    sequence: meeting.sequence,
    stamp: now,
    start: zoned(meeting.start, timeZone),
    end: zoned(meeting.end, timeZone),
    timezone: timeZone,
    summary: plain(meeting.topic),
    status: meeting.cancelled ? ICalEventStatus.CANCELLED : ICalEventStatus.CONFIRMED,
    organizer: { name: plain(organizer.name ?? organizer.email), email: organizer.email },
    created: meeting.createdAt,
    lastModified: meeting.updatedAt,
    ...(meeting.description !== undefined && { description: plain(meeting.description) }),
    ...(joinUrl !== undefined && { location: joinUrl, url: joinUrl }),
    ...(originalStart && { recurrenceId: zoned(originalStart, timeZone) }),
    ...(recurrence && { repeating: writeRecurrence(recurrence).join('\r\n') }),
  })
  for (const { email, name, role, response = 'needsAction' } of meeting.attendees)
    event.createAttendee({
      email,
      // One without it would be shown as nothing at all by some programs.
      name: plain(name ?? email),
      role: role === 'host' ? ICalAttendeeRole.CHAIR : ICalAttendeeRole.REQ,
      status: RESPONSES[response],
      rsvp: response === 'needsAction',
    })
  if (!meeting.cancelled) for (const rule of meeting.reminders) addReminder(event, meeting, rule)
}

function addReminder(event: ICalEvent, meeting: IcsMeeting, rule: ReminderRule): void {
  const { topic, attendees, organizer } = meeting
  const alarm = {
    // Seconds before the start.
    trigger: minutesBefore(rule) * 60,
    description: plain(topic),
  }
  if (rule.channel === 'popup') event.createAlarm({ ...alarm, type: ICalAlarmType.display })
  else
    event.createAlarm({
      ...alarm,
      type: ICalAlarmType.email,
      summary: plain(topic),
      // A mail needs somebody to go to (RFC 5545 §3.6.6).
      attendees: (attendees.length > 0 ? attendees : [organizer]).map(({ email, name }) => ({
        email,
        name: plain(name ?? email),
      })),
    })
}

function zoneFor(zone: string, meetings: readonly IcsMeeting[], now: Date): string {
  const starts = meetings.filter(({ timeZone }) => timeZone === zone).map(({ start }) => start.getTime())
  return timeZoneComponent(zone, new Date(Math.min(...starts)), new Date(Math.max(...starts, now.getTime())))
}

/** An instant as the library takes one that belongs to a zone: it looks like a Temporal.ZonedDateTime. */
function zoned(instant: Date, timeZone: string): ICalDateTimeValue {
  const text = instant.toISOString()
  const epoch = { epochMilliseconds: instant.getTime() }
  const wall = {
    ...wallTimeAt(instant, timeZone),
    toJSON: () => text,
    toString: () => text,
  }
  const value = {
    ...wall,
    timeZoneId: timeZone,
    toInstant: () => ({
      ...epoch,
      toJSON: () => text,
      toZonedDateTimeISO: (zone: string) => zoned(instant, zone),
    }),
    toPlainDateTime: () => ({
      ...wall,
      toPlainDate: () => wall,
      toZonedDateTime: (zone: string) => zoned(instant, zone),
    }),
    withTimeZone: (zone: string) => zoned(instant, zone),
  }
  return value as unknown as ICalDateTimeValue
}

/** Text without the control characters that RFC 5545 §3.3.11 forbids; lines stay lines. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
  return text.replace(/\r\n?/g, '\n').replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')
}
