import { and, eq, gte, inArray, lt, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import type { Queryable } from './connect.ts'
import type { MeetingWithRecording } from './meeting-view.ts'
import { meetings, meetingTerms, recordings } from './schema.ts'
import type { MeetingStatus, RecordingStatus } from './states.ts'

/** By what a list goes; meetings of one moment go by their ids. */
export interface ListOrder {
  by: 'startsAt' | 'createdAt'
  descending: boolean
}

/** A place in a list: behind this meeting. */
export interface ListPosition {
  at: Date
  id: string
}

/** Which meetings; what is absent does not matter. */
export interface MeetingFilter {
  statuses?: MeetingStatus[] | undefined
  recordingStatuses?: RecordingStatus[] | undefined
  /** Start at or after. */
  from?: Date | undefined
  /** Start before. */
  to?: Date | undefined
  externalId?: string | undefined
  seriesId?: string | undefined
  /** Lower-cased address in whose calendar the meeting is. */
  organizer?: string | undefined
  /** Lower-cased address of somebody invited. */
  participant?: string | undefined
  related?: { type: string; id: string } | undefined
  /** Name and value, as text; of a list, one of its values. */
  customFields?: readonly (readonly [name: string, value: string])[] | undefined
  /** Beginnings of words of topic, description and external id: each must be there. */
  text?: string | undefined
}

export interface ListRequest {
  organizationId: string
  filter: MeetingFilter
  order: ListOrder
  after?: ListPosition | undefined
  limit: number
  /** Whoever asks sees their own meetings only, which are then looked at first: there may be a million others. */
  ownOnly: boolean
}

// Words that many meetings have are met among the first of the list: so many for each that is wanted.
const FIRST_FOR_EACH = 6
// Otherwise so many with the words asked for are all looked at and put in order; of more, each is met soon enough.
const FEW_MEETINGS = 4000

/**
 * One page of an organisation's meetings. What is asked for decides which index is gone along; each of them is in the order
 * of the list, so that a page costs the same at the millionth meeting as at the first.
 */
export async function listMeetings(tx: Queryable, request: ListRequest): Promise<MeetingWithRecording[]> {
  const { text } = request.filter
  if (text === undefined) return meetingsOf(tx, request, pageOf(request, request.limit))
  const { organizationId, limit } = request
  const direction = directionOf(request.order)
  const amongFirst = sql`
    select first.id, first.at from (${pageOf(request, FIRST_FOR_EACH * limit)}) first
    where ${hasWords(sql`first.id`, organizationId, text)}
    order by first.at ${direction}, first.id ${direction} limit ${sql.raw(String(limit))}`
  const soon = await meetingsOf(tx, request, amongFirst)
  if (soon.length === limit) return soon
  const few = await findWords(tx, text)
  return meetingsOf(tx, request, pageOf(request, limit, few ?? hasWords(meetings.id, organizationId, text)))
}

function meetingsOf(tx: Queryable, request: ListRequest, page: SQL): Promise<MeetingWithRecording[]> {
  const direction = directionOf(request.order)
  return tx
    .select({
      meeting: meetings,
      recording: { status: recordings.status, ending: recordings.ending },
    })
    .from(sql`(${page}) page`)
    .innerJoin(meetings, sql`${meetings.id} = page.id`)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .orderBy(sql`page.at ${direction}, page.id ${direction}`)
}

/** Ids of a page's meetings, and what each of them goes by. @param words a condition on their words */
function pageOf(request: ListRequest, limit: number, words?: SQL): SQL {
  const { organizationId, filter, order, after, ownOnly } = request
  const [leading, ...others] = termsOf(filter)
  // The table in whose order the page is looked for.
  const along = leading ? meetingTerms : meetings
  const [at, id] = [along[order.by], leading ? meetingTerms.meetingId : meetings.id]
  const keys = leading ?? filter.statuses?.map(status => sql`${status}`)
  const keyColumn = leading ? meetingTerms.term : meetings.status
  const direction = directionOf(order)
  const few = sql.raw(String(limit))

  const walk = (key: SQL | undefined) => sql`
    select ${id} as id, ${at} as at from ${along}
    ${leading ? sql`inner join ${meetings} on ${meetings.id} = ${meetingTerms.meetingId}` : sql``}
    where ${and(
      eq(along.organizationId, organizationId),
      key && sql`${keyColumn} = ${key}`,
      leading && filter.statuses && inArray(meetings.status, filter.statuses),
      filter.from && gte(along.startsAt, filter.from),
      filter.to && lt(along.startsAt, filter.to),
      filter.externalId === undefined ? undefined : eq(meetings.externalId, filter.externalId),
      filter.seriesId === undefined ? undefined : eq(meetings.seriesId, filter.seriesId),
      filter.organizer === undefined ? undefined : eq(meetings.organizer, filter.organizer),
      filter.related && eq(meetings.relatedType, filter.related.type),
      filter.related && eq(meetings.relatedId, filter.related.id),
      ...others.map(hasOneOf),
      words,
      ownOnly ? sql`${meetings.id} = any(array(select testigo_own_meetings()))` : undefined,
      after && isBehind({ at, id }, order, after),
    )}
    order by ${at} ${direction}, ${id} ${direction} limit ${few}`

  if (!keys || keys.length === 1) return walk(keys?.[0])
  // Several keys are several walks, whose first steps are put in order.
  return sql`
    select walk.id, walk.at from unnest(array[${sql.join(keys, sql`, `)}]) as wanted(key)
    cross join lateral (${walk(sql`wanted.key`)}) walk
    order by walk.at ${direction}, walk.id ${direction} limit ${few}`
}

/** What stands in `meeting_terms`, the rarest first; each as the terms of which one must be there. */
function termsOf({ customFields = [], participant, recordingStatuses }: MeetingFilter): SQL[][] {
  return [
    ...customFields.map(([name, value]) => [sql`testigo_field_term(${name}::text, ${value}::text)`]),
    ...(participant === undefined ? [] : [[sql`testigo_term('participant', ${participant}::text)`]]),
    ...(recordingStatuses
      ? [recordingStatuses.map(status => sql`testigo_term('recording', ${status}::text)`)]
      : []),
  ]
}

function hasOneOf(terms: SQL[]): SQL {
  return sql`exists (
    select from meeting_terms other where other.meeting_id = ${meetings.id} and other.term in (${sql.join(terms, sql`, `)}))`
}

function isBehind(
  { at, id }: { at: AnyPgColumn; id: AnyPgColumn },
  { descending }: ListOrder,
  after: ListPosition,
): SQL {
  const beyond = sql.raw(descending ? '<' : '>')
  return sql`(${at}, ${id}) ${beyond} (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`
}

const directionOf = ({ descending }: ListOrder) => sql.raw(descending ? 'desc' : 'asc')

// As a scalar, since a join might begin with the words of all meetings. What is looked for is worked out once, not for each.
function hasWords(id: SQLWrapper, organizationId: string, text: string): SQL {
  return sql`(
    select of_meeting.words @@ (select testigo_word_query(${organizationId}::uuid, testigo_words(${text})))
    from meeting_words of_meeting where of_meeting.meeting_id = ${id})`
}

/** The condition that a meeting is one of those with the words of a text; undefined where these are many. */
async function findWords(tx: Queryable, text: string): Promise<SQL | undefined> {
  const [found] = await tx.execute<{ ids: string[] | null }>(sql`
    select case when count(*) <= ${FEW_MEETINGS} then coalesce(array_agg(id), '{}') end as ids
    from testigo_find_words(testigo_words(${text}), ${FEW_MEETINGS + 1}) id`)
  return found?.ids ? sql`${meetings.id} = any(${`{${found.ids.join(',')}}`}::uuid[])` : undefined
}
