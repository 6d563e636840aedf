import { and, eq, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import {
  type Actor,
  auditMeeting,
  type MeetingRow,
  noteMeetingEvent,
  type ParticipantRow,
} from './meetings.ts'
import { type CalendarSeen, type InvitationResponse, meetings, participants, recordings } from './schema.ts'
import { announceMeeting } from './webhooks.ts'

interface By {
  actor: Actor
  now: Date
}

/** Gives a meeting that was found in a calendar its link: Google has it already. */
export async function linkFound(
  tx: Transaction,
  meetingId: string,
  link: Pick<MeetingRow, 'joinUrl' | 'meetingCode' | 'spaceName' | 'calendarSeries'>,
): Promise<MeetingRow> {
  const [row] = await tx
    .update(meetings)
    .set({ ...link, syncedRevision: sql`${meetings.revision}` })
    .where(eq(meetings.id, meetingId))
    .returning()
  if (!row) throw new Error(`The meeting ${meetingId} is gone although it was just made`)
  return row
}

/** Keeps what an event said, unless something newer is kept. */
export async function noteSeen(db: Queryable, meetingId: string, seen: CalendarSeen): Promise<void> {
  await db
    .update(meetings)
    .set({ calendarSeen: seen })
    .where(
      and(
        eq(meetings.id, meetingId),
        sql`coalesce(${meetings.calendarSeen} ->> 'updatedAt', '') <= ${seen.updatedAt ?? '9'}`,
      ),
    )
}

/** Notes that Google has what the row says now: it came from there. */
export async function noteFollowed(tx: Transaction, meetingId: string): Promise<void> {
  await tx
    .update(meetings)
    .set({ syncedRevision: sql`${meetings.revision}` })
    .where(eq(meetings.id, meetingId))
}

/** Somebody gave the event another link in the calendar. */
export async function changeLink(
  tx: Transaction,
  meeting: MeetingRow,
  link: { joinUrl: string; meetingCode: string },
  by: By,
): Promise<MeetingRow> {
  const [row] = await tx
    .update(meetings)
    // The room is another one: its name is asked for when it is needed.
    .set({ ...link, spaceName: null, revision: meeting.revision + 1, updatedAt: by.now })
    .where(eq(meetings.id, meeting.id))
    .returning()
  if (!row) throw new Error(`The meeting ${meeting.id} is gone although it was locked`)
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.link_changed')
  const of = ({ joinUrl, meetingCode }: MeetingRow) => ({ joinUrl, meetingCode })
  await auditMeeting(tx, meeting, by.actor, 'meeting.link_changed', { before: of(meeting), after: of(row) })
  await announceMeeting(tx, 'meeting.updated', meeting, { at: by.now, changed: ['joinUrl'] })
  return row
}

/** Keeps what people answered. It is a change of the meeting, as callers see it in there. @returns whether any was new */
export async function noteResponses(
  tx: Transaction,
  meeting: MeetingRow,
  answers: readonly { person: ParticipantRow; response: InvitationResponse }[],
  by: By,
): Promise<boolean> {
  const fresh = answers.filter(({ person, response }) => person.response !== response)
  if (fresh.length === 0) return false
  for (const { person, response } of fresh)
    await tx
      .update(participants)
      .set({ response, respondedAt: response === 'needs_action' ? null : by.now })
      .where(eq(participants.id, person.id))
  await tx
    .update(meetings)
    .set({
      revision: sql`${meetings.revision} + 1`,
      // Nothing of it is to be told to Google; what still was, still is.
      syncedRevision: sql`${meetings.syncedRevision} + (${meetings.syncedRevision} = ${meetings.revision})::int`,
      updatedAt: by.now,
    })
    .where(eq(meetings.id, meeting.id))
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.answered', { answers: fresh.length })
  const told = (of: (one: (typeof fresh)[number]) => InvitationResponse) => ({
    responses: Object.fromEntries(fresh.map(one => [one.person.id, of(one)])),
  })
  await auditMeeting(tx, meeting, by.actor, 'meeting.answered', {
    before: told(({ person }) => person.response),
    after: told(({ response }) => response),
  })
  await announceMeeting(tx, 'meeting.updated', meeting, { at: by.now, changed: ['participants'] })
  return true
}

/** Where a meeting's recording stands. */
export async function recordingStatusOf(db: Queryable, meetingId: string) {
  const [row] = await db
    .select({ status: recordings.status })
    .from(recordings)
    .where(eq(recordings.meetingId, meetingId))
  if (!row) throw new Error(`The meeting ${meetingId} has no recording`)
  return row.status
}
