import { randomUUID } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import { type Answer, type Call, textParameter } from '../world.ts'
import { writeConference } from './conference.ts'
import {
  type Attendee,
  type CalendarEvent,
  type ConferenceData,
  calendarOf,
  type EventResource,
  type EventTime,
  findEvent,
  notFound,
  touch,
  viewCancelled,
  viewEvent,
} from './event.ts'
import { mergePatch, writableFields } from './event-body.ts'
import { storedTimes } from './event-time.ts'
import { guestAddresses, recordMails } from './mails.ts'
import { instanceById, settleExceptions } from './recurrence.ts'
import { checkRecurrence } from './recurrence-rule.ts'

/** `events.insert`: client ids (§1.3), times, guests, and the conference when version 1 is asked for. */
export async function insertEvent(call: Call): Promise<Answer> {
  const { world, caller, body } = call
  const calendar = calendarOf(call)
  const id = (body.id as string | null | undefined) ?? randomUUID().replaceAll('-', '').slice(0, 26)
  if (!/^[a-v0-9]{5,1024}$/.test(id))
    throw new GoogleError(400, 'Invalid resource id value.', { reason: 'invalid' })
  if (body.id && body.iCalUID)
    throw new GoogleError(400, 'Only one of id and iCalUID may be given.', { reason: 'invalid' })
  if (world.state.events.has(`${calendar}/${id}`))
    throw new GoogleError(409, 'The requested identifier already exists.', { reason: 'duplicate' })
  const fields = mergePatch({}, writableFields(body, caller, call.parameters.supportsAttachments === true))
  const now = new Date(world.nowMs()).toISOString()
  const resource = {
    kind: 'calendar#event',
    status: 'confirmed',
    htmlLink: `https://www.google.com/calendar/event?eid=${Buffer.from(`${id} ${calendar}`).toString('base64url')}`,
    created: now,
    iCalUID: `${id}@google.com`,
    reminders: { useDefault: true },
    eventType: 'default',
    ...fields,
    id,
    sequence: 0,
  } as unknown as EventResource
  const event: CalendarEvent = { organizer: calendar, resource, revision: 0 }
  checkRecurrence(resource.recurrence)
  Object.assign(resource, storedTimes(resource, world.calendarTimeZone))
  if (call.parameters.conferenceDataVersion === 1)
    await writeConference(world, caller, event, body.conferenceData as ConferenceData)
  touch(world, event)
  world.state.events.set(`${calendar}/${id}`, event)
  recordMails(call, event, [], 'invitation')
  return answerEvent(call, event, calendar)
}

export function getEvent(call: Call): Answer {
  const calendar = calendarOf(call)
  const id = textParameter(call, 'eventId') ?? ''
  const former = [...call.world.state.events.values()].find(
    event => event.resource.id === id && event.formerGuests?.includes(calendar),
  )
  // Who was taken off the list finds the event cancelled, as if it had been deleted.
  if (former) return { json: viewCancelled(former) }
  const event = eventOf(call, calendar)
  if (call.request.headers['if-none-match'] === event.resource.etag) return { status: 304 }
  return answerEvent(call, event, calendar)
}

/** `events.patch`: objects merge, arrays are replaced (§1.6). */
export function patchEvent(call: Call): Promise<Answer> {
  return changeEvent(call, (resource, fields) => mergePatch(resource, fields))
}

/** `events.update`: what is not sent goes back to its default; Calendar's own fields stay. */
export function updateEvent(call: Call): Promise<Answer> {
  return changeEvent(call, (resource, fields) => {
    const kept = ['kind', 'id', 'etag', 'htmlLink', 'created', 'updated', 'iCalUID', 'sequence', 'eventType']
    kept.push('conferenceData', 'hangoutLink', 'recurringEventId', 'originalStartTime', 'status')
    if (call.parameters.supportsAttachments !== true) kept.push('attachments')
    const base = Object.fromEntries(Object.entries(resource).filter(([name]) => kept.includes(name)))
    return { reminders: { useDefault: true }, ...mergePatch(base, fields) } as unknown as EventResource
  })
}

async function changeEvent(
  call: Call,
  change: (resource: EventResource, fields: Record<string, unknown>) => EventResource,
): Promise<Answer> {
  const { world, caller, body } = call
  const calendar = calendarOf(call)
  const event = eventOf(call, calendar)
  checkIfMatch(call, event)
  const before = guestAddresses(event)
  if (event.resource.status === 'cancelled')
    throw new GoogleError(403, 'Forbidden: the event is cancelled.', { reason: 'forbidden' })
  if (event.organizer !== calendar && event.resource.guestsCanModify !== true) {
    answerInvitation(call, event, calendar)
    return answerEvent(call, event, calendar)
  }
  const fields = writableFields(body, caller, call.parameters.supportsAttachments === true)
  if (fields.id !== undefined && fields.id !== event.resource.id)
    throw new GoogleError(400, 'Invalid resource id value.', { reason: 'invalid' })
  const changed = change(event.resource, fields)
  checkRecurrence(changed.recurrence)
  Object.assign(changed, storedTimes(changed, world.calendarTimeZone))
  const moved = !sameTime(changed.start, event.resource.start) || !sameTime(changed.end, event.resource.end)
  if (moved) changed.sequence++
  const draft: CalendarEvent = { ...event, resource: changed }
  if (call.parameters.conferenceDataVersion === 1) {
    const wanted = body.conferenceData as ConferenceData | null | undefined
    await writeConference(world, caller, draft, call.request.method === 'PUT' ? (wanted ?? null) : wanted)
  }
  // The same object goes on: a pending conference holds on to it.
  event.resource = draft.resource
  rememberGuests(event, before)
  store(call, event)
  if (event.resource.recurrence) settleExceptions(world, event)
  if (changed.status === 'cancelled') await announceCancelled(call, event)
  recordMails(call, event, before, changed.status === 'cancelled' ? 'cancellation' : 'update')
  return answerEvent(call, event, calendar)
}

/** `events.delete`: the event stays as `cancelled` and keeps its id; a second delete is 410 (§1.3). */
export async function deleteEvent(call: Call): Promise<Answer> {
  const { world } = call
  const calendar = calendarOf(call)
  const event = eventOf(call, calendar)
  checkIfMatch(call, event)
  if (event.resource.status === 'cancelled')
    throw new GoogleError(410, 'Resource has been deleted', { reason: 'deleted' })
  if (event.organizer !== calendar) {
    setResponse(event, calendar, 'declined')
    store(call, event)
    return { status: 204 }
  }
  event.resource.status = 'cancelled'
  store(call, event)
  if (event.resource.recurrence) settleExceptions(world, event)
  await announceCancelled(call, event)
  recordMails(call, event, guestAddresses(event), 'cancellation')
  return { status: 204 }
}

async function announceCancelled(call: Call, event: CalendarEvent): Promise<void> {
  const code = event.resource.conferenceData?.conferenceId
  if (code !== undefined) await call.world.onCancelled({ code, eventId: event.resource.id })
}

/** The event a call names; an instance of a series becomes an exception of its own when it is stored (§1.5). */
function eventOf(call: Call, calendar: string): CalendarEvent {
  const id = textParameter(call, 'eventId') ?? ''
  const event = findEvent(call.world, calendar, id) ?? instanceById(call.world, calendar, id)
  if (!event) throw notFound()
  return event
}

function store({ world }: Call, event: CalendarEvent): void {
  touch(world, event)
  world.state.events.set(`${event.organizer}/${event.resource.id}`, event)
}

/** Who was taken off the list has to learn that the event is no longer theirs. */
function rememberGuests(event: CalendarEvent, before: string[]): void {
  const now = guestAddresses(event)
  const former = new Set([...(event.formerGuests ?? []), ...before].filter(address => !now.includes(address)))
  if (former.size > 0 || event.formerGuests) event.formerGuests = [...former]
}

function answerEvent(call: Call, event: CalendarEvent, calendar: string): Answer {
  const maxAttendees = call.parameters.maxAttendees
  const view = viewEvent(event, calendar, {
    maxAttendees: typeof maxAttendees === 'number' ? maxAttendees : undefined,
    timeZone: textParameter(call, 'timeZone'),
  })
  return { json: view, headers: { etag: event.resource.etag } }
}

function checkIfMatch(call: Call, event: CalendarEvent): void {
  const wanted = call.request.headers['if-match']
  if (wanted !== undefined && wanted !== '*' && wanted !== event.resource.etag)
    throw new GoogleError(412, 'Precondition Failed', {
      reason: 'conditionNotMet',
      location: { type: 'header', name: 'If-Match' },
    })
}

function sameTime(a: EventTime, b: EventTime): boolean {
  return a.dateTime === b.dateTime && a.date === b.date
}

/** A guest may change nothing on the own copy but the own answer, and invite others unless that is switched off (§1.4). */
function answerInvitation(call: Call, event: CalendarEvent, calendar: string): void {
  const foreign = Object.keys(call.body).filter(name => name !== 'attendees' && name !== 'reminders')
  if (foreign.length > 0)
    throw new GoogleError(403, 'Shared properties can only be changed by the organizer of the event.', {
      reason: 'forbiddenForNonOrganizer',
      domain: 'calendar',
    })
  const { resource } = event
  const sent = (writableFields(call.body, call.caller, false).attendees ?? []) as Attendee[]
  const known = guestAddresses(event)
  const invited = sent.filter(({ email }) => !known.includes(email.toLowerCase()))
  const mayInvite = resource.guestsCanInviteOthers !== false
  if (mayInvite) resource.attendees = [...(resource.attendees ?? []), ...invited]
  const own = sent.find(({ email }) => email.toLowerCase() === calendar)
  if (own?.responseStatus) setResponse(event, calendar, own.responseStatus, own.comment)
  if (own || (mayInvite && invited.length > 0)) store(call, event)
  if (mayInvite) recordMails(call, event, known, 'update')
}

function setResponse(
  event: CalendarEvent,
  calendar: string,
  responseStatus: string,
  comment?: unknown,
): void {
  for (const attendee of event.resource.attendees ?? []) {
    if (attendee.email.toLowerCase() !== calendar) continue
    attendee.responseStatus = responseStatus
    if (typeof comment === 'string') attendee.comment = comment
  }
}
