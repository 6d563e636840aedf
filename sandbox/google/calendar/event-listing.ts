import { GoogleError } from '../errors.ts'
import { type Answer, type Call, textParameter } from '../world.ts'
import {
  type CalendarEvent,
  calendarOf,
  findEvent,
  isGuest,
  notFound,
  viewCancelled,
  viewEvent,
} from './event.ts'
import { instantMs } from './event-time.ts'
import { answerPage, invalid, queryFingerprint, readSyncToken } from './list-page.ts'
import { instancesOf } from './recurrence.ts'

const farFutureMs = 8.64e15
/** How far back `updatedMin` may lie. Google names no figure: a month is what is commonly seen. */
const updatedMinMs = 30 * 86_400_000

/**
 * `events.list`: filters, pages, and incremental sync by token (google-apis.md §1.7). With `singleEvents` a sync shows
 * every instance of a series that changed; instances that a shortened series lost are not told one by one.
 */
export function listEvents(call: Call): Answer {
  const { world, parameters } = call
  const calendar = calendarOf(call)
  const query = queryFingerprint(call)
  const syncToken = textParameter(call, 'syncToken')
  const since = syncToken === undefined ? undefined : readSyncToken(call, syncToken, query)
  if (parameters.orderBy === 'startTime' && parameters.singleEvents !== true)
    throw invalid('The requested ordering is not available for the particular query.', 'orderBy')
  checkUpdatedMin(call)
  return answerPage(call, 'calendar.events.list', query, () => {
    const found = new Map<string, CalendarEvent>()
    for (const event of world.state.events.values()) {
      if (!stands(event, calendar, since) || (since !== undefined && event.revision <= since)) continue
      for (const one of expand(call, event))
        if (since !== undefined || passes(call, one)) found.set(one.resource.id, one)
    }
    const events = [...found.values()]
    sort(call, events)
    return {
      query,
      items: events.map(event => view(call, event, calendar, since !== undefined)),
      revision: world.state.calendarRevision,
      syncs: parameters.orderBy === undefined,
    }
  })
}

/** `events.instances` of one series. */
export function listInstances(call: Call): Answer {
  const { world } = call
  const calendar = calendarOf(call)
  const master = findEvent(world, calendar, textParameter(call, 'eventId') ?? '')
  if (!master) throw notFound()
  if (!master.resource.recurrence)
    throw new GoogleError(400, 'The event is not a recurring event.', { reason: 'invalid' })
  const original = textParameter(call, 'originalStart')
  const query = queryFingerprint(call)
  return answerPage(call, 'calendar.events.instances', query, () => {
    const instances = instancesOf(world, master, ...range(call)).filter(
      ({ resource }) =>
        (resource.status !== 'cancelled' || call.parameters.showDeleted === true) &&
        (original === undefined ||
          (resource.originalStartTime &&
            instantMs(resource.originalStartTime, world.calendarTimeZone) === Date.parse(original))),
    )
    const items = instances.map(event => view(call, event, calendar, false))
    return { query, items, revision: world.state.calendarRevision, syncs: false }
  })
}

function checkUpdatedMin(call: Call): void {
  const updatedMin = textParameter(call, 'updatedMin')
  if (updatedMin === undefined || Date.parse(updatedMin) >= call.world.nowMs() - updatedMinMs) return
  throw new GoogleError(410, 'The requested minimum modification time lies too far in the past.', {
    reason: 'updatedMinTooLongAgo',
    domain: 'calendar',
    location: { type: 'parameter', name: 'updatedMin' },
  })
}

/** Whether an event belongs into a calendar's list; who is no longer invited learns that from a sync. */
function stands(event: CalendarEvent, calendar: string, since: number | undefined): boolean {
  if (event.organizer === calendar || isGuest(event, calendar)) return true
  return since !== undefined && event.formerGuests?.includes(calendar) === true
}

/** With `singleEvents` a series is replaced by its instances; its exceptions come out of it. */
function expand(call: Call, event: CalendarEvent): CalendarEvent[] {
  if (call.parameters.singleEvents !== true) return [event]
  return event.resource.recurrence ? instancesOf(call.world, event, ...range(call)) : [event]
}

function range(call: Call): [number, number] {
  const at = (name: string, otherwise: number) => {
    const text = textParameter(call, name)
    return text === undefined ? otherwise : Date.parse(text)
  }
  return [at('timeMin', -farFutureMs), at('timeMax', farFutureMs)]
}

function passes(call: Call, event: CalendarEvent): boolean {
  const { parameters } = call
  const { resource } = event
  const updatedMin = textParameter(call, 'updatedMin')
  if (!isShown(call, event) || !overlaps(call, event)) return false
  if (updatedMin !== undefined && Date.parse(resource.updated) < Date.parse(updatedMin)) return false
  if (parameters.iCalUID !== undefined && resource.iCalUID !== parameters.iCalUID) return false
  const q = textParameter(call, 'q')?.toLowerCase()
  const text =
    `${resource.summary ?? ''} ${resource.description ?? ''} ${resource.location ?? ''}`.toLowerCase()
  if (q !== undefined && !text.includes(q)) return false
  return (
    hasProperties(resource.extendedProperties?.private, parameters.privateExtendedProperty) &&
    hasProperties(resource.extendedProperties?.shared, parameters.sharedExtendedProperty)
  )
}

/** Cancelled events on request only, but cancelled instances of a living series wherever series are shown. */
function isShown({ world, parameters }: Call, { organizer, resource }: CalendarEvent): boolean {
  if (resource.status !== 'cancelled' || parameters.showDeleted === true) return true
  if (parameters.updatedMin !== undefined) return true
  const master = world.state.events.get(`${organizer}/${resource.recurringEventId}`)
  return parameters.singleEvents !== true && master !== undefined && master.resource.status !== 'cancelled'
}

function overlaps(call: Call, event: CalendarEvent): boolean {
  const { calendarTimeZone } = call.world
  const { resource } = event
  const [fromMs, toMs] = range(call)
  if (resource.recurrence) return instancesOf(call.world, event, fromMs, toMs).length > 0
  return (
    instantMs(resource.end, calendarTimeZone) > fromMs && instantMs(resource.start, calendarTimeZone) < toMs
  )
}

function hasProperties(properties: Record<string, string> | undefined, wanted: unknown): boolean {
  return ((wanted as string[] | undefined) ?? []).every(pair => {
    const at = pair.indexOf('=')
    return properties?.[pair.slice(0, at)] === pair.slice(at + 1)
  })
}

function sort(call: Call, events: CalendarEvent[]): void {
  const { parameters, world } = call
  const startMs = (event: CalendarEvent) => instantMs(event.resource.start, world.calendarTimeZone)
  if (parameters.orderBy === 'startTime') events.sort((a, b) => startMs(a) - startMs(b))
  if (parameters.orderBy === 'updated') events.sort((a, b) => a.revision - b.revision)
}

/**
 * Of cancelled instances, and in a sync that does not ask for the deleted, of every cancelled event, no more is shown
 * than Google promises.
 */
function view(call: Call, event: CalendarEvent, calendar: string, syncs: boolean): object {
  const { maxAttendees, showDeleted } = call.parameters
  const { status, recurringEventId } = event.resource
  const gone = event.organizer !== calendar && !isGuest(event, calendar)
  const bare = recurringEventId !== undefined || (syncs && showDeleted !== true)
  if (gone || (status === 'cancelled' && bare)) return viewCancelled(event)
  return viewEvent(event, calendar, {
    maxAttendees: typeof maxAttendees === 'number' ? maxAttendees : undefined,
    timeZone: textParameter(call, 'timeZone'),
  })
}
