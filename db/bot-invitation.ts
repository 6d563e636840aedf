import { and, eq, isNull } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { type Actor, type MeetingRow, noteMeetingEvent } from './meetings.ts'
import { meetingEvents, meetings } from './schema.ts'

const KIND = 'bot.invited'

/** Was the bot invited to a meeting that was found in a calendar, or refused for good? */
export async function isBotInvited(db: Queryable, meetingId: string): Promise<boolean> {
  const [row] = await db
    .select({ id: meetingEvents.id })
    .from(meetingEvents)
    .where(and(eq(meetingEvents.meetingId, meetingId), eq(meetingEvents.kind, KIND)))
    .limit(1)
  return row !== undefined
}

export function noteBotInvited(
  tx: Transaction,
  meeting: Pick<MeetingRow, 'id' | 'organizationId'>,
  actor: Actor,
  outcome: string,
): Promise<void> {
  return noteMeetingEvent(tx, meeting, actor, KIND, { outcome })
}

/** Keeps the name of a meeting's room, unless it has another room meanwhile. */
export async function noteSpace(
  tx: Transaction,
  meetingId: string,
  { meetingCode, spaceName }: { meetingCode: string; spaceName: string },
): Promise<void> {
  await tx
    .update(meetings)
    .set({ spaceName })
    .where(and(eq(meetings.id, meetingId), eq(meetings.meetingCode, meetingCode), isNull(meetings.spaceName)))
}
