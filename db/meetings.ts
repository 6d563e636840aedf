import { and, asc, eq, inArray, isNull, notInArray, sql } from 'drizzle-orm'
import { type AuditNote, noteAudit } from './audit-notes.ts'
import type { Queryable, Transaction } from './connect.ts'
import { meetingFacts } from './meeting-facts.ts'
import { moveRecording } from './recordings.ts'
import { newRowId } from './row-id.ts'
import { meetingEvents, meetings, type Patience, participants, type Reminder, recordings } from './schema.ts'
import { together } from './together.ts'
import { announceMeeting } from './webhooks.ts'

export type MeetingRow = typeof meetings.$inferSelect
export type ParticipantRow = typeof participants.$inferSelect

/** Somebody to invite. The address is lower-cased: it tells people of one meeting apart. */
export interface Invited {
  email: string
  name: string | null
  role: 'host' | 'participant'
}

/** What a caller asks for, ready for the row. */
export interface MeetingWish {
  topic: string
  description: string | null
  startsAt: Date
  endsAt: Date
  timeZone: string
  externalId: string | null
  relatedType: string | null
  relatedId: string | null
  customFields: Record<string, unknown> | null
  patience: Patience
  redundancy: number
  reminders?: Reminder[]
  participants: Invited[]
}

/** What may change after a meeting was made; what is absent stays. */
export type MeetingChange = Partial<
  Pick<
    MeetingWish,
    | 'topic'
    | 'description'
    | 'startsAt'
    | 'endsAt'
    | 'timeZone'
    | 'participants'
    | 'customFields'
    | 'reminders'
    | 'relatedType'
    | 'relatedId'
    | 'patience'
  >
>

/** Who does something, as the log of the meeting names them: `api_key:<prefix>`, `job:<name>`. */
export type Actor = string

type NewMeeting = MeetingWish & {
  id: string
  organizationId: string
  organizer: string
  provider?: string
  eventId: string
  createdBy?: string
}

/** The organisation has a meeting with this external id already. */
export class ExternalIdTaken extends Error {
  readonly code = 'external_id_taken'
}

/**
 * Writes a new meeting with its invited people, its pending recording and the first line of its log, all in one trip.
 * @param beside asks for what belongs to it as well, in the same trip
 * @throws {ExternalIdTaken} nothing more can be done in this transaction then
 */
export async function insertMeeting(
  tx: Transaction,
  made: NewMeeting,
  actor: Actor,
  beside: () => Promise<void> = async () => {},
): Promise<{ meeting: MeetingRow; invited: ParticipantRow[] }> {
  const { participants: wanted, ...row } = made
  const people = wanted.map(person => ({ ...person, id: newRowId() }))
  const facts = { ...row, status: 'scheduled' as const, seriesId: null, reminders: row.reminders ?? [] }
  const insertion = insertRow(tx, row)
  try {
    const [meeting, invited] = await together([
      insertion,
      invite(tx, made, people),
      insertRecording(tx, made),
      noteMeetingEvent(tx, made, actor, 'meeting.created'),
      auditMeeting(tx, made, actor, 'meeting.created', { after: meetingFacts(facts, people) }),
      beside(),
    ])
    if (!meeting) throw new Error('what belongs to a meeting was written without it')
    return { meeting, invited: invited.sort((a, b) => (a.email < b.email ? -1 : 1)) }
  } catch (error) {
    // What belongs to a meeting is refused without it.
    if (await insertion) throw error
    throw new ExternalIdTaken(`the external id ${made.externalId} is taken`, { cause: error })
  }
}

async function insertRow(
  tx: Transaction,
  row: Omit<NewMeeting, 'participants'>,
): Promise<MeetingRow | undefined> {
  const [meeting] = await tx
    .insert(meetings)
    .values({ ...row, nextReminderAt: remindFrom(row.reminders ?? []) })
    .onConflictDoNothing({ target: [meetings.organizationId, meetings.externalId] })
    .returning()
  return meeting
}

async function insertRecording(
  tx: Transaction,
  { id: meetingId, organizationId }: Pick<NewMeeting, 'id' | 'organizationId'>,
): Promise<void> {
  await tx.insert(recordings).values({ id: newRowId(), organizationId, meetingId })
}

/** Reminders count from the moment in which they, or the times, were settled: what was due before is not sent. */
export function remindFrom(reminders: readonly Reminder[]) {
  return reminders.some(({ channel }) => channel === 'email') ? sql`now()` : null
}

/** One organisation's meeting; `undefined` when they have none with this external id. */
export async function findMeetingByExternalId(
  db: Queryable,
  organizationId: string,
  externalId: string,
): Promise<MeetingRow | undefined> {
  const [row] = await db
    .select()
    .from(meetings)
    .where(and(eq(meetings.organizationId, organizationId), eq(meetings.externalId, externalId)))
  return row
}

/** One organisation's meeting, which nobody else changes until the transaction ends. */
export async function lockMeeting(
  tx: Transaction,
  organizationId: string,
  id: string,
): Promise<MeetingRow | undefined> {
  const [row] = await tx
    .select()
    .from(meetings)
    .where(and(eq(meetings.organizationId, organizationId), eq(meetings.id, id)))
    .for('update')
  return row
}

// Letter by letter, which is what comparing two strings does here too: both give people the same order.
const IN_ORDER = [asc(participants.createdAt), sql`${participants.email} collate "C"`]

/** Those invited now, in the order they were invited. */
export async function listInvited(db: Queryable, meetingId: string): Promise<ParticipantRow[]> {
  return db
    .select()
    .from(participants)
    .where(and(eq(participants.meetingId, meetingId), isNull(participants.removedAt)))
    .orderBy(...IN_ORDER)
}

/** The same for many meetings. */
export async function listInvitedOfMany(
  db: Queryable,
  meetingIds: readonly string[],
): Promise<Map<string, ParticipantRow[]>> {
  const rows = await db
    .select()
    .from(participants)
    .where(and(inArray(participants.meetingId, [...meetingIds]), isNull(participants.removedAt)))
    .orderBy(...IN_ORDER)
  return Map.groupBy(rows, ({ meetingId }) => meetingId)
}

// Where callers know a field by another name.
const API_NAMES: Record<string, string> = {
  startsAt: 'start',
  endsAt: 'end',
  relatedType: 'related',
  relatedId: 'related',
}

/** Applies a change to a meeting that {@link lockMeeting} holds, and counts its revision up. */
export async function changeMeeting(
  tx: Transaction,
  meeting: MeetingRow,
  change: MeetingChange,
  by: { actor: Actor; now: Date },
): Promise<MeetingRow> {
  const { participants: invited, ...fields } = change
  const peopleBefore = invited && (await listInvited(tx, meeting.id))
  const [changed] = await tx
    .update(meetings)
    .set({
      ...fields,
      ...(fields.reminders || fields.startsAt || fields.timeZone
        ? { nextReminderAt: remindFrom(fields.reminders ?? meeting.reminders) }
        : {}),
      revision: meeting.revision + 1,
      updatedAt: by.now,
    })
    .where(eq(meetings.id, meeting.id))
    .returning()
  if (!changed) throw new Error(`The meeting ${meeting.id} is gone although it was locked`)
  if (invited) {
    const staying = invited.map(person => person.email)
    await tx
      .update(participants)
      .set({ removedAt: by.now })
      .where(
        and(
          eq(participants.meetingId, meeting.id),
          isNull(participants.removedAt),
          staying.length > 0 ? notInArray(participants.email, staying) : undefined,
        ),
      )
    await invite(tx, meeting, invited)
  }
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.changed', { fields: Object.keys(change) })
  await auditMeeting(tx, meeting, by.actor, 'meeting.changed', {
    before: meetingFacts(meeting, peopleBefore),
    after: meetingFacts(changed, invited && (await listInvited(tx, meeting.id))),
  })
  // What changes before anybody was told of the meeting is part of its creation.
  if (meeting.joinUrl !== null) {
    const names = [...new Set(Object.keys(change).map(field => API_NAMES[field] ?? field))]
    await announceMeeting(tx, 'meeting.updated', meeting, { at: by.now, changed: names })
  }
  return changed
}

/** Cancels a meeting that {@link lockMeeting} holds; a recording that has not begun is cancelled with it. */
export async function cancelMeeting(
  tx: Transaction,
  meeting: MeetingRow,
  by: { actor: Actor; now: Date },
): Promise<{ recordingCancelled: boolean }> {
  await tx
    .update(meetings)
    .set({
      status: 'cancelled',
      cancelledAt: by.now,
      updatedAt: by.now,
      revision: meeting.revision + 1,
    })
    .where(eq(meetings.id, meeting.id))
  await noteMeetingEvent(tx, meeting, by.actor, 'meeting.cancelled')
  await auditMeeting(tx, meeting, by.actor, 'meeting.cancelled', {
    before: { status: meeting.status },
    after: { status: 'cancelled' },
  })
  await announceMeeting(tx, 'meeting.cancelled', meeting, { at: by.now })
  const [pending] = await tx
    .select({ id: recordings.id })
    .from(recordings)
    .where(and(eq(recordings.meetingId, meeting.id), eq(recordings.status, 'pending')))
    .for('update')
  if (pending) await moveRecording(tx, pending.id, 'cancelled', { actor: by.actor })
  return { recordingCancelled: pending !== undefined }
}

/** Adds a line to the meeting's log. */
export async function noteMeetingEvent(
  tx: Queryable,
  meeting: { id: string; organizationId: string },
  actor: Actor,
  kind: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  await tx
    .insert(meetingEvents)
    .values({ organizationId: meeting.organizationId, meetingId: meeting.id, actor, kind, detail })
}

/** Adds the same line to the logs of many meetings. */
export async function noteMeetingEvents(
  tx: Queryable,
  noted: readonly { id: string; organizationId: string; revision: number }[],
  actor: Actor,
  kind: string,
): Promise<void> {
  if (noted.length === 0) return
  await tx.insert(meetingEvents).values(
    noted.map(({ id, organizationId, revision }) => ({
      organizationId,
      meetingId: id,
      actor,
      kind,
      detail: { revision },
    })),
  )
}

/** What somebody did to a meeting, for the audit log. */
export function auditMeeting(
  tx: Queryable,
  meeting: { id: string; organizationId: string },
  actor: Actor,
  action: string,
  facts: Pick<AuditNote, 'before' | 'after' | 'detail'> = {},
): Promise<void> {
  const { organizationId, id } = meeting
  return noteAudit(tx, { organizationId, actor, action, subject: `meeting:${id}`, ...facts })
}

async function invite(
  tx: Transaction,
  meeting: { id: string; organizationId: string },
  invited: readonly (Invited & { id?: string })[],
): Promise<ParticipantRow[]> {
  if (invited.length === 0) return []
  return tx
    .insert(participants)
    .values(
      invited.map(person => ({
        id: newRowId(),
        organizationId: meeting.organizationId,
        meetingId: meeting.id,
        ...person,
      })),
    )
    .onConflictDoUpdate({
      target: [participants.meetingId, participants.email],
      set: { name: sql`excluded.name`, role: sql`excluded.role`, removedAt: null },
    })
    .returning()
}
