import { and, asc, eq, gt, inArray, type SQL, sql } from 'drizzle-orm'
import { noteAudit } from './audit-notes.ts'
import type { Queryable, Transaction } from './connect.ts'
import { meetings, organizations, recordings } from './schema.ts'
import { isFinal, RECORDING_STATUSES } from './states.ts'

type Meeting = typeof meetings.$inferSelect
type Recording = typeof recordings.$inferSelect

/** What is to be erased because its time is over, or would be. */
export interface DueForErasure {
  meeting: Meeting
  recording: Recording
  retentionDays: number
  /** Whose days these are. */
  setBy: 'meeting' | 'organization'
  dueAt: Date
}

const END = sql`coalesce(${meetings.actualEnd}, ${meetings.cancelledAt}, ${meetings.endsAt})`

/** When a meeting was over, from which its retention counts. */
function overSince(meeting: Pick<Meeting, 'actualEnd' | 'cancelledAt' | 'endsAt'>): Date {
  return meeting.actualEnd ?? meeting.cancelledAt ?? meeting.endsAt
}

const DAY_MS = 86_400_000

/** How long a meeting is kept and until when; null where it is kept for ever. */
export function retentionOf(
  meeting: Pick<Meeting, 'actualEnd' | 'cancelledAt' | 'endsAt' | 'retentionDays'>,
  organizationDays: number | null,
): { days: number; setBy: DueForErasure['setBy']; dueAt: Date } | null {
  const days = meeting.retentionDays ?? organizationDays
  if (days === null) return null
  const setBy = meeting.retentionDays === null ? 'organization' : 'meeting'
  return { days, setBy, dueAt: new Date(overSince(meeting).getTime() + days * DAY_MS) }
}

interface DueQuery {
  at: Date
  organizationId?: string
  /** Instead of what the organisation has set, to see what a setting would do. */
  organizationDays?: number | undefined
  /** After this meeting, in the order of ids. */
  after?: string | undefined
  held?: boolean
}

function dueWhere({ at, organizationId, organizationDays, after, held = false }: DueQuery): SQL | undefined {
  const days = sql`coalesce(${meetings.retentionDays}, ${organizationDays === undefined ? organizations.retentionDays : sql`${organizationDays}::int`})`
  return and(
    organizationId === undefined ? undefined : eq(meetings.organizationId, organizationId),
    after === undefined ? undefined : gt(meetings.id, after),
    inArray(meetings.status, ['ended', 'cancelled']),
    inArray(
      recordings.status,
      RECORDING_STATUSES.filter(status => isFinal(status)),
    ),
    sql`${meetings.erasedAt} is null`,
    eq(meetings.legalHold, held),
    sql`${END} + ${days} * interval '1 day' <= ${at.toISOString()}::timestamptz`,
  )
}

/** Meetings whose retention is over at a time, and that nothing holds, in the order of their ids. */
export async function listDueForErasure(
  db: Queryable,
  query: DueQuery & { withBlocked: boolean },
  limit: number,
): Promise<DueForErasure[]> {
  const at = query.at.toISOString()
  const rows = await db
    .select({ meeting: meetings, recording: recordings, organizationDays: organizations.retentionDays })
    .from(meetings)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .innerJoin(organizations, eq(organizations.id, meetings.organizationId))
    .where(
      and(
        dueWhere(query),
        query.withBlocked
          ? undefined
          : sql`(${meetings.erasureBlockedUntil} is null or ${meetings.erasureBlockedUntil} <= ${at}::timestamptz)`,
      ),
    )
    .orderBy(asc(meetings.id))
    .limit(limit)
  return rows.flatMap(({ organizationDays, ...row }) => {
    const kept = retentionOf(row.meeting, query.organizationDays ?? organizationDays)
    return kept ? [{ ...row, retentionDays: kept.days, setBy: kept.setBy, dueAt: kept.dueAt }] : []
  })
}

/** How many would be due and are held. */
export async function countHeld(db: Queryable, query: DueQuery): Promise<number> {
  const [row] = await db
    .select({ held: sql<number>`count(*)`.mapWith(Number) })
    .from(meetings)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .innerJoin(organizations, eq(organizations.id, meetings.organizationId))
    .where(dueWhere({ ...query, held: true }))
  return row?.held ?? 0
}

/** A meeting with its recording and its organisation's days; nobody else changes it until the transaction ends. */
export async function lockForErasure(
  tx: Transaction,
  meetingId: string,
): Promise<{ meeting: Meeting; recording: Recording; organizationDays: number | null } | undefined> {
  // The recording first, as everybody who takes both.
  const [recording] = await tx
    .select()
    .from(recordings)
    .where(eq(recordings.meetingId, meetingId))
    .for('update')
  const [meeting] = await tx.select().from(meetings).where(eq(meetings.id, meetingId)).for('update')
  if (!recording || !meeting) return undefined
  const [organization] = await tx
    .select({ days: organizations.retentionDays })
    .from(organizations)
    .where(eq(organizations.id, meeting.organizationId))
  return { meeting, recording, organizationDays: organization?.days ?? null }
}

/**
 * Which of Google's own recordings belong to another meeting as well that is not erased: two meetings in one room at one time
 * share them.
 * @returns ids of Drive's files
 */
export async function nativeFilesOfOthers(
  db: Queryable,
  { id, nativeRecordings }: Pick<Recording, 'id' | 'nativeRecordings'>,
): Promise<Set<string>> {
  if (nativeRecordings.length === 0) return new Set()
  const files = [...new Set(nativeRecordings.map(({ driveFileId }) => driveFileId))]
  const holding = files.map(
    driveFileId => sql`r.native_recordings @> ${JSON.stringify([{ driveFileId }])}::text::jsonb`,
  )
  const rows = await db.execute<{ file: string }>(sql`
    select distinct native ->> 'driveFileId' as file
    from recordings r join meetings m on m.id = r.meeting_id, jsonb_array_elements(r.native_recordings) native
    where r.id <> ${id} and m.erased_at is null and r.native_recordings <> '[]' and (${sql.join(holding, sql` or `)})`)
  return new Set(rows.map(({ file }) => file).filter(file => files.includes(file)))
}

/**
 * Begins to erase a meeting whose retention is over. From then on nothing stops it: a legal hold comes before or too late.
 * @returns the meeting and its recording, or undefined where it is not to be erased (any more)
 */
export async function beginErasure(
  tx: Transaction,
  meetingId: string,
  by: { actor: string; now: Date },
): Promise<{ meeting: Meeting; recording: Recording } | undefined> {
  const found = await lockForErasure(tx, meetingId)
  if (!found) return undefined
  const { meeting, recording, organizationDays } = found
  const kept = retentionOf(meeting, organizationDays)
  const isOver = (meeting.status === 'ended' || meeting.status === 'cancelled') && isFinal(recording.status)
  if (!kept || kept.dueAt > by.now || !isOver || meeting.legalHold || meeting.erasedAt) return undefined
  if (meeting.erasingSince === null) {
    await tx.update(meetings).set({ erasingSince: by.now }).where(eq(meetings.id, meetingId))
    await noteAudit(tx, {
      organizationId: meeting.organizationId,
      actor: by.actor,
      action: 'retention.begun',
      subject: `meeting:${meetingId}`,
      detail: { recordingId: recording.id, retentionDays: kept.days, setBy: kept.setBy, dueAt: kept.dueAt },
    })
  }
  return { meeting, recording }
}

/** Notes that objects of a meeting are locked, so that it is tried again when they no longer are. */
export async function blockErasure(
  tx: Transaction,
  meeting: Pick<Meeting, 'id' | 'organizationId'>,
  facts: { actor: string; until: Date; objects: number },
): Promise<void> {
  await tx.update(meetings).set({ erasureBlockedUntil: facts.until }).where(eq(meetings.id, meeting.id))
  await noteAudit(tx, {
    organizationId: meeting.organizationId,
    actor: facts.actor,
    action: 'retention.blocked',
    subject: `meeting:${meeting.id}`,
    detail: { because: 'object_lock', objects: facts.objects, until: facts.until },
  })
}

/** Changes how long a meeting that `lockMeeting` holds is kept. Google is told nothing of it. */
export async function changeRetention(
  tx: Transaction,
  { id }: Pick<Meeting, 'id'>,
  change: Partial<Pick<Meeting, 'retentionDays' | 'legalHold' | 'legalHoldReason'>>,
  now: Date,
): Promise<Meeting> {
  const [changed] = await tx
    .update(meetings)
    .set({ ...change, updatedAt: now })
    .where(eq(meetings.id, id))
    .returning()
  if (!changed) throw new Error(`The meeting ${id} is gone although it was locked`)
  return changed
}
