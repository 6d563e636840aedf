import { and, asc, desc, eq, gt, inArray, isNull, ne, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import {
  type Actor,
  auditMeeting,
  type MeetingRow,
  noteMeetingEvent,
  type ParticipantRow,
} from './meetings.ts'
import { moveRecording } from './recordings.ts'
import {
  type CalendarSeen,
  type InvitationResponse,
  meetings,
  organizations,
  participants,
  recordings,
  series,
} from './schema.ts'
import type { SeriesRow } from './series.ts'
import { announceMeeting } from './webhooks.ts'

interface By {
  actor: Actor
  now: Date
}

const isAt = (calendar: string) => sql`lower(${meetings.organizer}) = ${calendar}`

/** The meeting of an event; of several with one event, the one that is still to come. @param calendar lower-cased */
export async function findMeetingByEvent(
  db: Queryable,
  calendar: string,
  eventId: string,
): Promise<MeetingRow | undefined> {
  const [row] = await db
    .select()
    .from(meetings)
    .where(and(eq(meetings.eventId, eventId), isAt(calendar)))
    .orderBy(
      desc(sql`${meetings.status} in ('scheduled', 'in_progress')`),
      desc(meetings.startsAt),
      desc(meetings.createdAt),
    )
    .limit(1)
  return row
}

/** The series of a recurring event. */
export async function findSeriesByEvent(
  db: Queryable,
  calendar: string,
  eventId: string,
): Promise<SeriesRow | undefined> {
  const [row] = await db
    .select()
    .from(series)
    .where(and(eq(series.eventId, eventId), sql`lower(${series.organizer}) = ${calendar}`))
    .limit(1)
  return row
}

/** A series of this calendar by our own id. */
export async function findSeriesAt(
  db: Queryable,
  calendar: string,
  id: string,
): Promise<SeriesRow | undefined> {
  if (!/^[0-9a-f-]{36}$/i.test(id)) return undefined
  const [row] = await db
    .select()
    .from(series)
    .where(and(eq(series.id, id), sql`lower(${series.organizer}) = ${calendar}`))
  return row
}

/** The meeting of a series that the rule gave this start; of cancelled ones the last. */
export async function findOccurrence(
  db: Queryable,
  seriesId: string,
  originalStart: Date,
): Promise<MeetingRow | undefined> {
  const [row] = await db
    .select()
    .from(meetings)
    .where(and(eq(meetings.seriesId, seriesId), eq(meetings.originalStart, originalStart)))
    .orderBy(sql`${meetings.status} = 'cancelled'`, desc(meetings.createdAt))
    .limit(1)
  return row
}

/** Meetings to come whose events stand in a calendar by themselves, and that Google knows: to find those that are gone. */
export async function listUpcomingSingles(
  db: Queryable,
  calendar: string,
  now: Date,
): Promise<Pick<MeetingRow, 'id' | 'eventId'>[]> {
  return db
    .select({ id: meetings.id, eventId: meetings.eventId })
    .from(meetings)
    .where(
      and(
        isAt(calendar),
        eq(meetings.status, 'scheduled'),
        gt(meetings.endsAt, now),
        isNull(meetings.seriesId),
        isNull(meetings.calendarSeries),
        sql`${meetings.joinUrl} is not null`,
      ),
    )
}

/** Series that are going on in a calendar, and that Google knows. */
export async function listActiveSeries(db: Queryable, calendar: string): Promise<SeriesRow[]> {
  return db
    .select()
    .from(series)
    .where(
      and(
        sql`lower(${series.organizer}) = ${calendar}`,
        eq(series.status, 'active'),
        sql`${series.joinUrl} is not null`,
      ),
    )
}

/** Meetings to come that were found as instances of a recurring event. @param eventId absent: of all of them */
export async function listCaptured(
  db: Queryable,
  calendar: string,
  now: Date,
  eventId?: string,
): Promise<MeetingRow[]> {
  return db
    .select()
    .from(meetings)
    .where(
      and(
        isAt(calendar),
        eventId === undefined
          ? sql`${meetings.calendarSeries} is not null`
          : eq(meetings.calendarSeries, eventId),
        eq(meetings.status, 'scheduled'),
        gt(meetings.startsAt, now),
      ),
    )
    .orderBy(asc(meetings.startsAt))
}

/** Is a call already known, by its event in any calendar or by its link at that time? */
export async function isKnownCall(
  db: Queryable,
  call: { eventId: string; meetingCode: string; startsAt: Date },
): Promise<boolean> {
  const living = inArray(meetings.status, ['scheduled', 'in_progress', 'ended'])
  const [one] = await db
    .select({ id: meetings.id })
    .from(meetings)
    .where(
      and(
        living,
        eq(meetings.startsAt, call.startsAt),
        sql`(${meetings.eventId} = ${call.eventId} or ${meetings.meetingCode} = ${call.meetingCode})`,
      ),
    )
    .limit(1)
  return one !== undefined
}

/** The organisation that gets what is captured in calendars of this domain. */
export async function findCapturer(
  db: Queryable,
  by: { name: string } | { domain: string },
): Promise<string | undefined> {
  const [row] = await db
    .select({ id: organizations.id })
    .from(organizations)
    .where('name' in by ? eq(organizations.name, by.name) : eq(organizations.googleDomain, by.domain))
  return row?.id
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

/** The same for a series. */
export async function noteSeriesFollowed(tx: Transaction, seriesId: string): Promise<void> {
  await tx
    .update(series)
    .set({ syncedRevision: sql`${series.revision}` })
    .where(eq(series.id, seriesId))
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

/** A cancelled meeting takes place after all: somebody put its event back. @returns undefined where its place is taken */
export async function reviveMeeting(
  tx: Transaction,
  meeting: MeetingRow,
  by: By,
): Promise<MeetingRow | undefined> {
  if (meeting.seriesId !== null && meeting.originalStart !== null) {
    const [other] = await tx
      .select({ id: meetings.id })
      .from(meetings)
      .where(
        and(
          eq(meetings.seriesId, meeting.seriesId),
          eq(meetings.originalStart, meeting.originalStart),
          ne(meetings.status, 'cancelled'),
        ),
      )
    if (other) return undefined
  }
  const [recording] = await tx
    .select()
    .from(recordings)
    .where(eq(recordings.meetingId, meeting.id))
    .for('update')
  if (recording?.status !== 'cancelled') return undefined
  const [row] = await tx
    .update(meetings)
    .set({ status: 'scheduled', cancelledAt: null, revision: meeting.revision + 1, updatedAt: by.now })
    .where(eq(meetings.id, meeting.id))
    .returning()
  if (!row) throw new Error(`The meeting ${meeting.id} is gone although it was locked`)
  await moveRecording(tx, recording.id, 'pending', { actor: by.actor })
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.restored')
  await auditMeeting(tx, meeting, by.actor, 'meeting.restored', {
    before: { status: meeting.status },
    after: { status: row.status },
  })
  await announceMeeting(tx, 'meeting.updated', meeting, { at: by.now, changed: ['status'] })
  return row
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
