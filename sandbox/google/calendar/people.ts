import { randomUUID } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { z } from 'zod'
import { GoogleError } from '../errors.ts'
import type { Answer, Call, World } from '../world.ts'
import { type Attendee, type CalendarEvent, type EventTime, findEvent, notFound } from './event.ts'
import { instantMs } from './event-time.ts'
import { deleteEvent, insertEvent, patchEvent } from './event-writing.ts'
import { exceptionsOf, instanceById } from './recurrence.ts'
import { splitSeries, trimSeries } from './series-split.ts'

const scope = z.enum(['this', 'following', 'all']).default('this')
/** RFC 3339, or a date for whole days. */
const time = z.union([z.iso.datetime({ offset: true }), z.iso.date()])
const words = { title: z.string(), description: z.string(), location: z.string(), timeZone: z.string() }

const actionSchema = z.discriminatedUnion('do', [
  z.strictObject({
    do: z.literal('create'),
    as: z.email(),
    start: time,
    end: time,
    attendees: z.array(z.email()).default([]),
    recurrence: z.array(z.string()).optional(),
    /** Whether the event gets a Meet link, as the button in the calendar makes one. */
    meet: z.boolean().default(true),
    ...z.object(words).partial().shape,
  }),
  z.strictObject({
    do: z.literal('change'),
    as: z.email(),
    eventId: z.string(),
    scope,
    start: time.optional(),
    end: time.optional(),
    invite: z.array(z.email()).default([]),
    uninvite: z.array(z.email()).default([]),
    meet: z.enum(['add', 'remove']).optional(),
    ...z.object(words).partial().shape,
  }),
  z.strictObject({
    do: z.literal('respond'),
    as: z.email(),
    eventId: z.string(),
    scope,
    response: z.enum(['needsAction', 'accepted', 'declined', 'tentative']),
    comment: z.string().optional(),
  }),
  z.strictObject({ do: z.literal('cancel'), as: z.email(), eventId: z.string(), scope }),
])

/**
 * What a person does in the calendar's own pages: `create`, `change` (move, rename, invite, uninvite, add or remove
 * the Meet link), `respond`, `cancel`. For one instance of a series `scope` is what the pages ask: this event, this
 * and the following ones (which makes a second series), or all.
 */
export type PersonAction = z.input<typeof actionSchema>
type Action = z.output<typeof actionSchema>
type Change = Extract<Action, { do: 'change' }>

/** Carries it out and returns the id of the event it ended up at. Throws zod's error, or what Google would refuse. */
export async function personDoes(world: World, asked: PersonAction): Promise<{ eventId: string }> {
  const action = actionSchema.parse(asked)
  if (action.do === 'create') return { eventId: await create(world, action) }
  const at = eventFor(world, action.as, action.eventId)
  if (action.do === 'change') return { eventId: await changeScope(world, action, at) }
  const target = action.scope === 'all' ? (at.master ?? at.event) : at.event
  const { id } = target.resource
  if (action.do === 'respond') await respondScope(world, action, target)
  else if (action.scope === 'following' && at.master) await trimSeries(world, at.master, at.event)
  else await deleteEvent(callAs(world, action.as, 'DELETE', { eventId: id, sendUpdates: 'all' }, {}))
  return { eventId: id }
}

interface Found {
  event: CalendarEvent
  /** The series, when the event is one instance of it. */
  master: CalendarEvent | undefined
}

function eventFor(world: World, as: string, eventId: string): Found {
  const calendar = as.toLowerCase()
  const event = findEvent(world, calendar, eventId) ?? instanceById(world, calendar, eventId)
  if (!event) throw notFound()
  const { recurringEventId } = event.resource
  const master = recurringEventId === undefined ? undefined : findEvent(world, calendar, recurringEventId)
  return { event, master }
}

async function create(world: World, action: Extract<Action, { do: 'create' }>): Promise<string> {
  const { as, start, end, attendees, recurrence, meet, timeZone = world.calendarTimeZone } = action
  // The pages put the organizer on the list as soon as there are guests.
  const people: Attendee[] = attendees.map(email => ({ email }))
  if (people.length > 0) people.unshift({ email: as, responseStatus: 'accepted' })
  const answer = await insertEvent(
    callAs(
      world,
      as,
      'POST',
      { conferenceDataVersion: 1, sendUpdates: 'all' },
      {
        ...fieldsOf(action),
        start: timeOf(start, timeZone),
        end: timeOf(end, timeZone),
        ...(people.length > 0 && { attendees: people }),
        ...(recurrence && { recurrence }),
        ...(meet && { conferenceData: { createRequest: { requestId: randomUUID() } } }),
      },
    ),
  )
  return idIn(answer)
}

async function changeScope(world: World, action: Change, { event, master }: Found): Promise<string> {
  if (!master || action.scope === 'this') return change(world, action, event)
  if (action.scope === 'following') return change(world, action, splitSeries(world, master, event))
  // For all: the series moves by as much as the instance did.
  const moved = (field: 'start' | 'end') => {
    const wanted = action[field]
    if (wanted === undefined) return undefined
    const zone = world.calendarTimeZone
    const byMs = instantMs(timeOf(wanted, zone), zone) - instantMs(event.resource[field], zone)
    const movedTo = new Date(instantMs(master.resource[field], zone) + byMs).toISOString()
    return master.resource[field].date === undefined ? movedTo : movedTo.slice(0, 10)
  }
  return change(world, { ...action, start: moved('start'), end: moved('end') }, master)
}

async function change(world: World, action: Change, event: CalendarEvent): Promise<string> {
  const { as, start, end, invite, uninvite, meet } = action
  const { attendees = [], start: from } = event.resource
  const timeZone = action.timeZone ?? from.timeZone ?? world.calendarTimeZone
  const there = attendees.filter(({ email }) => !includes(uninvite, email))
  const known = there.map(({ email }) => email)
  const added: Attendee[] = invite.filter(email => !includes(known, email)).map(email => ({ email }))
  if (added.length > 0 && !includes(known, as)) added.unshift({ email: as, responseStatus: 'accepted' })
  const answer = await patchEvent(
    callAs(
      world,
      as,
      'PATCH',
      { eventId: event.resource.id, conferenceDataVersion: 1, sendUpdates: 'all' },
      {
        ...fieldsOf(action),
        ...(start !== undefined && { start: timeOf(start, timeZone) }),
        ...(end !== undefined && { end: timeOf(end, timeZone) }),
        ...(invite.length + uninvite.length > 0 && { attendees: [...there, ...added] }),
        ...(meet === 'add' && { conferenceData: { createRequest: { requestId: randomUUID() } } }),
        ...(meet === 'remove' && { conferenceData: null }),
      },
    ),
  )
  return idIn(answer)
}

/** An answer to a series is one to its exceptions as well. */
async function respondScope(
  world: World,
  action: Extract<Action, { do: 'respond' }>,
  target: CalendarEvent,
): Promise<void> {
  await respond(world, action, target)
  for (const exception of exceptionsOf(world, target)) {
    const guests = (exception.resource.attendees ?? []).map(({ email }) => email)
    const isLeft = exception.resource.status === 'cancelled' || !includes(guests, action.as)
    if (!isLeft) await respond(world, action, exception)
  }
}

async function respond(
  world: World,
  { as, response, comment }: Extract<Action, { do: 'respond' }>,
  { resource }: CalendarEvent,
): Promise<void> {
  const attendees = resource.attendees ?? []
  if (!attendees.some(({ email }) => includes([as], email)))
    throw new GoogleError(403, `${as} is not invited.`, { reason: 'forbidden' })
  const answered = attendees.map(attendee =>
    includes([as], attendee.email)
      ? { ...attendee, responseStatus: response, ...(comment !== undefined && { comment }) }
      : attendee,
  )
  await patchEvent(callAs(world, as, 'PATCH', { eventId: resource.id }, { attendees: answered }))
}

function fieldsOf({ title, description, location }: { [name in keyof typeof words]?: string | undefined }) {
  return {
    ...(title !== undefined && { summary: title }),
    ...(description !== undefined && { description }),
    ...(location !== undefined && { location }),
  }
}

function timeOf(text: string, timeZone: string): EventTime {
  return text.length === 10 ? { date: text } : { dateTime: text, timeZone }
}

function includes(addresses: readonly string[], email: string): boolean {
  return addresses.some(address => address.toLowerCase() === email.toLowerCase())
}

function idIn(answer: Answer): string {
  return (answer.json as { id: string }).id
}

/** The same way as through the API, without its tokens: the pages are Google's own. */
function callAs(
  world: World,
  as: string,
  method: string,
  parameters: Call['parameters'],
  body: object,
): Call {
  const request = new IncomingMessage(new Socket())
  request.method = method
  const email = as.toLowerCase()
  return {
    world,
    caller: { email, isServiceAccount: false, scopes: new Set(), expiresAtMs: Number.POSITIVE_INFINITY },
    parameters: { calendarId: 'primary', ...parameters },
    body: body as Record<string, unknown>,
    request,
    url: new URL(world.origin),
  }
}
