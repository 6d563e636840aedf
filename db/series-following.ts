import { and, eq, gt, inArray, isNull, sql } from 'drizzle-orm'
import type { Transaction } from './connect.ts'
import { type Actor, noteMeetingEvents } from './meetings.ts'
import { type InvitationResponse, meetings } from './schema.ts'
import type { SeriesRow } from './series.ts'
import { announceMeetings } from './webhooks.ts'

/** Keeps answers to a whole series for each of its meetings to come whose event has never been one of its own. */
export async function answerSeries(
  tx: Transaction,
  series: SeriesRow,
  answers: readonly { email: string; response: InvitationResponse }[],
  by: { actor: Actor; now: Date },
): Promise<void> {
  if (answers.length === 0) return
  const given = JSON.stringify(answers)
  const answered = await tx.execute<{ meeting_id: string }>(sql`
    update participants set response = given.response,
      responded_at = case when given.response = 'needs_action' then null else ${by.now.toISOString()}::timestamptz end
    from jsonb_to_recordset(${given}::text::jsonb) as given (email text, response text), meetings
    where meetings.series_id = ${series.id}::uuid and meetings.status = 'scheduled'
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

/** Gives the meetings to come of a series the link of its event. */
export async function linkUpcoming(
  tx: Transaction,
  seriesId: string,
  link: { joinUrl: string | null; meetingCode: string | null; spaceName: string | null; now: Date },
): Promise<void> {
  const { now, ...fields } = link
  const changed = await tx
    .update(meetings)
    .set({ ...fields, updatedAt: now })
    .where(
      and(
        eq(meetings.seriesId, seriesId),
        eq(meetings.status, 'scheduled'),
        gt(meetings.startsAt, now),
        fields.joinUrl === null
          ? isNull(meetings.seriesId)
          : sql`${meetings.joinUrl} is distinct from ${fields.joinUrl}`,
      ),
    )
    .returning()
  await announceMeetings(tx, 'meeting.updated', changed, { at: now, changed: ['joinUrl'] })
}
