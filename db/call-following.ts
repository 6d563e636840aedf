import { and, eq, inArray, isNull, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { type Actor, type MeetingRow, noteMeetingEvent } from './meetings.ts'
import { endMeeting } from './recordings.ts'
import { newRowId } from './row-id.ts'
import { attempts, meetings, presences, recordings } from './schema.ts'
import { announceMeeting, announceToldParticipant } from './webhooks.ts'

interface By {
  actor: Actor
  now: Date
}

/**
 * The meeting that a call in this room at this time belongs to: the meetings of a series share one room.
 * @param at.earlyMs a call may begin that long before its time
 * @param at.lateMs and go on that long after it
 */
export async function findMeetingOfCall(
  db: Queryable,
  space: string,
  { at, earlyMs, lateMs }: { at: Date; earlyMs: number; lateMs: number },
): Promise<MeetingRow | undefined> {
  const moment = sql`${at.toISOString()}::timestamptz`
  const ms = (value: number) => sql`${value} * interval '1 millisecond'`
  const [row] = await db
    .select()
    .from(meetings)
    .where(
      and(
        eq(meetings.spaceName, space),
        inArray(meetings.status, ['scheduled', 'in_progress', 'ended']),
        sql`${meetings.startsAt} - ${ms(earlyMs)} <= ${moment}`,
        sql`${meetings.endsAt} + ${ms(lateMs)} >= ${moment}`,
      ),
    )
    // The one whose time it is, or else the nearest.
    .orderBy(
      sql`greatest(${meetings.startsAt} - ${moment}, ${moment} - ${meetings.endsAt}, interval '0')`,
      sql`${meetings.status} = 'ended'`,
      meetings.startsAt,
    )
    .limit(1)
  return row
}

/** People are in the call: the meeting has begun. Repeating it changes nothing. */
export async function noteCallBegun(tx: Transaction, meeting: MeetingRow, { actor, now }: By): Promise<void> {
  const [begun] = await tx
    .update(meetings)
    .set({
      status: 'in_progress',
      revision: sql`${meetings.revision} + 1`,
      syncedRevision: sql`${meetings.syncedRevision} + (${meetings.syncedRevision} = ${meetings.revision})::int`,
    })
    .where(and(eq(meetings.id, meeting.id), eq(meetings.status, 'scheduled')))
    .returning()
  if (!begun) return
  await noteMeetingEvent(tx, meeting, actor, 'meeting.started')
  await announceMeeting(tx, 'meeting.started', begun, { at: now })
}

/** One stay of one person in a call, as Google tells of it. */
export interface ToldStay {
  /** Name of the participant session. */
  session: string
  name: string | null
  from: Date
  to: Date | null
}

/**
 * Writes down a stay, or its end, and with it the actual start of the meeting. Where none of our bots is in the call to
 * see it, it is told. Repeating it changes nothing.
 */
export async function noteToldStay(tx: Transaction, meeting: MeetingRow, stay: ToldStay): Promise<void> {
  const { session, name, from, to } = stay
  const { id: meetingId, organizationId } = meeting
  const [known] = await tx
    .select()
    .from(presences)
    .where(
      and(eq(presences.meetingId, meetingId), eq(presences.source, 'told'), eq(presences.personKey, session)),
    )
    .for('update')
  const isSeen = await isBotInCall(tx, meetingId)
  if (!known) {
    if (!isSeen) await announceToldParticipant(tx, meeting, { kind: 'joined', session, name, at: from })
    await tx.insert(presences).values({
      ...{ id: newRowId(), organizationId, meetingId, source: 'told', personKey: session, name },
      ...{ joinedAt: from, leftAt: to },
    })
    await tx
      .update(meetings)
      .set({ actualStart: from })
      .where(
        and(
          eq(meetings.id, meetingId),
          sql`(${meetings.actualStart} is null or ${meetings.actualStart} > ${from.toISOString()}::timestamptz)`,
        ),
      )
  } else if (known.leftAt === null && to !== null)
    await tx.update(presences).set({ leftAt: to }).where(eq(presences.id, known.id))
  const hasLeft = to !== null && (!known || known.leftAt === null)
  if (hasLeft && !isSeen) await announceToldParticipant(tx, meeting, { kind: 'left', session, name, at: to })
}

/**
 * The call is over. Who was in it has left; the meeting has ended, unless one of our bots is still there or it may go on:
 * before its scheduled end people may come back.
 */
export async function noteCallEnded(
  tx: Transaction,
  meeting: MeetingRow,
  { conference, endedAt, now }: { conference: string; endedAt: Date; now: Date },
): Promise<void> {
  const { id: meetingId } = meeting
  const left = await tx
    .update(presences)
    .set({ leftAt: endedAt })
    .where(
      and(
        eq(presences.meetingId, meetingId),
        eq(presences.source, 'told'),
        isNull(presences.leftAt),
        sql`starts_with(${presences.personKey}, ${`${conference}/`})`,
      ),
    )
    .returning({ session: presences.personKey, name: presences.name })
  if (!(await isBotInCall(tx, meetingId)))
    for (const { session, name } of left)
      await announceToldParticipant(tx, meeting, { kind: 'left', session, name, at: endedAt })
  await tx
    .update(meetings)
    .set({ actualEnd: endedAt })
    .where(
      and(
        eq(meetings.id, meetingId),
        sql`${meetings.actualStart} is not null`,
        sql`(${meetings.actualEnd} is null or ${meetings.actualEnd} < ${endedAt.toISOString()}::timestamptz)`,
      ),
    )
  const isOver = now >= meeting.endsAt && !(await isAttended(tx, meetingId))
  if (isOver && meeting.status === 'in_progress') await endMeeting(tx, meetingId, endedAt)
}

/** Has one of our bots been let into the call, and not left it? */
async function isBotInCall(db: Queryable, meetingId: string): Promise<boolean> {
  return (await livingAttempts(db, meetingId)).some(({ admittedAt }) => admittedAt !== null)
}

/** Is a bot of ours in the call, or on its way? */
async function isAttended(db: Queryable, meetingId: string): Promise<boolean> {
  return (await livingAttempts(db, meetingId)).length > 0
}

/** Is a bot of ours in the room of this meeting, or on its way, for whichever of the meetings that share it? */
export async function isRoomAttended(
  db: Queryable,
  { id, spaceName }: Pick<MeetingRow, 'id' | 'spaceName'>,
): Promise<boolean> {
  if (spaceName === null) return isAttended(db, id)
  const [one] = await db
    .select({ id: attempts.id })
    .from(attempts)
    .innerJoin(recordings, eq(recordings.id, attempts.recordingId))
    .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
    .where(and(eq(meetings.spaceName, spaceName), isNull(attempts.endedAt)))
    .limit(1)
  return one !== undefined
}

function livingAttempts(db: Queryable, meetingId: string): Promise<{ admittedAt: Date | null }[]> {
  return db
    .select({ admittedAt: attempts.admittedAt })
    .from(attempts)
    .innerJoin(recordings, eq(recordings.id, attempts.recordingId))
    .where(and(eq(recordings.meetingId, meetingId), isNull(attempts.endedAt)))
}
