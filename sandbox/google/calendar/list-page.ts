import { randomUUID } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import type { GoogleState } from '../state.ts'
import { type Answer, type Call, textParameter } from '../world.ts'

/** A list as it was when its first page was asked for. */
export interface Listing {
  query: string
  items: object[]
  /** Position of the newest change it may contain; the sync token of its last page continues from here. */
  revision: number
  /** Whether a sync token comes with the last page. */
  syncs: boolean
}

const mostListings = 1000
const usualSize = 250
const mostSize = 2500

/** What must stay the same between the pages and the syncs of one list. */
export function queryFingerprint(call: Call): string {
  const { pageToken: _page, syncToken: _sync, maxResults: _size, fields: _fields, ...rest } = call.parameters
  for (const name of notWithSyncToken) delete rest[name]
  delete rest.showDeleted
  return JSON.stringify(Object.entries(rest).sort())
}

/** Parameters of a first list that a sync token stands for: they may not come with one (google-apis.md §1.7). */
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

/** Reads a sync token: the position it stands for. Old and broken ones are 410, one of another query 400. */
export function readSyncToken(call: Call, token: string, query: string): number {
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

/** Makes every sync token given out so far too old. */
export function expireSyncTokens(state: GoogleState): void {
  state.calendarRevision++
  state.oldestSyncRevision = state.calendarRevision
}

/**
 * One page of a list. The first one fixes what the list contains, so that a change between two pages is neither lost
 * nor told twice: it comes with the next sync.
 */
export function answerPage(call: Call, method: string, query: string, list: () => Listing): Answer {
  const { parameters, world } = call
  const { listings } = world.state
  const size = Math.min(
    typeof parameters.maxResults === 'number' ? parameters.maxResults : usualSize,
    mostSize,
  )
  const pageToken = textParameter(call, 'pageToken')
  const at = pageToken === undefined ? { key: randomUUID(), from: 0 } : readPageToken(pageToken)
  if (pageToken === undefined) listings.set(at.key, list())
  if (listings.size > mostListings) listings.delete(listings.keys().next().value ?? '')
  const listing = listings.get(at.key)
  if (listing?.query !== query) throw invalid('Invalid page token value.', 'pageToken')
  // Pages may be short or empty while there are more (google-apis.md §1.7).
  const to = world.faults.take(['emptyPage'], 'calendar', method) ? at.from : at.from + size
  const rest = to < listing.items.length || to === at.from
  const json = {
    kind: 'calendar#events',
    etag: `"p${listing.revision}"`,
    summary: call.caller.email,
    updated: new Date(world.nowMs()).toISOString(),
    timeZone: textParameter(call, 'timeZone') ?? world.calendarTimeZone,
    accessRole: 'owner',
    defaultReminders: [],
    items: listing.items.slice(at.from, to),
    ...(rest && { nextPageToken: encode({ key: at.key, from: to }) }),
    ...(!rest && listing.syncs && { nextSyncToken: encode({ revision: listing.revision, query }) }),
  }
  return { json }
}

function readPageToken(token: string): { key: string; from: number } {
  const { key, from } = decode(token)
  if (typeof from !== 'number' || typeof key !== 'string')
    throw invalid('Invalid page token value.', 'pageToken')
  return { key, from }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decode(token: string): Record<string, unknown> {
  const text = Buffer.from(token, 'base64url').toString()
  return text.startsWith('{') && text.endsWith('}') ? (JSON.parse(text) as Record<string, unknown>) : {}
}

export function invalid(message: string, name: string): GoogleError {
  return new GoogleError(400, message, { reason: 'invalid', location: { type: 'parameter', name } })
}
