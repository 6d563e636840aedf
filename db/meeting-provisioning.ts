import { and, eq, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import {
  type Actor,
  auditMeeting,
  listInvited,
  type MeetingRow,
  noteMeetingEvent,
  type ParticipantRow,
} from './meetings.ts'
import { type CalendarSeen, meetings, recordings, type SpaceConfiguration, series } from './schema.ts'
import type { SeriesRow } from './series.ts'
import type { RecordingStatus } from './states.ts'
import { together } from './together.ts'
import { announceMeeting } from './webhooks.ts'

/** A meeting as Google has to know it: the row, those invited, and where its recording stands. */
export interface MeetingToProvision {
  meeting: MeetingRow
  invited: ParticipantRow[]
  recordingStatus: RecordingStatus
  /** The series whose meeting it is. */
  series: SeriesRow | null
}

/** Reads row, people and recording as they stand together at one moment. */
export async function readMeetingToProvision(
  tx: Transaction,
  meetingId: string,
): Promise<MeetingToProvision | undefined> {
  // The row's lock makes a change by a caller come wholly before or wholly after this reading.
  const [row] = await tx
    .select({ meeting: meetings, recordingStatus: recordings.status, series })
    .from(meetings)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .leftJoin(series, eq(series.id, meetings.seriesId))
    .where(eq(meetings.id, meetingId))
    .for('share', { of: meetings })
  return row && { ...row, invited: await listInvited(tx, meetingId) }
}

/** What Google made of a meeting. */
export interface Provisioned {
  /** Differs from the row's when the first event had been deleted in Google and another was made. */
  eventId: string
  joinUrl: string
  meetingCode: string
  spaceName: string | null
  space: SpaceConfiguration
}

/** The same of one meeting. */
export interface ProvisionedMeeting extends Provisioned {
  /** What its event says: whoever reads it next tells by that what people have changed. */
  calendarSeen?: CalendarSeen | undefined
}

/**
 * Notes that Google has what the row said at `revision`.
 * @param made absent for a meeting whose event was cancelled
 * @returns the meeting as it is now: of a later revision where a caller changed it meanwhile; undefined where somebody else
 * has noted something since it was read: the transaction has to be undone then
 */
export async function noteProvisioned(
  tx: Transaction,
  meeting: MeetingRow,
  made: ProvisionedMeeting | undefined,
  by: { actor: Actor; now: Date },
): Promise<MeetingRow | undefined> {
  const what = made ? 'meeting.provisioned' : 'meeting.withdrawn'
  // Sent together, in this order: one trip for all.
  const [noted] = await together([
    markProvisioned(tx, meeting, made, by.now),
    noteMeetingEvent(tx, meeting, by.actor, what, {
      revision: meeting.revision,
      ...(made && made.space.refusals.length > 0 ? { refusals: made.space.refusals } : {}),
    }),
    auditMeeting(tx, meeting, by.actor, what, {
      detail: { revision: meeting.revision },
      ...(made && {
        before: { eventId: meeting.eventId, meetingCode: meeting.meetingCode, spaceName: meeting.spaceName },
        after: { eventId: made.eventId, meetingCode: made.meetingCode, spaceName: made.spaceName },
      }),
    }),
    made && announceMade(tx, meeting, made, by.now),
  ])
  return noted
}

async function markProvisioned(
  tx: Transaction,
  meeting: MeetingRow,
  made: ProvisionedMeeting | undefined,
  now: Date,
): Promise<MeetingRow | undefined> {
  const [noted] = await tx
    .update(meetings)
    .set({
      ...made,
      syncedRevision: sql`greatest(${meetings.syncedRevision}, ${meeting.revision})`,
      updatedAt: now,
    })
    .where(and(eq(meetings.id, meeting.id), eq(meetings.syncedRevision, meeting.syncedRevision)))
    .returning()
  return noted
}

// A meeting is told of when it has its link; a link changes when somebody deleted the event in Google.
async function announceMade(tx: Transaction, before: MeetingRow, made: Provisioned, at: Date): Promise<void> {
  if (before.joinUrl === null) await announceMeeting(tx, 'meeting.created', before, { at })
  else if (before.joinUrl !== made.joinUrl)
    await announceMeeting(tx, 'meeting.updated', before, { at, changed: ['joinUrl'] })
}

/** Keeps the id of an event that is about to be made in the place of one that somebody deleted in Google. */
export async function keepEventId(db: Queryable, meetingId: string, eventId: string): Promise<void> {
  await db.update(meetings).set({ eventId }).where(eq(meetings.id, meetingId))
}
