import { GoogleError } from '../errors.ts'
import { type Answer, type Call, textParameter } from '../world.ts'
import {
  type CalendarEvent,
  calendarOf,
  type EventResource,
  findEvent,
  isGuest,
  notFound,
  viewEvent,
} from './event.ts'
import { instantMs } from './event-time.ts'
import { instancesOf } from './recurrence.ts'

const notWithSyncToken = [
  'iCalUID',
  'orderBy',
  'privateExtendedProperty',
  'q',
  'sharedExtendedProperty',
  'timeMin',
  'timeMax',
  'updatedMin',
]
const farFutureMs = 8.64e15

/** `events.list`: filters, pages, and incremental sync by token (google-apis.md §1.7). */
export function listEvents(call: Call): Answer {
  const { world, parameters } = call
  const calendar = calendarOf(call)
  const query = queryFingerprint(call)
  const syncToken = textParameter(call, 'syncToken')
  const sinceRevision = syncToken === undefined ? undefined : readSyncToken(call, syncToken, query)
  if (parameters.orderBy === 'startTime' && parameters.singleEvents !== true)
    throw invalid('The requested ordering is not available for the particular query.', 'orderBy')
  const visible = [...world.state.events.values()]
    .filter(event => event.organizer === calendar || isGuest(event, calendar))
    .filter(event => sinceRevision === undefined || event.revision > sinceRevision)
    .flatMap(event => expand(call, event))
    .filter(event => sinceRevision !== undefined || passes(call, event))
  sort(call, visible)
  return page(call, calendar, visible, query)
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
  const instances = instancesOf(world, master, ...range(call)).filter(
    event =>
      (event.resource.status !== 'cancelled' || call.parameters.showDeleted === true) &&
      (original === undefined ||
        (event.resource.originalStartTime &&
          instantMs(event.resource.originalStartTime, world.calendarTimeZone) === Date.parse(original))),
  )
  return page(call, calendar, instances, queryFingerprint(call))
}

function expand(call: Call, event: CalendarEvent): CalendarEvent[] {
  const { resource } = event
  if (call.parameters.singleEvents !== true) return [event]
  // Exceptions come out of their series.
  if (resource.recurringEventId !== undefined && event.resource.status !== 'cancelled') {
    const master = call.world.state.events.get(`${event.organizer}/${resource.recurringEventId}`)
    return master && call.parameters.syncToken === undefined ? [] : [event]
  }
  return resource.recurrence ? instancesOf(call.world, event, ...range(call)) : [event]
}

function range(call: Call): [number, number] {
  const at = (name: string, otherwise: number) => {
    const text = textParameter(call, name)
    return text === undefined ? otherwise : Date.parse(text)
  }
  return [at('timeMin', -farFutureMs), at('timeMax', farFutureMs)]
}

function passes(call: Call, event: CalendarEvent): boolean {
  const { parameters, world } = call
  const { resource } = event
  const [fromMs, toMs] = range(call)
  const updatedMin = textParameter(call, 'updatedMin')
  const cancelledShown = parameters.showDeleted === true || updatedMin !== undefined
  if (resource.status === 'cancelled' && !cancelledShown) return false
  if (instantMs(resource.end, world.calendarTimeZone) <= fromMs) return false
  if (instantMs(resource.start, world.calendarTimeZone) >= toMs) return false
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

function hasProperties(properties: Record<string, string> | undefined, wanted: unknown): boolean {
  return ((wanted as string[] | undefined) ?? []).every(pair => {
    const at = pair.indexOf('=')
    return properties?.[pair.slice(0, at)] === pair.slice(at + 1)
  })
}

function sort(call: Call, events: CalendarEvent[]): void {
  const { parameters, world } = call
  if (parameters.orderBy === 'startTime')
    events.sort(
      (a, b) =>
        instantMs(a.resource.start, world.calendarTimeZone) -
        instantMs(b.resource.start, world.calendarTimeZone),
    )
  if (parameters.orderBy === 'updated') events.sort((a, b) => a.revision - b.revision)
}

function page(call: Call, calendar: string, events: CalendarEvent[], query: string): Answer {
  const { parameters, world } = call
  const size = Math.min(typeof parameters.maxResults === 'number' ? parameters.maxResults : 250, 2500)
  const pageToken = textParameter(call, 'pageToken')
  const from = pageToken === undefined ? 0 : readPageToken(pageToken, query)
  const items: EventResource[] = events.slice(from, from + size).map(event => viewEvent(event, calendar))
  const rest = from + size < events.length
  const json = {
    kind: 'calendar#events',
    etag: `"p${world.state.calendarRevision}"`,
    summary: calendar,
    updated: new Date(world.nowMs()).toISOString(),
    timeZone: world.calendarTimeZone,
    accessRole: 'owner',
    defaultReminders: [],
    items,
    ...(rest && { nextPageToken: encode({ from: from + size, query }) }),
    // Only on the last page, and not for ordered lists.
    ...(!rest &&
      parameters.orderBy === undefined && {
        nextSyncToken: encode({ revision: world.state.calendarRevision, query }),
      }),
  }
  return { json }
}

/** What must stay the same between the pages and the syncs of one list. */
function queryFingerprint(call: Call): string {
  const { pageToken: _page, syncToken: _sync, maxResults: _size, fields: _fields, ...rest } = call.parameters
  for (const name of notWithSyncToken) delete rest[name]
  delete rest.showDeleted
  return JSON.stringify(Object.entries(rest).sort())
}

function readSyncToken(call: Call, token: string, query: string): number {
  for (const name of notWithSyncToken)
    if (call.parameters[name] !== undefined)
      throw invalid(`Sync token cannot be used with parameter ${name}.`, name)
  if (call.parameters.showDeleted === false)
    throw invalid('showDeleted=false cannot be used with a sync token.', 'showDeleted')
  const { revision, query: first } = decode(token)
  if (typeof revision !== 'number' || revision < call.world.state.oldestSyncRevision)
    throw new GoogleError(410, 'Sync token is no longer valid, a full sync is required.', {
      reason: 'fullSyncRequired',
      domain: 'calendar',
      location: { type: 'parameter', name: 'syncToken' },
    })
  if (first !== query) throw invalid('The sync token does not belong to this query.', 'syncToken')
  return revision
}

function readPageToken(token: string, query: string): number {
  const { from, query: first } = decode(token)
  if (typeof from !== 'number' || first !== query) throw invalid('Invalid page token value.', 'pageToken')
  return from
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decode(token: string): Record<string, unknown> {
  const text = Buffer.from(token, 'base64url').toString()
  return text.startsWith('{') && text.endsWith('}') ? (JSON.parse(text) as Record<string, unknown>) : {}
}

function invalid(message: string, name: string): GoogleError {
  return new GoogleError(400, message, { reason: 'invalid', location: { type: 'parameter', name } })
}
