import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { meetings, type SeriesTemplate, series } from './schema.ts'

/** What stands of people in the template that the meetings of a series are made by, where it makes no more. */

// Cancelled, or made to its end (see api/series/occurrences.ts). The table is named: in a list of columns it would be left out.
const makesNoMore = sql<boolean>`("series"."status" = 'cancelled' or "series"."expanded_until" >= '9999-01-01T00:00:00Z')`

const isOver = sql<boolean>`(${makesNoMore} and not exists (select from meetings m
  where m.series_id = "series"."id" and m.status in ('scheduled', 'in_progress')))`

/** What was done to a person's entries in templates. */
export interface ErasedTemplates {
  /** How many were rewritten. */
  seriesTemplates: number
  /** Series that go on: the person has to be taken off them first. */
  upcomingSeries: string[]
}

/**
 * Puts the pseudonym in the place of a person in the templates of series that are over. One with a meeting under legal hold
 * is left as it is. Locks the series, so it has to come before anything that locks meetings.
 * @param person.email lower-cased
 */
export async function eraseFromTemplates(
  tx: Transaction,
  organizationId: string,
  { email, pseudonym }: { email: string; pseudonym: string },
): Promise<ErasedTemplates> {
  const found = await tx
    .select({
      id: series.id,
      template: series.template,
      over: isOver,
      held: sql<boolean>`exists (select from meetings m where m.series_id = "series"."id" and m.legal_hold)`,
    })
    .from(series)
    .where(
      and(
        eq(series.organizationId, organizationId),
        sql`exists (select from jsonb_array_elements("series"."template" -> 'participants') invited
          where lower(invited ->> 'email') = ${email})`,
      ),
    )
    .orderBy(series.id)
    .for('update')
  const over = found.filter(row => row.over && !row.held)
  for (const { id, template } of over) {
    const participants = template.participants.map(one =>
      one.email.toLowerCase() === email ? { ...one, email: pseudonym, name: null } : one,
    )
    await tx
      .update(series)
      // Few enough guests are guessed by their fingerprint.
      .set({ template: { ...template, participants }, calendarSeen: null })
      .where(eq(series.id, id))
  }
  return {
    seriesTemplates: over.length,
    upcomingSeries: found.filter(row => !row.over).map(row => row.id),
  }
}

/** Whether a series makes no more meetings and all of them are over: what its template says of people may be erased. */
export async function isSeriesOver(db: Queryable, seriesId: string): Promise<boolean> {
  const [row] = await db.select({ over: isOver }).from(series).where(eq(series.id, seriesId))
  return row?.over ?? false
}

/** Locks the series of a meeting, where it has one: before the meeting itself. @returns its id */
export async function lockSeriesOf(tx: Transaction, meetingId: string): Promise<string | null> {
  const [meeting] = await tx
    .select({ seriesId: meetings.seriesId })
    .from(meetings)
    .where(eq(meetings.id, meetingId))
  if (!meeting?.seriesId) return null
  await tx.select({ id: series.id }).from(series).where(eq(series.id, meeting.seriesId)).for('update')
  return meeting.seriesId
}

/** Empties the template of a series that makes no more meetings once all of them are erased. */
export async function eraseSpentTemplate(tx: Transaction, seriesId: string, now: Date): Promise<void> {
  const [left] = await tx
    .select({ id: meetings.id })
    .from(meetings)
    .where(and(eq(meetings.seriesId, seriesId), isNull(meetings.erasedAt)))
    .limit(1)
  if (left) return
  const [row] = await tx
    .select({ template: series.template, over: makesNoMore })
    .from(series)
    .where(eq(series.id, seriesId))
  if (!row?.over) return
  const template: SeriesTemplate = {
    ...row.template,
    topic: '',
    description: null,
    customFields: null,
    participants: [],
  }
  await tx.update(series).set({ template, calendarSeen: null, updatedAt: now }).where(eq(series.id, seriesId))
}
