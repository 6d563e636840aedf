import { randomUUID } from 'node:crypto'
import { calendar, type calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { type CalendarEvent, readEvent } from './calendar-event.ts'
import type { Call, CallGoogle } from './call.ts'
import { readConference } from './conference.ts'
import {
  alreadySays,
  changedFields,
  conferenceRequest,
  eventIdFor,
  MEETING_KEY,
  type MeetingDetails,
  mergeAttendees,
  newEvent,
} from './event-body.ts'
import { GoogleFault, isFault } from './fault.ts'
import { backoffMs } from './retry.ts'

type Event = calendar_v3.Schema$Event

/** A meeting to put into the organizer's calendar. */
export interface MeetingToPut extends MeetingDetails {
  /** Our meeting's UUID. */
  meetingId: string
  /** Counts the events made for this meeting after the first one was cancelled. */
  revision?: number
}

interface PutEvent {
  eventId: string
  /** `https://meet.google.com/abc-mnop-xyz` */
  joinUrl: string
  /** `abc-mnop-xyz` */
  meetingCode: string
  /** As the calendar has it now. */
  event: CalendarEvent
}

interface Attachment {
  /** The file's `webViewLink` (google-apis.md §1.9). */
  fileUrl: string
  title: string
  mimeType: string
}

/**
 * What Testigo asks of Google Calendar, as the organizer. All of it throws {@link GoogleFault}. An event id may be that
 * of a single event, of a series, or of one instance, which becomes an exception of its series when it is changed.
 */
export interface Calendar {
  /** The same for another organizer of the domain. */
  as(organizer: string): Calendar
  /**
   * Makes the meeting's event, or its series, with a Meet link and invites everybody and the bot; done twice it is
   * still one event. The instances of a series share its link.
   * @throws {GoogleFault} `gone` when the event was cancelled, `conflict` when the id is somebody else's,
   * `unavailable` with reason `conference_pending` or `conference_failed`: ask again later
   */
  putEvent(meeting: MeetingToPut, signal?: AbortSignal): Promise<PutEvent>
  /**
   * Changes the fields given; participants are the whole new list. Guests are told, unless nothing changed.
   * @param look is shown also an event that was cancelled
   * @returns the event as it is then
   */
  patchEvent(
    eventId: string,
    changes: Partial<MeetingDetails>,
    signal?: AbortSignal,
    look?: Look,
  ): Promise<CalendarEvent>
  /** Cancels with notice to the guests; an event that is gone already counts as cancelled. */
  cancelEvent(eventId: string, signal?: AbortSignal): Promise<void>
  /** Adds a file to the event's attachments, once. */
  attachRecording(eventId: string, attachment: Attachment, signal?: AbortSignal): Promise<void>
}

/** Is shown an event before it is changed. What it throws comes back, and nothing is changed. */
export type Look = (there: CalendarEvent) => Promise<void>

type CalendarSettings = Pick<Config['google'], 'organizer' | 'botEmail' | 'timeoutMs'>

const SCOPES = ['https://www.googleapis.com/auth/calendar.events']
const CALENDAR = { calendarId: 'primary' } as const
const MAX_REREADS = 5
const NOT_FOUND_TRIES = 3

export function createCalendar(deps: {
  call: CallGoogle
  settings: CalendarSettings
  clock: Clock
}): Calendar {
  const { call, settings, clock } = deps
  const { events } = calendar('v3')

  const about = (method: string, signal: AbortSignal | undefined, more: Partial<Call> = {}): Call => {
    if (settings.organizer === undefined)
      throw new GoogleFault(
        { service: 'calendar', code: 'misconfigured', reason: 'no_organizer' },
        'No calendar to make meetings in. Set TESTIGO_GOOGLE_ORGANIZER to a Workspace user.',
      )
    return { service: 'calendar', method, subject: settings.organizer, scopes: SCOPES, signal, ...more }
  }

  const get = async (eventId: string, signal: AbortSignal | undefined): Promise<Event> =>
    (await call(about('events.get', signal), options => events.get({ ...CALENDAR, eventId }, options))).data

  /** Reads an event that exists by all we know: Calendar may need a moment to say so (google-apis.md §1.10). */
  const getSoon = async (eventId: string, signal: AbortSignal | undefined): Promise<Event> => {
    for (let tries = 0; ; tries++) {
      try {
        return await get(eventId, signal)
      } catch (error) {
        if (!isFault(error, 'not_found') || tries + 1 >= NOT_FOUND_TRIES) throw error
        await clock.sleep(backoffMs(tries), signal)
      }
    }
  }

  /**
   * Read, change, write if nobody wrote in between; a lost answer shows as 412 and the next read finds the work done.
   * `change` answers with the fields to write, or undefined when there is nothing to do.
   */
  const rewrite = async (
    eventId: string,
    parameters: Omit<calendar_v3.Params$Resource$Events$Patch, 'calendarId' | 'eventId' | 'requestBody'>,
    signal: AbortSignal | undefined,
    change: (event: Event) => Event | undefined,
    look?: Look,
  ): Promise<Event> => {
    for (let reads = 1; ; reads++) {
      const event = await get(eventId, signal)
      await look?.(asRead(event))
      refuseCancelled(event, eventId)
      const requestBody = change(event)
      if (!requestBody) return event
      const headers = { 'if-match': event.etag ?? '*' }
      try {
        const answer = await call(about('events.patch', signal, { idempotent: true, headers }), options =>
          // Left out, conferenceDataVersion would drop the Meet link (google-apis.md §1.2).
          events.patch(
            { ...CALENDAR, eventId, conferenceDataVersion: 1, requestBody, ...parameters },
            options,
          ),
        )
        return answer.data
      } catch (error) {
        if (!isFault(error, 'precondition_failed') || reads >= MAX_REREADS) throw error
      }
    }
  }

  /** The event that a repeated or unanswered insert left behind, if it is this meeting's and alive. */
  const adopt = async (
    eventId: string,
    meetingId: string,
    signal: AbortSignal | undefined,
  ): Promise<Event> => {
    const event = await getSoon(eventId, signal)
    if (event.extendedProperties?.private?.[MEETING_KEY] !== meetingId)
      throw new GoogleFault(
        { service: 'calendar', code: 'conflict', reason: 'foreign_event', retryable: false },
        `The event ${eventId} exists and does not belong to meeting ${meetingId}.`,
      )
    refuseCancelled(event, eventId)
    const conference = readConference(event)
    if (conference.status !== 'failure' && conference.status !== 'absent') return event
    // Google ignores a request id it has seen: another try at the conference needs another one.
    return rewrite(eventId, { sendUpdates: 'all' }, signal, () => ({
      conferenceData: conferenceRequest(randomUUID()),
    }))
  }

  /** Polls while Google makes the conference; it tells nobody when it is done (google-apis.md §1.2). */
  const waitForConference = async (first: Event, signal: AbortSignal | undefined): Promise<PutEvent> => {
    const deadlineMs = clock.now() + settings.timeoutMs
    let event = first
    for (let polls = 0; ; polls++) {
      const conference = readConference(event)
      if (conference.status === 'success') {
        return {
          eventId: event.id ?? '',
          joinUrl: conference.joinUrl,
          meetingCode: conference.meetingCode,
          event: asRead(event),
        }
      }
      const waitMs = Math.min(250 * 2 ** polls, 4000)
      if (conference.status !== 'pending' || clock.now() + waitMs > deadlineMs)
        throw noConference(event, conference.status)
      await clock.sleep(waitMs, signal)
      event = await get(event.id ?? '', signal)
      refuseCancelled(event, event.id ?? '')
    }
  }

  return {
    as: organizer => createCalendar({ call, settings: { ...settings, organizer }, clock }),

    putEvent: async (meeting, signal) => {
      const eventId = eventIdFor(meeting.meetingId, meeting.revision)
      const requestBody = newEvent(eventId, meeting.meetingId, meeting, settings.botEmail)
      let event: Event
      try {
        const answer = await call(about('events.insert', signal, { idempotent: true }), options =>
          events.insert({ ...CALENDAR, conferenceDataVersion: 1, sendUpdates: 'all', requestBody }, options),
        )
        event = answer.data
      } catch (error) {
        if (!isFault(error, 'conflict')) throw error
        event = await adopt(eventId, meeting.meetingId, signal)
      }
      return waitForConference(event, signal)
    },

    patchEvent: async (eventId, changes, signal, look) => {
      const change = (present: Event) => {
        const fields = changedFields(changes)
        if (changes.participants)
          fields.attendees = mergeAttendees(present.attendees ?? [], changes.participants, settings.botEmail)
        return alreadySays(present, fields) ? undefined : fields
      }
      return asRead(await rewrite(eventId, { sendUpdates: 'all' }, signal, change, look))
    },

    cancelEvent: async (eventId, signal) => {
      try {
        await call(about('events.delete', signal), options =>
          events.delete({ ...CALENDAR, eventId, sendUpdates: 'all' }, options),
        )
      } catch (error) {
        if (!isFault(error, 'gone') && !isFault(error, 'not_found')) throw error
      }
    },

    attachRecording: async (eventId, attachment, signal) => {
      // `none`: the guests were not promised a mail for each recording.
      await rewrite(eventId, { supportsAttachments: true, sendUpdates: 'none' }, signal, event => {
        const present = event.attachments ?? []
        if (present.some(one => one.fileUrl === attachment.fileUrl)) return undefined
        const kept = present.map(({ fileUrl, title, mimeType }) => ({
          ...(fileUrl && { fileUrl }),
          ...(title && { title }),
          ...(mimeType && { mimeType }),
        }))
        return { attachments: [...kept, attachment] }
      })
    },
  }
}

/** @throws {GoogleFault} for an answer that is no event */
function asRead(event: Event): CalendarEvent {
  const read = readEvent(event)
  if (read) return read
  throw new GoogleFault(
    { service: 'calendar', code: 'unavailable', reason: 'no_event_id' },
    'Google Calendar answered with an event that has no id.',
  )
}

function refuseCancelled(event: Event, eventId: string): void {
  if (event.status !== 'cancelled') return
  throw new GoogleFault(
    { service: 'calendar', code: 'gone', reason: 'cancelled' },
    `The event ${eventId} was cancelled in the calendar.`,
  )
}

function noConference(event: Event, status: 'pending' | 'failure' | 'absent'): GoogleFault {
  if (status === 'pending')
    return new GoogleFault(
      { service: 'calendar', code: 'unavailable', reason: 'conference_pending' },
      `Google has not finished the Meet link of event ${event.id}.`,
    )
  return new GoogleFault(
    { service: 'calendar', code: 'unavailable', reason: 'conference_failed' },
    status === 'failure'
      ? `Google could not make the Meet link of event ${event.id}.`
      : `Google made the event ${event.id} without a Meet link. Check that the organizer's Workspace allows Meet links in its calendar.`,
  )
}
