import { and, asc, eq, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import type { Provisioned } from './meeting-provisioning.ts'
import { type Actor, type MeetingRow, noteMeetingEvents } from './meetings.ts'
import { meetings, type SeriesSeen, series } from './schema.ts'
import type { SeriesRow } from './series.ts'
import { announceMeetings } from './webhooks.ts'

/** A series as Google has to know it, read while no caller changes it. */
export async function readSeriesToProvision(tx: Transaction, id: string): Promise<SeriesRow | undefined> {
  const [row] = await tx.select().from(series).where(eq(series.id, id)).for('share')
  return row
}

/**
 * Notes that Google has what the row said at its revision; the meetings of the series get its link.
 * @param told.made absent for a series whose event was cancelled
 * @param told.seen what its event says by that
 * @returns whether that is still all, and the meetings to come, for which a bot has to be there
 */
export async function noteSeriesProvisioned(
  tx: Transaction,
  row: SeriesRow,
  { made, seen }: { made: Provisioned | undefined; seen: SeriesSeen },
  by: { actor: Actor; now: Date },
): Promise<{ upToDate: boolean; upcoming: MeetingRow[] }> {
  const [noted] = await tx
    .update(series)
    .set({
      ...made,
      ...(made && { calendarSeen: seen }),
      syncedRevision: sql`greatest(${series.syncedRevision}, ${row.revision})`,
    })
    .where(eq(series.id, row.id))
    .returning({ revision: series.revision })
  if (!noted) throw new Error(`The series ${row.id} is gone although series are never deleted`)
  if (made) await linkMeetings(tx, row, made, by)
  const upcoming = await tx
    .select()
    .from(meetings)
    .where(and(eq(meetings.seriesId, row.id), eq(meetings.status, 'scheduled')))
    .orderBy(asc(meetings.startsAt))
  return { upToDate: noted.revision === row.revision, upcoming }
}

async function linkMeetings(
  tx: Transaction,
  row: SeriesRow,
  { eventId, joinUrl, meetingCode, spaceName, space }: Provisioned,
  by: { actor: Actor; now: Date },
): Promise<void> {
  const toCome = and(eq(meetings.seriesId, row.id), eq(meetings.status, 'scheduled'))
  // The instances of an event that is new have its link, all of them; of one that stays, some may have been given others.
  const isNew = row.joinUrl === null || row.eventId !== eventId
  const follow = isNew
    ? sql`true`
    : sql`(${meetings.joinUrl} is null or ${meetings.joinUrl} = ${row.joinUrl})`
  const isOther = sql`${meetings.joinUrl} is distinct from ${joinUrl}`
  const before = await tx
    .select({ meeting: meetings, getsLink: sql<boolean>`(${follow} and ${isOther})` })
    .from(meetings)
    .where(and(toCome, sql`((${follow} and ${isOther}) or ${meetings.eventId} <> ${instanceId(eventId)})`))
    .orderBy(asc(meetings.startsAt), asc(meetings.id))
    .for('update')
  if (before.length === 0) return
  await tx
    .update(meetings)
    .set({ eventId: instanceId(eventId), updatedAt: by.now })
    .where(toCome)
  await tx.update(meetings).set({ joinUrl, meetingCode, spaceName, space }).where(and(toCome, follow))
  const linked = before.flatMap(({ meeting, getsLink }) => (getsLink ? [meeting] : []))
  await noteMeetingEvents(tx, linked, by.actor, 'meeting.provisioned')
  const [fresh, moved] = [
    linked.filter(meeting => meeting.joinUrl === null),
    linked.filter(meeting => meeting.joinUrl !== null),
  ]
  await announceMeetings(tx, 'meeting.created', fresh, { at: by.now })
  await announceMeetings(tx, 'meeting.updated', moved, { at: by.now, changed: ['joinUrl'] })
}

/** As Google forms it: the event's id and the start that the rule gave (google-apis.md §1.5). */
function instanceId(eventId: string) {
  return sql`${eventId}::text || '_' || to_char(${meetings.originalStart} at time zone 'utc', 'YYYYMMDD"T"HH24MISS"Z"')`
}

/** Keeps the id of an event that is about to be made in the place of one that somebody deleted in Google. */
export async function keepSeriesEventId(db: Queryable, id: string, eventId: string): Promise<void> {
  await db.update(series).set({ eventId }).where(eq(series.id, id))
}
