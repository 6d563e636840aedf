import { and, asc, desc, eq, gt, gte, inArray, isNull, or, sql } from 'drizzle-orm'
import type { Queryable } from './connect.ts'
import type { MeetingRow } from './meetings.ts'
import { meetings, organizations, series } from './schema.ts'
import type { SeriesRow } from './series.ts'

// What calendars hold, as our rows know it.

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

/**
 * The meeting of an instance of a series: the one to which the rule gave this start, or one that was made in its place
 * because it was over or going on; of cancelled ones the last.
 */
export async function findInstance(
  db: Queryable,
  calendar: string,
  seriesId: string,
  instance: { eventId: string; originalStart: Date },
): Promise<MeetingRow | undefined> {
  const ofRule = and(eq(meetings.seriesId, seriesId), eq(meetings.originalStart, instance.originalStart))
  const inItsPlace = and(eq(meetings.eventId, instance.eventId), isNull(meetings.seriesId), isAt(calendar))
  const [row] = await db
    .select()
    .from(meetings)
    .where(or(ofRule, inItsPlace))
    .orderBy(
      desc(sql`${meetings.status} in ('scheduled', 'in_progress')`),
      sql`${meetings.status} = 'cancelled'`,
      desc(meetings.createdAt),
    )
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

/** Is a call already known, by its event in any calendar, wherever it has been moved to, or by its link at that time? */
export async function isKnownCall(
  db: Queryable,
  call: { eventId: string; meetingCode: string; startsAt: Date },
): Promise<boolean> {
  const isOfEvent = eq(meetings.eventId, call.eventId)
  const [one] = await db
    .select({ id: meetings.id })
    .from(meetings)
    .where(
      or(
        and(isOfEvent, inArray(meetings.status, ['scheduled', 'in_progress'])),
        and(
          or(isOfEvent, eq(meetings.meetingCode, call.meetingCode)),
          eq(meetings.startsAt, call.startsAt),
          inArray(meetings.status, ['scheduled', 'in_progress', 'ended']),
        ),
      ),
    )
    .limit(1)
  return one !== undefined
}

/** The organisation whose meeting this event or one of its instances already is. */
export async function findOwner(
  db: Queryable,
  calendar: string,
  eventId: string,
): Promise<string | undefined> {
  const [row] = await db
    .select({ id: meetings.organizationId })
    .from(meetings)
    .where(and(isAt(calendar), or(eq(meetings.eventId, eventId), eq(meetings.calendarSeries, eventId))))
    .orderBy(desc(meetings.createdAt))
    .limit(1)
  return row?.id
}

/**
 * Has a meeting of this calendar been cancelled since then?
 * @returns whether it was one that was found there; undefined where there is none
 */
export async function findCancelled(
  db: Queryable,
  calendar: string,
  since: Date,
): Promise<{ wasCaptured: boolean } | undefined> {
  const [row] = await db
    .select({ wasCaptured: sql<boolean>`${meetings.createdBy} is null` })
    .from(meetings)
    .where(and(isAt(calendar), eq(meetings.status, 'cancelled'), gte(meetings.cancelledAt, since)))
    .orderBy(desc(sql`${meetings.createdBy} is null`))
    .limit(1)
  return row
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
