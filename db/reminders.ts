import { asc, eq, lte } from 'drizzle-orm'
import type { Transaction } from './connect.ts'
import type { MeetingRow } from './meetings.ts'
import { meetings } from './schema.ts'

/** Meetings with a reminder to look at; skips those that somebody else is at. */
export async function lockMeetingsToRemind(tx: Transaction, now: Date, limit: number): Promise<MeetingRow[]> {
  return tx
    .select()
    .from(meetings)
    .where(lte(meetings.nextReminderAt, now))
    .orderBy(asc(meetings.nextReminderAt))
    .limit(limit)
    .for('update', { skipLocked: true })
}

/** Notes when the next reminder of a meeting is due; null when none is any more. */
export async function noteNextReminder(tx: Transaction, meetingId: string, at: Date | null): Promise<void> {
  await tx.update(meetings).set({ nextReminderAt: at }).where(eq(meetings.id, meetingId))
}
