import { and, asc, eq, gt, gte, inArray, isNull, lt, ne, or, sql } from 'drizzle-orm'
import { noteAudit } from './audit-notes.ts'
import { fingerprint } from './changed-fields.ts'
import type { Queryable, Transaction } from './connect.ts'
import { type Actor, type auditMeeting, type MeetingRow, remindFrom } from './meetings.ts'
import { newRowId } from './row-id.ts'
import { meetingEvents, meetings, participants, recordings, series } from './schema.ts'

export type SeriesRow = typeof series.$inferSelect
export type NewSeries = typeof series.$inferInsert

/** One time at which a series has a meeting. */
export interface Occurrence {
  originalStart: Date
  /** Of the instance in the calendar. */
  eventId: string
}

/**
 * Writes a new series, without its meetings.
 * @returns undefined when the organisation already has a series with this external id; nothing is written then
 */
export async function insertSeries(
  tx: Transaction,
  made: NewSeries,
  actor: Actor,
): Promise<SeriesRow | undefined> {
  const [row] = await tx
    .insert(series)
    .values(made)
    .onConflictDoNothing({ target: [series.organizationId, series.externalId] })
    .returning()
  if (row) await auditSeries(tx, row, actor, 'series.created', { after: seriesFacts(row) })
  return row
}

/** One organisation's series. */
export async function readSeries(
  db: Queryable,
  organizationId: string,
  id: string,
): Promise<SeriesRow | undefined> {
  const [row] = await db
    .select()
    .from(series)
    .where(and(eq(series.organizationId, organizationId), eq(series.id, id)))
  return row
}

/** One organisation's series with this external id. */
export async function findSeriesByExternalId(
  db: Queryable,
  organizationId: string,
  externalId: string,
): Promise<SeriesRow | undefined> {
  const [row] = await db
    .select()
    .from(series)
    .where(and(eq(series.organizationId, organizationId), eq(series.externalId, externalId)))
  return row
}

/** A series that nobody else changes until the transaction ends. Lock it before any of its meetings. */
export async function lockSeries(tx: Transaction, id: string): Promise<SeriesRow | undefined> {
  const [row] = await tx.select().from(series).where(eq(series.id, id)).for('update')
  return row
}

export type SeriesChange = Partial<
  Pick<
    SeriesRow,
    | 'rule'
    | 'startsAt'
    | 'lengthMs'
    | 'timeZone'
    | 'exceptions'
    | 'template'
    | 'status'
    | 'expandedUntil'
    | 'cancelledAt'
    | 'joinUrl'
    | 'meetingCode'
    | 'spaceName'
  >
>

/** Applies a change that Google has to follow to a series that {@link lockSeries} holds. */
export async function changeSeries(
  tx: Transaction,
  before: SeriesRow,
  change: SeriesChange,
  by: { actor: Actor; now: Date },
): Promise<SeriesRow> {
  const [after] = await tx
    .update(series)
    .set({ ...change, revision: before.revision + 1, updatedAt: by.now })
    .where(eq(series.id, before.id))
    .returning()
  if (!after) throw new Error(`The series ${before.id} is gone although it was locked`)
  const action = after.status === 'cancelled' ? 'series.cancelled' : 'series.changed'
  await auditSeries(tx, after, by.actor, action, { before: seriesFacts(before), after: seriesFacts(after) })
  return after
}

/** Notes that a meeting of a series does not take place; the calendar learns it by that one meeting. */
export async function addException(tx: Transaction, row: SeriesRow, originalStart: Date): Promise<void> {
  const exceptions = [...new Set([...row.exceptions, originalStart.toISOString()])].sort()
  await tx.update(series).set({ exceptions }).where(eq(series.id, row.id))
}

/** The reverse: a meeting that had been cancelled takes place after all. */
export async function removeException(tx: Transaction, row: SeriesRow, originalStart: Date): Promise<void> {
  const at = originalStart.toISOString()
  const exceptions = row.exceptions.filter(exception => exception !== at)
  await tx.update(series).set({ exceptions }).where(eq(series.id, row.id))
}

/** Makes the meetings of a series at these times, all at once, as its template has them. */
export async function insertOccurrences(
  tx: Transaction,
  row: SeriesRow,
  occurrences: readonly Occurrence[],
  actor: Actor,
): Promise<MeetingRow[]> {
  const { organizationId } = row
  const { participants: invited, ...template } = row.template
  const made: MeetingRow[] = []
  // A statement takes 65,534 values at most.
  for (let at = 0; at < occurrences.length; at += AT_ONCE) {
    const some = occurrences.slice(at, at + AT_ONCE)
    const inserted = await tx
      .insert(meetings)
      .values(
        some.map(({ originalStart, eventId }) => ({
          ...template,
          id: newRowId(),
          nextReminderAt: remindFrom(template.reminders),
          organizationId,
          seriesId: row.id,
          originalStart,
          startsAt: originalStart,
          endsAt: new Date(originalStart.getTime() + row.lengthMs),
          timeZone: row.timeZone,
          organizer: row.organizer,
          eventId,
          joinUrl: row.joinUrl,
          meetingCode: row.meetingCode,
          spaceName: row.spaceName,
          space: row.space,
          // What it has to say to Google is said by the series.
          syncedRevision: 1,
          createdBy: row.createdBy,
        })),
      )
      .returning()
    const ids = inserted.map(({ id }) => ({ organizationId, meetingId: id }))
    await tx.insert(recordings).values(ids.map(one => ({ ...one, id: newRowId() })))
    await tx.insert(meetingEvents).values(ids.map(one => ({ ...one, actor, kind: 'meeting.created' })))
    for (let from = 0; from < ids.length && invited.length > 0; from += PEOPLE_OF_AT_ONCE)
      await tx
        .insert(participants)
        .values(
          ids
            .slice(from, from + PEOPLE_OF_AT_ONCE)
            .flatMap(one => invited.map(person => ({ ...one, ...person, id: newRowId() }))),
        )
    made.push(...inserted)
  }
  if (made.length > 0)
    await auditSeries(tx, row, actor, 'series.expanded', {
      detail: { meetings: made.length, until: row.expandedUntil.toISOString() },
    })
  return made
}

const AT_ONCE = 200
const PEOPLE_OF_AT_ONCE = 40

/**
 * Meetings of a series that have not begun, with these starts by the rule or later ones; nobody else changes them until
 * the transaction ends.
 */
export async function lockUpcoming(
  tx: Transaction,
  seriesId: string,
  { from, now }: { from: Date; now: Date },
): Promise<MeetingRow[]> {
  return tx
    .select()
    .from(meetings)
    .where(
      and(
        eq(meetings.seriesId, seriesId),
        gte(meetings.originalStart, from),
        eq(meetings.status, 'scheduled'),
        gt(meetings.startsAt, now),
      ),
    )
    .orderBy(asc(meetings.originalStart), asc(meetings.id))
    .for('update')
}

/** Has a meeting of this series begun, or is it over? */
export async function hasBegun(tx: Transaction, seriesId: string, now: Date): Promise<boolean> {
  const [one] = await tx
    .select({ id: meetings.id })
    .from(meetings)
    .where(
      and(
        eq(meetings.seriesId, seriesId),
        ne(meetings.status, 'cancelled'),
        or(lt(meetings.startsAt, now), ne(meetings.status, 'scheduled')),
      ),
    )
    .limit(1)
  return one !== undefined
}

/** Starts by the rule of meetings that a series has, also of those that are over. */
export async function placesTaken(tx: Transaction, seriesId: string): Promise<Date[]> {
  const rows = await tx
    .select({ at: meetings.originalStart })
    .from(meetings)
    .where(and(eq(meetings.seriesId, seriesId), ne(meetings.status, 'cancelled')))
  return rows.flatMap(({ at }) => at ?? [])
}

/** Notes in which fields a meeting differs from its series. */
export async function noteOwnFields(
  tx: Transaction,
  meeting: MeetingRow,
  names: readonly string[],
): Promise<void> {
  const ownFields = [...new Set([...meeting.ownFields, ...names])].sort()
  await tx.update(meetings).set({ ownFields }).where(eq(meetings.id, meeting.id))
}

/** Takes meetings out of their series for a moment, so that each may take the place of another. */
export async function detach(tx: Transaction, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await tx
    .update(meetings)
    .set({ seriesId: null, originalStart: null })
    .where(inArray(meetings.id, [...ids]))
}

/** Puts a meeting to its place in a series. @param told by the series: no word to Google about this one is left */
export async function placeInSeries(
  tx: Transaction,
  meetingId: string,
  place: { seriesId: string } & Occurrence,
  { told }: { told: boolean },
): Promise<void> {
  await tx
    .update(meetings)
    .set({ ...place, ...(told && { syncedRevision: sql`${meetings.revision}` }) })
    .where(eq(meetings.id, meetingId))
}

/** Notes that Google learns of a meeting's end by its series. */
export async function toldBySeries(tx: Transaction, meetingId: string): Promise<void> {
  await tx
    .update(meetings)
    .set({ syncedRevision: sql`${meetings.revision}` })
    .where(eq(meetings.id, meetingId))
}

/** Series whose meetings are made up to less than `until`; skips those that somebody else is at. */
export async function lockSeriesToExpand(tx: Transaction, until: Date, limit: number): Promise<SeriesRow[]> {
  return tx
    .select()
    .from(series)
    .where(and(eq(series.status, 'active'), lt(series.expandedUntil, until)))
    .orderBy(asc(series.expandedUntil))
    .limit(limit)
    .for('update', { skipLocked: true })
}

/** Notes how far the meetings of a series have been made. */
export async function noteExpanded(tx: Transaction, id: string, expandedUntil: Date): Promise<void> {
  await tx.update(series).set({ expandedUntil }).where(eq(series.id, id))
}

/** How many meetings a series has and had, by their status. */
export async function countMeetings(db: Queryable, seriesId: string): Promise<Record<string, number>> {
  const rows = await db
    .select({ status: meetings.status, count: sql<number>`count(*)`.mapWith(Number) })
    .from(meetings)
    .where(eq(meetings.seriesId, seriesId))
    .groupBy(meetings.status)
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

/** The first meeting of a series by the rule that is not cancelled. */
export async function firstMeeting(db: Queryable, seriesId: string): Promise<{ id: string } | undefined> {
  const [row] = await db
    .select({ id: meetings.id })
    .from(meetings)
    .where(and(eq(meetings.seriesId, seriesId), isNull(meetings.cancelledAt)))
    .orderBy(asc(meetings.originalStart))
    .limit(1)
  return row
}

/** The first meeting of a series that has not begun. */
export async function firstUpcoming(
  db: Queryable,
  seriesId: string,
  now: Date,
): Promise<{ id: string } | undefined> {
  const [row] = await db
    .select({ id: meetings.id })
    .from(meetings)
    .where(and(eq(meetings.seriesId, seriesId), eq(meetings.status, 'scheduled'), gt(meetings.startsAt, now)))
    .orderBy(asc(meetings.originalStart))
    .limit(1)
  return row
}

/** The meeting of a series with this start by the rule: the one that takes place, or else the one that was cancelled. */
export async function findOccurrence(
  db: Queryable,
  seriesId: string,
  originalStart: Date,
): Promise<MeetingRow | undefined> {
  const [row] = await db
    .select()
    .from(meetings)
    .where(and(eq(meetings.seriesId, seriesId), eq(meetings.originalStart, originalStart)))
    .orderBy(sql`${meetings.status} = 'cancelled'`)
    .limit(1)
  return row
}

/** Meetings of a series that take place and differ from it, by the start that the rule gave them. */
export async function listDifferent(db: Queryable, seriesId: string): Promise<MeetingRow[]> {
  return db
    .select()
    .from(meetings)
    .where(
      and(
        eq(meetings.seriesId, seriesId),
        ne(meetings.status, 'cancelled'),
        sql`${meetings.ownFields} <> '[]'::jsonb`,
      ),
    )
    .orderBy(asc(meetings.originalStart))
}

/** The series with this external id, and those that took over from it when their later meetings were changed. */
export async function listSeriesByExternalId(
  db: Queryable,
  organizationId: string,
  externalId: string,
): Promise<SeriesRow[]> {
  const first = await findSeriesByExternalId(db, organizationId, externalId)
  const found = first ? [first] : []
  for (let last = found; last.length > 0; ) {
    last = await db
      .select()
      .from(series)
      .where(
        and(
          eq(series.organizationId, organizationId),
          inArray(
            series.continues,
            last.map(({ id }) => id),
          ),
        ),
      )
      .orderBy(asc(series.startsAt), asc(series.id))
    found.push(...last)
  }
  return found
}

/** What somebody did to a series, for the audit log. */
function auditSeries(
  tx: Queryable,
  row: SeriesRow,
  actor: Actor,
  action: string,
  facts: Parameters<typeof auditMeeting>[4],
): Promise<void> {
  const { organizationId, id } = row
  return noteAudit(tx, { organizationId, actor, action, subject: `series:${id}`, ...facts })
}

function seriesFacts(row: SeriesRow): Record<string, unknown> {
  const { topic, description, customFields, participants: invited } = row.template
  return {
    rule: row.rule,
    start: row.startsAt,
    lengthMs: row.lengthMs,
    timeZone: row.timeZone,
    exceptions: row.exceptions,
    status: row.status,
    continues: row.continues,
    topic: fingerprint(topic),
    description: fingerprint(description),
    customFields: fingerprint(customFields),
    participants: invited.length,
  }
}
