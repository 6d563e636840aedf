import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { type Conference, readConference } from './conference.ts'
import { MEETING_KEY, withoutNotice } from './event-body.ts'

/** Whose calendar is meant. */
export interface CalendarRef {
  /** Workspace user who is impersonated. */
  subject: string
  /** Address of a calendar that this user may read; the user's own when absent. */
  calendarId?: string
}

export type ResponseStatus = 'needs_action' | 'accepted' | 'tentative' | 'declined'

export interface EventAttendee {
  /** As written in the calendar; compare without case. */
  email: string
  name: string | null
  response: ResponseStatus
  comment: string | null
  isOptional: boolean
  isOrganizer: boolean
  /** A room or a piece of equipment. */
  isResource: boolean
}

/**
 * An event as a calendar tells of it. Of a cancelled one Google promises the id only, and of a cancelled instance which
 * one of which series it was (google-apis.md §1.5, §1.7): everything else may be null or empty then.
 */
export interface CalendarEvent {
  eventId: string
  status: 'confirmed' | 'tentative' | 'cancelled'
  /** The series that this is one instance of. */
  seriesId: string | null
  /** When the series would have it: names the instance whatever it was moved to. Null for whole days. */
  originalStart: Date | null
  /** RRULE, RDATE, EXDATE lines of a series; empty for everything else. */
  recurrence: readonly string[]
  /** Null for whole days, and for cancelled events that show no more than their id. */
  start: Date | null
  end: Date | null
  /** Whole days: `YYYY-MM-DD`, the end is the first day after. */
  days: { start: string; end: string } | null
  /** IANA name in which the event was made. */
  timeZone: string | null
  topic: string
  /** Without our notice of recording. */
  description: string
  location: string | null
  organizerEmail: string | null
  /** Whether the calendar that was read is the organizer's, where changes can be made for everybody. */
  isOrganizer: boolean
  attendees: readonly EventAttendee[]
  /** False when Google left attendees out: then who is missing may still be invited. */
  attendeesComplete: boolean
  conference: Conference
  /** Our meeting's id, on events that Testigo made. A series split off in the calendar may carry it too. */
  meetingId: string | null
  etag: string
  updatedAt: Date | null
  /** Rises when times change. */
  sequence: number
  /** The same for a series and all its instances, in every calendar. */
  iCalUid: string | null
  htmlLink: string | null
}

/** Reads an event of Google's, whole or as bare as cancelled ones are. An entry without an id says nothing: null. */
export function readEvent(event: calendar_v3.Schema$Event): CalendarEvent | null {
  const { id, status, start, end, attendees, originalStartTime } = event
  if (!id) return null
  return {
    eventId: id,
    status: status === 'cancelled' || status === 'tentative' ? status : 'confirmed',
    seriesId: event.recurringEventId ?? null,
    originalStart: instant(originalStartTime?.dateTime),
    recurrence: event.recurrence ?? [],
    start: instant(start?.dateTime),
    end: instant(end?.dateTime),
    days: start?.date && end?.date ? { start: start.date, end: end.date } : null,
    timeZone: start?.timeZone ?? null,
    topic: event.summary ?? '',
    description: withoutNotice(event.description ?? ''),
    location: event.location ?? null,
    organizerEmail: event.organizer?.email?.toLowerCase() ?? null,
    isOrganizer: event.organizer?.self === true,
    attendees: (attendees ?? []).flatMap(readAttendee),
    attendeesComplete: event.attendeesOmitted !== true,
    conference: readConference(event),
    meetingId: event.extendedProperties?.private?.[MEETING_KEY] ?? null,
    etag: event.etag ?? '',
    updatedAt: instant(event.updated),
    sequence: event.sequence ?? 0,
    iCalUid: event.iCalUID ?? null,
    htmlLink: event.htmlLink ?? null,
  }
}

const RESPONSES: Record<string, ResponseStatus> = {
  accepted: 'accepted',
  declined: 'declined',
  tentative: 'tentative',
}

function readAttendee(attendee: calendar_v3.Schema$EventAttendee): EventAttendee[] {
  const { email, displayName, responseStatus, comment, optional, organizer, resource } = attendee
  // Guests whose address is hidden have none: they are nobody we could name.
  if (!email) return []
  return [
    {
      email,
      name: displayName ?? null,
      response: RESPONSES[responseStatus ?? ''] ?? 'needs_action',
      comment: comment ?? null,
      isOptional: optional === true,
      isOrganizer: organizer === true,
      isResource: resource === true,
    },
  ]
}

function instant(text: string | null | undefined): Date | null {
  return text ? new Date(text) : null
}
