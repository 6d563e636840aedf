import { and, asc, eq, inArray, isNotNull, isNull, lte, ne, or, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { calendarChannels, followedCalendars, meetings, organizations, series } from './schema.ts'

export type FollowedCalendar = typeof followedCalendars.$inferSelect
export type CalendarChannel = typeof calendarChannels.$inferSelect

/** Follows these calendars from now on; what is followed already stays as it is. @param calendars lower-cased */
export async function followCalendars(db: Queryable, calendars: readonly string[], now: Date): Promise<void> {
  if (calendars.length === 0) return
  await db
    .insert(followedCalendars)
    .values([...new Set(calendars)].map(calendar => ({ calendar, syncAt: now, upkeepAt: now })))
    .onConflictDoNothing()
}

/** Everybody in whose calendar an organisation may have meetings made, lower-cased. */
export async function listHosts(db: Queryable): Promise<string[]> {
  const rows = await db.execute<{ host: string }>(
    sql`select distinct lower(host) as host from ${organizations}, jsonb_array_elements_text(${organizations.hosts}) as host`,
  )
  return rows.map(row => row.host)
}

/** Is there anything left to follow in a calendar? */
export async function hasUpcoming(db: Queryable, calendar: string): Promise<boolean> {
  const [meeting] = await db
    .select({ id: meetings.id })
    .from(meetings)
    .where(
      and(
        sql`lower(${meetings.organizer}) = ${calendar}`,
        inArray(meetings.status, ['scheduled', 'in_progress']),
      ),
    )
    .limit(1)
  if (meeting) return true
  const [one] = await db
    .select({ id: series.id })
    .from(series)
    .where(and(sql`lower(${series.organizer}) = ${calendar}`, eq(series.status, 'active')))
    .limit(1)
  return one !== undefined
}

export async function findFollowed(db: Queryable, calendar: string): Promise<FollowedCalendar | undefined> {
  const [row] = await db.select().from(followedCalendars).where(eq(followedCalendars.calendar, calendar))
  return row
}

/** The calendar whose subscription to what happens in calls has this name. */
export async function findBySubscription(
  db: Queryable,
  subscription: string,
): Promise<FollowedCalendar | undefined> {
  const [row] = await db
    .select()
    .from(followedCalendars)
    .where(eq(followedCalendars.subscription, subscription))
  return row
}

/** Takes what is due, so that no other process does, and puts it off until `next`. */
export async function takeDue(
  tx: Transaction,
  what: 'syncAt' | 'upkeepAt',
  { now, next }: { now: Date; next: Date },
): Promise<string[]> {
  const column = followedCalendars[what]
  const due = await tx
    .select({ calendar: followedCalendars.calendar })
    .from(followedCalendars)
    .where(lte(column, now))
    .orderBy(asc(column))
    .limit(100)
    .for('update', { skipLocked: true })
  const calendars = due.map(row => row.calendar)
  if (calendars.length > 0)
    await tx
      .update(followedCalendars)
      .set({ [what]: next })
      .where(inArray(followedCalendars.calendar, calendars))
  return calendars
}

/** Stands for: everything is to be read again, whenever that was done last. */
const UNREAD = new Date(0)

/** A time, unless somebody has set another one since a row was read: what was asked for meanwhile is not put off. */
function unlessChanged<Column extends 'syncAt' | 'wholeAt' | 'upkeepAt'>(
  row: Pick<FollowedCalendar, Column>,
  column: Column,
  time: Date,
) {
  const was = row[column]?.toISOString() ?? null
  const { [column]: now } = followedCalendars
  return sql`case when ${now} is distinct from ${was}::timestamptz then ${now} else ${time.toISOString()}::timestamptz end`
}

/**
 * Notes a reading that was followed to its end. Where somebody has asked since the row was read for another one, or that
 * everything be read, that still holds.
 * @param row as it was when the reading began: where another process has read on from there meanwhile, nothing is noted
 * @param read.whole everything was read
 * @param read.isLeft something in it could not be followed: everything is read again with the next poll
 */
export async function noteSynced(
  db: Queryable,
  row: FollowedCalendar,
  read: { token: string; whole: boolean; isLeft: boolean; now: Date; next: Date },
): Promise<boolean> {
  const { token, whole, isLeft, now, next } = read
  const noted = await db
    .update(followedCalendars)
    .set({
      syncToken: token,
      syncedAt: now,
      syncAt: unlessChanged(row, 'syncAt', next),
      failures: 0,
      lastError: null,
      ...(whole && { wholeAt: unlessChanged(row, 'wholeAt', now) }),
      ...(isLeft && { wholeAt: UNREAD }),
    })
    .where(
      and(
        eq(followedCalendars.calendar, row.calendar),
        row.syncToken === null
          ? isNull(followedCalendars.syncToken)
          : eq(followedCalendars.syncToken, row.syncToken),
      ),
    )
    .returning({ calendar: followedCalendars.calendar })
  return noted.length > 0
}

/** Has everything in these calendars read with their next poll, or as soon as `now`. */
export async function readWholeSoon(db: Queryable, calendars: readonly string[], now?: Date): Promise<void> {
  if (calendars.length === 0) return
  await db
    .update(followedCalendars)
    .set({ wholeAt: UNREAD, ...(now && { syncAt: now }) })
    .where(inArray(followedCalendars.calendar, [...calendars]))
}

/** Notes a reading that failed, and when to try again: sooner, where somebody has asked for one since the row was read. */
export async function noteSyncFailed(
  db: Queryable,
  row: FollowedCalendar,
  failed: { error: string; next: Date },
): Promise<void> {
  await db
    .update(followedCalendars)
    .set({
      failures: sql`${followedCalendars.failures} + 1`,
      lastError: failed.error,
      syncAt: unlessChanged(row, 'syncAt', failed.next),
    })
    .where(eq(followedCalendars.calendar, row.calendar))
}

/**
 * Notes how channel and subscription of a calendar were found, and when to look after them again: sooner, where somebody
 * has asked for that since the row was read.
 */
export async function noteUpkeep(
  db: Queryable,
  row: Pick<FollowedCalendar, 'calendar' | 'upkeepAt'>,
  kept: {
    next: Date
    /** Null: all is well. */
    error: string | null
    googleUserId?: string | null
    subscription?: string | null
    subscriptionExpiresAt?: Date | null
  },
): Promise<void> {
  const { next, error, ...facts } = kept
  await db
    .update(followedCalendars)
    .set({
      ...facts,
      upkeepAt: unlessChanged(row, 'upkeepAt', next),
      upkeepError: error,
      upkeepFailures: error === null ? 0 : sql`${followedCalendars.upkeepFailures} + 1`,
    })
    .where(eq(followedCalendars.calendar, row.calendar))
}

/** Has channel and subscription of a calendar looked after at once. */
export async function keepSoon(
  db: Queryable,
  calendar: string,
  now: Date,
  facts: Partial<Pick<FollowedCalendar, 'subscription' | 'subscriptionExpiresAt'>> = {},
): Promise<void> {
  await db
    .update(followedCalendars)
    .set({ ...facts, upkeepAt: now })
    .where(eq(followedCalendars.calendar, calendar))
}

/** Follows a calendar no more. Its channels have to be stopped before. */
export async function unfollow(db: Queryable, calendar: string): Promise<void> {
  await db.delete(followedCalendars).where(eq(followedCalendars.calendar, calendar))
}

/** Writes down a channel that Google is about to be asked for. */
export async function addChannel(
  db: Queryable,
  channel: Pick<CalendarChannel, 'id' | 'calendar' | 'tokenHash' | 'address'>,
): Promise<void> {
  await db.insert(calendarChannels).values(channel)
}

export async function noteChannelOpened(
  db: Queryable,
  id: string,
  opened: { resourceId: string; expiresAt: Date },
): Promise<void> {
  await db.update(calendarChannels).set(opened).where(eq(calendarChannels.id, id))
}

/** Notes what a push says of a channel of which no answer has come yet. */
export async function noteChannelResource(db: Queryable, id: string, resourceId: string): Promise<void> {
  await db
    .update(calendarChannels)
    .set({ resourceId })
    .where(and(eq(calendarChannels.id, id), isNull(calendarChannels.resourceId)))
}

export async function findChannel(db: Queryable, id: string): Promise<CalendarChannel | undefined> {
  const [row] = await db.select().from(calendarChannels).where(eq(calendarChannels.id, id))
  return row
}

/** The newest first. */
export async function listChannels(db: Queryable, calendar: string): Promise<CalendarChannel[]> {
  const rows = await db
    .select()
    .from(calendarChannels)
    .where(eq(calendarChannels.calendar, calendar))
    .orderBy(asc(calendarChannels.createdAt), asc(calendarChannels.id))
  return rows.reverse()
}

/** A change came without a push: the channels of a calendar count as over, so that another one is opened. */
export async function distrustChannels(db: Queryable, calendar: string, now: Date): Promise<boolean> {
  const distrusted = await db
    .update(calendarChannels)
    .set({ expiresAt: now })
    .where(
      and(
        eq(calendarChannels.calendar, calendar),
        or(isNull(calendarChannels.expiresAt), sql`${calendarChannels.expiresAt} > ${now.toISOString()}`),
      ),
    )
    .returning({ id: calendarChannels.id })
  return distrusted.length > 0
}

export async function removeChannel(db: Queryable, id: string): Promise<void> {
  await db.delete(calendarChannels).where(eq(calendarChannels.id, id))
}

/** Canonical name of some room that belongs to the owner of a calendar. */
export async function findSpaceOf(db: Queryable, calendar: string): Promise<string | undefined> {
  const [row] = await db
    .select({ name: meetings.spaceName })
    .from(meetings)
    .where(
      and(
        sql`lower(${meetings.organizer}) = ${calendar}`,
        isNotNull(meetings.spaceName),
        ne(meetings.status, 'cancelled'),
        sql`${meetings.endsAt} > now()`,
      ),
    )
    .orderBy(asc(meetings.startsAt))
    .limit(1)
  return row?.name ?? undefined
}
