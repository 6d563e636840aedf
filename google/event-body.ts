import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'

type Event = calendar_v3.Schema$Event
type Attendee = calendar_v3.Schema$EventAttendee

/** Somebody who is invited. */
export interface Invitee {
  email: string
  name?: string | undefined
}

/** A meeting as its event shows it. */
export interface MeetingDetails {
  topic: string
  /** Without the recording notice, which is added here. */
  description?: string | undefined
  start: Date
  end: Date
  /** IANA name; what the organizer's calendar shows times in. */
  timeZone?: string | undefined
  participants: readonly Invitee[]
  /** Notes in the organizer's calendar before the start, in the place of its usual ones; guests have their own. */
  reminders?: readonly { method: 'popup'; minutes: number }[] | undefined
  /** RRULE, RDATE and EXDATE lines that make it a series; these need `timeZone` (google-apis.md §1.5). */
  recurrence?: readonly string[] | undefined
}

/** Key in the event's private properties that says which meeting it is. */
export const MEETING_KEY = 'testigoMeetingId'

const RECORDING_NOTICE = [
  'Esta reunión se graba en audio y video. Al participar, usted acepta que se grabe.',
  'This meeting is recorded in audio and video. By taking part you agree to the recording.',
].join('\n')

/**
 * The event id of a meeting: known before Google is asked, so that asking twice makes one event. Lowercase a–v and
 * digits only, which the hex digits of a UUID fit (google-apis.md §1.3). A cancelled event keeps its id for ever:
 * raise `revision` to make another one for the same meeting.
 */
export function eventIdFor(meetingId: string, revision = 0): string {
  const hex = meetingId.toLowerCase().replaceAll('-', '')
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new TypeError(`A meeting's id is a UUID, not ${meetingId}`)
  if (!Number.isSafeInteger(revision) || revision < 0)
    throw new RangeError(`A revision counts from 0, not ${revision}`)
  return `testigo${hex}${revision === 0 ? '' : `r${revision}`}`
}

/** The description with the notice of recording, in Spanish and English, after the organizer's own words. */
function withNotice(description: string | undefined): string {
  const own = description?.trim()
  return own ? `${own}\n\n${RECORDING_NOTICE}` : RECORDING_NOTICE
}

/** The organizer's own words in a description, whatever the calendar's pages made of the notice behind them. */
export function withoutNotice(description: string): string {
  const [firstWords = ''] = RECORDING_NOTICE.split('.')
  const at = description.indexOf(firstWords)
  return at < 0 ? description : description.slice(0, at).replace(/(\s|<br ?\/?>|<p>|&nbsp;)+$/i, '')
}

/** The body of an insert; `requestId` of its conference is the event's id (google-apis.md §1.2). */
export function newEvent(
  eventId: string,
  meetingId: string,
  details: MeetingDetails,
  botEmail: string | undefined,
): Event {
  if (details.recurrence?.length && details.timeZone === undefined)
    throw new TypeError('A series needs the time zone whose clock it goes by')
  return {
    id: eventId,
    ...changedFields({ ...details, description: details.description ?? '' }),
    attendees: mergeAttendees([], details.participants, botEmail),
    conferenceData: conferenceRequest(eventId),
    extendedProperties: { private: { [MEETING_KEY]: meetingId } },
  }
}

/** Asks Calendar for a Meet conference. The same `requestId` twice is ignored by Google. */
export function conferenceRequest(requestId: string): calendar_v3.Schema$ConferenceData {
  return { createRequest: { requestId, conferenceSolutionKey: { type: 'hangoutsMeet' } } }
}

/** The fields of a patch that are given, attendees apart. `timeZone` goes with `start` and `end`. */
export function changedFields(changes: Partial<MeetingDetails>): Event {
  const { topic, description, start, end, timeZone, recurrence, reminders } = changes
  const time = (at: Date) => ({ dateTime: at.toISOString(), ...(timeZone !== undefined && { timeZone }) })
  return {
    ...(topic !== undefined && { summary: topic }),
    ...(description !== undefined && { description: withNotice(description) }),
    ...(start && { start: time(start) }),
    ...(end && { end: time(end) }),
    ...(recurrence && { recurrence: [...recurrence] }),
    ...(reminders && {
      reminders:
        reminders.length > 0 ? { useDefault: false, overrides: [...reminders] } : { useDefault: true },
    }),
  }
}

/**
 * The whole list of attendees after a change, since a patch replaces arrays (google-apis.md §1.6). Who stays keeps
 * the answer given in the calendar; the organizer's own entry and rooms are not ours to remove; the bot is always in.
 */
export function mergeAttendees(
  present: readonly Attendee[],
  participants: readonly Invitee[],
  botEmail: string | undefined,
): Attendee[] {
  const wanted = new Map(participants.map(one => [one.email.toLowerCase(), one]))
  if (botEmail !== undefined && !wanted.has(botEmail.toLowerCase()))
    wanted.set(botEmail.toLowerCase(), { email: botEmail })
  const kept = present.filter(one => one.organizer || one.resource || wanted.has(emailOf(one)))
  const keptEmails = new Set(kept.map(emailOf))
  const added = [...wanted].filter(([email]) => !keptEmails.has(email)).map(([, one]) => one)
  return [
    ...kept.map(writable),
    ...added.map(({ email, name }) => ({
      email,
      ...(name !== undefined && { displayName: name }),
      responseStatus: 'needsAction',
    })),
  ]
}

/** Whether a patch with these fields would change nothing: then nobody has to be mailed again. */
export function alreadySays(event: Event, fields: Event): boolean {
  const sameTime = (field: 'start' | 'end') =>
    fields[field] === undefined ||
    (Date.parse(event[field]?.dateTime ?? '') === Date.parse(fields[field]?.dateTime ?? '') &&
      (fields[field]?.timeZone === undefined || fields[field]?.timeZone === event[field]?.timeZone))
  const emails = (list: readonly Attendee[] | undefined) => JSON.stringify(list?.map(emailOf).sort())
  const popups = ({ reminders }: Event) =>
    JSON.stringify((reminders?.overrides ?? []).map(({ method, minutes }) => `${method} ${minutes}`).sort())
  // The parts of a rule may come back in another order.
  const rules = (lines: readonly string[] | null | undefined) =>
    JSON.stringify((lines ?? []).map(line => line.split(/[:;]/).sort()).sort())
  return (
    (fields.summary === undefined || fields.summary === event.summary) &&
    (fields.description === undefined || fields.description === event.description) &&
    sameTime('start') &&
    sameTime('end') &&
    (fields.reminders === undefined || popups(fields) === popups(event)) &&
    (fields.recurrence === undefined || rules(fields.recurrence) === rules(event.recurrence)) &&
    (fields.attendees === undefined || emails(fields.attendees) === emails(event.attendees ?? []))
  )
}

function emailOf(attendee: Attendee): string {
  return attendee.email?.toLowerCase() ?? ''
}

// `id`, `self` and `organizer` are Google's to write.
function writable(attendee: Attendee): Attendee {
  const { email, displayName, optional, resource, comment, responseStatus, additionalGuests } = attendee
  const fields = { email, displayName, optional, resource, comment, responseStatus, additionalGuests }
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  )
}
