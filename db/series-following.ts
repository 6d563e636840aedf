import { and, asc, eq, gt, inArray, isNull, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { type Actor, type MeetingRow, noteMeetingEvents } from './meetings.ts'
import { type InvitationResponse, meetings, type SeriesSeen, series } from './schema.ts'
import type { SeriesRow } from './series.ts'
import { announceMeetings } from './webhooks.ts'

/**
 * Notes that Google has what the row of a locked series says now: it came from there.
 * @param seen what its event says; absent for one that was cancelled
 */
export async function noteSeriesFollowed(
  tx: Transaction,
  seriesId: string,
  seen: SeriesSeen | undefined,
): Promise<void> {
  await tx
    .update(series)
    .set({ syncedRevision: sql`${series.revision}`, ...(seen && { calendarSeen: seen }) })
    .where(eq(series.id, seriesId))
}

/** Keeps what the event of a locked series said, of which Google is yet to be told something else. */
export async function noteSeriesSeen(tx: Transaction, seriesId: string, seen: SeriesSeen): Promise<void> {
  await tx.update(series).set({ calendarSeen: seen }).where(eq(series.id, seriesId))
}

/** Keeps how its event stood when it was found cancelled and a caller's change was kept all the same. */
export async function noteSeriesCancelledEvent(tx: Transaction, row: SeriesRow, etag: string): Promise<void> {
  if (row.calendarSeen) await noteSeriesSeen(tx, row.id, { ...row.calendarSeen, cancelledEtag: etag })
}

/** Keeps answers to a whole series for each of its meetings to come whose event has never been one of its own. */
export async function answerSeries(
  tx: Transaction,
  { id }: Pick<SeriesRow, 'id'>,
  answers: readonly { email: string; response: InvitationResponse }[],
  by: { actor: Actor; now: Date },
): Promise<void> {
  if (answers.length === 0) return
  const given = JSON.stringify(answers)
  const answered = await tx.execute<{ meeting_id: string }>(sql`
    update participants set response = given.response,
      responded_at = case when given.response = 'needs_action' then null else ${by.now.toISOString()}::timestamptz end
    from jsonb_to_recordset(${given}::text::jsonb) as given (email text, response text), meetings
    where meetings.series_id = ${id}::uuid and meetings.status = 'scheduled'
      and meetings.starts_at > ${by.now.toISOString()}::timestamptz and meetings.calendar_seen is null
      and participants.meeting_id = meetings.id and participants.removed_at is null
      and participants.email = given.email and participants.response <> given.response
    returning participants.meeting_id`)
  const ids = [...new Set(answered.map(row => row.meeting_id))]
  if (ids.length === 0) return
  const changed = await tx
    .update(meetings)
    .set({
      revision: sql`${meetings.revision} + 1`,
      syncedRevision: sql`${meetings.syncedRevision} + (${meetings.syncedRevision} = ${meetings.revision})::int`,
      updatedAt: by.now,
    })
    .where(inArray(meetings.id, ids))
    .returning()
  await noteMeetingEvents(tx, changed, by.actor, 'meeting.answered')
  await announceMeetings(tx, 'meeting.updated', changed, { at: by.now, changed: ['participants'] })
}

/**
 * Gives the meetings of a series that are not over the link of its event, those apart that have one of their own.
 * @param link.before the link that all had so far
 */
export async function linkUpcoming(
  tx: Transaction,
  seriesId: string,
  link: Pick<SeriesRow, 'joinUrl' | 'meetingCode' | 'spaceName'> & { before: string | null; now: Date },
): Promise<void> {
  const { now, before, ...fields } = link
  if (fields.joinUrl === null || fields.joinUrl === before) return
  const changed = await tx
    .update(meetings)
    .set({ ...fields, updatedAt: now })
    .where(
      and(
        eq(meetings.seriesId, seriesId),
        inArray(meetings.status, ['scheduled', 'in_progress']),
        gt(meetings.endsAt, now),
        before === null ? isNull(meetings.joinUrl) : eq(meetings.joinUrl, before),
      ),
    )
    .returning()
  await announceMeetings(tx, 'meeting.updated', changed, { at: now, changed: ['joinUrl'] })
}

/** Meetings of a series that wait for their time, or for people after it. */
export async function listAhead(db: Queryable, seriesId: string, now: Date): Promise<MeetingRow[]> {
  return db
    .select()
    .from(meetings)
    .where(and(eq(meetings.seriesId, seriesId), eq(meetings.status, 'scheduled'), gt(meetings.endsAt, now)))
    .orderBy(asc(meetings.originalStart), asc(meetings.id))
}
