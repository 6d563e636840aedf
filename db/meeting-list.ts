import { and, eq, inArray, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
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

// So many with the words asked for are all put in order. With words of more a page is soon full: so many meetings are walked
// past for each that is wanted, and so many where these were not enough.
const FEW_WITH_WORDS = 5000
const [SOON, LATER] = [6, 50]
// So many with all that is asked for beside the words are all looked at.
const FEW_MEETINGS = 20_000

/**
 * One page of an organisation's meetings. What is asked for decides which index is gone along; each of them is in the order
 * of the list, so that a page costs the same at the millionth meeting as at the first.
 */
export async function listMeetings(tx: Queryable, request: ListRequest): Promise<MeetingWithRecording[]> {
  const { text } = request.filter
  if (text === undefined) return meetingsOf(tx, request, pageOf(request))
  const withWords = () => pageOf(request, { words: hasWords(meetings.id, request.organizationId, text) })
  // Few, compared with the meetings of an organisation that have a word.
  if (request.ownOnly) return meetingsOf(tx, request, withWords())
  const ofFew = await meetingsFound(tx, request, text, FEW_WITH_WORDS)
  if (ofFew) return ofFew
  for (const forEach of [SOON, LATER]) {
    const amongFirst = await meetingsOf(tx, request, pageAmongFirst(request, text, forEach))
    if (amongFirst.length === request.limit) return amongFirst
  }
  const [rest] = await tx.execute<{ few: boolean }>(
    sql`select count(*) <= ${FEW_MEETINGS} as few from (${pageOf(request, { limit: FEW_MEETINGS + 1 })}) rest`,
  )
  if (rest?.few) return meetingsOf(tx, request, withWords())
  return (await meetingsFound(tx, request, text)) ?? []
}

const MEETING = { meeting: meetings, recording: { status: recordings.status, ending: recordings.ending } }

function meetingsOf(tx: Queryable, request: ListRequest, page: SQL): Promise<MeetingWithRecording[]> {
  const direction = directionOf(request.order)
  return tx
    .select(MEETING)
    .from(sql`(${page}) page`)
    .innerJoin(meetings, sql`${meetings.id} = page.id`)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .orderBy(sql`page.at ${direction}, page.id ${direction}`)
}

/** Ids of a page's meetings, and what each of them goes by. @param more.words a condition on their words */
function pageOf(
  request: ListRequest,
  { limit = request.limit, words }: { limit?: number; words?: SQL } = {},
): SQL {
  const { organizationId, filter, order, after } = request
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
      isBetween(along.startsAt, filter),
      hasColumns(request),
      ...others.map(hasOneOf),
      words,
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

/** Of a page with words, what is found of it among so many meetings for each that is wanted. */
function pageAmongFirst(request: ListRequest, text: string, forEach: number): SQL {
  const { organizationId, limit, order } = request
  const direction = directionOf(order)
  return sql`
    select first.id, first.at from (${pageOf(request, { limit: forEach * limit })}) first
    where ${hasWords(sql`first.id`, organizationId, text)}
    order by first.at ${direction}, first.id ${direction} limit ${sql.raw(String(limit))}`
}

/**
 * A page with words: all meetings with them are put in order, and the first are taken that have what else is asked for.
 * @returns undefined where more than `most` have these words
 */
async function meetingsFound(
  tx: Queryable,
  request: ListRequest,
  text: string,
  most?: number,
): Promise<MeetingWithRecording[] | undefined> {
  const { organizationId, filter, limit, order, after } = request
  const direction = directionOf(order)
  const [at, id] = [order.by === 'startsAt' ? sql`found.starts_at` : sql`found.created_at`, sql`found.id`]
  const inOrder = sql`
    select ${id} as id, ${at} as at from found
    where ${and(isBetween(sql`found.starts_at`, filter), after && isBehind({ at, id }, order, after)) ?? sql`true`}
    order by ${at} ${direction}, ${id} ${direction} offset 0`
  const page = sql`
    with found as materialized (
      select * from testigo_find_words(testigo_words(${text}), ${most ?? null}::integer)
    ), counted as (
      select coalesce(count(*) > ${most ?? null}::integer or count(*) > count(id), false) as many from found
    )
    (select in_order.id, in_order.at, false as many from (${inOrder}) in_order
    inner join ${meetings} on ${meetings.id} = in_order.id
    where ${and(
      sql`not (select many from counted)`,
      eq(meetings.organizationId, organizationId),
      filter.statuses && inArray(meetings.status, filter.statuses),
      hasColumns(request),
      ...termsOf(filter).map(hasOneOf),
    )}
    order by in_order.at ${direction}, in_order.id ${direction} limit ${sql.raw(String(limit))})
    union all select null, null, many from counted where many`
  const rows = await tx
    .select({ many: sql<boolean>`page.many`, ...MEETING })
    .from(sql`(${page}) page`)
    .leftJoin(meetings, sql`${meetings.id} = page.id`)
    .leftJoin(recordings, eq(recordings.meetingId, meetings.id))
    .orderBy(sql`page.at ${direction}, page.id ${direction}`)
  if (rows[0]?.many) return undefined
  return rows.flatMap(({ meeting, recording }) => (meeting && recording ? [{ meeting, recording }] : []))
}

function hasColumns({ filter, ownOnly }: ListRequest): SQL | undefined {
  return and(
    filter.externalId === undefined ? undefined : eq(meetings.externalId, filter.externalId),
    filter.seriesId === undefined ? undefined : eq(meetings.seriesId, filter.seriesId),
    filter.organizer === undefined ? undefined : eq(meetings.organizer, filter.organizer),
    filter.related && eq(meetings.relatedType, filter.related.type),
    filter.related && eq(meetings.relatedId, filter.related.id),
    ownOnly ? sql`${meetings.id} = any(array(select testigo_own_meetings()))` : undefined,
  )
}

function isBetween(start: SQLWrapper, { from, to }: MeetingFilter): SQL | undefined {
  return and(
    from && sql`${start} >= ${from.toISOString()}::timestamptz`,
    to && sql`${start} < ${to.toISOString()}::timestamptz`,
  )
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
  { at, id }: { at: SQLWrapper; id: SQLWrapper },
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
