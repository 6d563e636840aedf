import { GoogleError } from '../errors.ts'
import type { Call, World } from '../world.ts'
import { textParameter } from '../world.ts'
import { formatInZone } from './event-time.ts'

export interface EventTime {
  dateTime?: string
  date?: string
  timeZone?: string
}

export interface Attendee {
  email: string
  displayName?: string
  responseStatus?: string
  [field: string]: unknown
}

export interface ConferenceData {
  createRequest?: {
    requestId?: string
    conferenceSolutionKey?: { type?: string }
    status?: { statusCode: 'pending' | 'success' | 'failure' }
  }
  conferenceId?: string
  conferenceSolution?: { key?: { type?: string }; name?: string; iconUri?: string }
  entryPoints?: { entryPointType?: string; uri?: string; [field: string]: unknown }[]
  signature?: string
  [field: string]: unknown
}

/** The Event resource as Calendar keeps it; fields we give no meaning to are carried along. */
export interface EventResource {
  id: string
  status: string
  etag: string
  updated: string
  start: EventTime
  end: EventTime
  iCalUID: string
  sequence: number
  summary?: string
  attendees?: Attendee[]
  conferenceData?: ConferenceData
  hangoutLink?: string
  recurrence?: string[]
  recurringEventId?: string
  originalStartTime?: EventTime
  guestsCanModify?: boolean
  extendedProperties?: { private?: Record<string, string>; shared?: Record<string, string> }
  [field: string]: unknown
}

/** One event of the organizer's calendar. Guests see the same event with the same id. */
export interface CalendarEvent {
  organizer: string
  resource: EventResource
  /** Position of its newest change, for incremental lists. */
  revision: number
  /** Who was invited once: their calendars show the event as cancelled. */
  formerGuests?: string[]
}

/** The address behind `calendarId`; calendars of others are 404 as nothing is shared in the sandbox. */
export function calendarOf(call: Call): string {
  const id = textParameter(call, 'calendarId') ?? 'primary'
  const address = id === 'primary' ? call.caller.email : id.toLowerCase()
  if (address !== call.caller.email) throw notFound()
  return address
}

export function notFound(): GoogleError {
  return new GoogleError(404, 'Not Found', { reason: 'notFound' })
}

/** The event of that id in a calendar, its own or one it is invited to. */
export function findEvent(world: World, calendar: string, eventId: string): CalendarEvent | undefined {
  return (
    world.state.events.get(`${calendar}/${eventId}`) ??
    [...world.state.events.values()].find(
      event => event.resource.id === eventId && isGuest(event, calendar) && event.organizer !== calendar,
    )
  )
}

export function isGuest(event: CalendarEvent, calendar: string): boolean {
  return event.resource.attendees?.some(attendee => attendee.email.toLowerCase() === calendar) ?? false
}

/**
 * Marks a change: new etag, `updated`, and a new position for incremental lists (google-apis.md §1.6); channels on the
 * calendars it stands in are told.
 */
export function touch(world: World, event: CalendarEvent): void {
  world.state.calendarRevision++
  event.revision = world.state.calendarRevision
  event.resource.etag = `"${world.nowMs() * 2000 + event.revision}"`
  event.resource.updated = new Date(world.nowMs()).toISOString()
  const guests = (event.resource.attendees ?? []).map(attendee => attendee.email.toLowerCase())
  world.onCalendarChange(new Set([event.organizer, ...guests, ...(event.formerGuests ?? [])]))
}

export interface ViewOptions {
  maxAttendees?: number | undefined
  /** Zone in which times are written; the calendar's own when absent. */
  timeZone?: string | undefined
}

/** The event as one calendar shows it: `self` marks, and private properties only on the organizer's copy. */
export function viewEvent(
  event: CalendarEvent,
  calendar: string,
  { maxAttendees, timeZone }: ViewOptions = {},
): EventResource {
  const resource = structuredClone(event.resource)
  const own = event.organizer === calendar
  resource.organizer = { email: event.organizer, ...(own && { self: true }) }
  resource.creator = { email: event.organizer, ...(own && { self: true }) }
  if (!own && resource.extendedProperties) {
    const { shared } = resource.extendedProperties
    if (shared) resource.extendedProperties = { shared }
    else delete resource.extendedProperties
  }
  for (const attendee of resource.attendees ?? []) {
    if (attendee.email.toLowerCase() === event.organizer) attendee.organizer = true
    if (attendee.email.toLowerCase() === calendar) attendee.self = true
  }
  if (maxAttendees !== undefined && resource.attendees && resource.attendees.length > maxAttendees) {
    resource.attendees = resource.attendees.filter(attendee => attendee.self).slice(0, maxAttendees)
    resource.attendeesOmitted = true
  }
  if (timeZone !== undefined)
    for (const time of [resource.start, resource.end, resource.originalStartTime])
      if (time?.dateTime !== undefined) time.dateTime = formatInZone(Date.parse(time.dateTime), timeZone)
  return resource
}

/** All that Google promises of a cancelled event: its id, and which instance of which series it was. */
export function viewCancelled({ resource }: CalendarEvent): Partial<EventResource> {
  const { kind, etag, id, recurringEventId, originalStartTime } = resource
  return {
    kind,
    etag,
    id,
    status: 'cancelled',
    ...(recurringEventId !== undefined && { recurringEventId }),
    ...(originalStartTime && { originalStartTime }),
  }
}
