import type { Clock } from '../../clock.ts'
import { fingerprint } from '../../db/changed-fields.ts'
import { showMeeting } from '../../db/meeting-view.ts'
import { auditMeeting, lockMeeting, type MeetingRow } from '../../db/meetings.ts'
import { readOrganization } from '../../db/organization-settings.ts'
import { changeRetention, countHeld, listDueForErasure, retentionOf } from '../../db/retention.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, type Caller } from '../caller.ts'
import { noSuchMeeting } from '../find-meeting.ts'
import { Problem } from '../problem.ts'
import { type IfMatch, refuseOtherVersion } from '../versions/if-match.ts'
import type {
  MeetingRetentionChangeBody,
  MeetingRetentionView,
  PreviewQuery,
  RetentionPreview,
} from './schema.ts'

export interface RetentionDeps {
  db: TenantDatabase
  clock: Clock
}

/** What would be erased, now or at another time, by the setting there is or by another one. Nothing is. */
export async function previewRetention(
  { db, clock }: RetentionDeps,
  caller: Caller,
  { at = new Date(clock.now()), retentionDays, limit, cursor }: PreviewQuery,
): Promise<RetentionPreview> {
  const { organizationId } = caller
  const query = { at, organizationId, organizationDays: retentionDays }
  return asCaller(db, caller, async tx => {
    const organization = await readOrganization(tx, organizationId)
    const rows = await listDueForErasure(tx, { ...query, after: cursor, withBlocked: true }, limit + 1)
    const items = rows.slice(0, limit)
    return {
      at: at.toISOString(),
      retentionDays: retentionDays ?? organization.retentionDays,
      held: await countHeld(tx, query),
      items: items.map(({ meeting, recording, ...due }) => ({
        meetingId: meeting.id,
        recordingId: recording.id,
        recordingStatus: recording.status,
        dueAt: due.dueAt.toISOString(),
        retentionDays: due.retentionDays,
        setBy: due.setBy,
        sizeBytes: recording.sizeBytes,
        inDrive: recording.driveFileId !== null,
        googleRecordings: recording.nativeRecordings.length,
        blockedUntil: meeting.erasureBlockedUntil?.toISOString() ?? null,
      })),
      nextCursor: rows.length > limit ? (items.at(-1)?.meeting.id ?? null) : null,
    }
  })
}

/** How long a meeting is kept. @throws {Problem} `meeting_not_found` */
export async function showMeetingRetention(
  { db }: RetentionDeps,
  caller: Caller,
  meetingId: string,
): Promise<MeetingRetentionView> {
  const { organizationId } = caller
  return asCaller(db, caller, async tx => {
    const found = await showMeeting(tx, organizationId, meetingId)
    if (!found) throw noSuchMeeting()
    return retentionView(found.meeting, (await readOrganization(tx, organizationId)).retentionDays)
  })
}

/**
 * Changes how long a meeting is kept, or holds it. Also of a meeting that is over.
 * @throws {Problem} `meeting_not_found`, `erasure_begun`, `invalid_request`, `version_changed`
 */
export async function changeMeetingRetention(
  { db, clock }: RetentionDeps,
  caller: Caller,
  meetingId: string,
  body: MeetingRetentionChangeBody,
  ifMatch?: IfMatch,
): Promise<MeetingRetentionView> {
  const { organizationId, actor } = caller
  const { retentionDays, legalHold, legalHoldReason } = body
  if (Object.values(body).every(value => value === undefined))
    throw new Problem('invalid_request', 'Name at least one field to change.')
  return asCaller(db, caller, async tx => {
    const before = await lockMeeting(tx, organizationId, meetingId)
    if (!before) throw noSuchMeeting()
    if (before.erasingSince !== null)
      throw new Problem(
        'erasure_begun',
        `The meeting's recording is being erased since ${before.erasingSince.toISOString()}, or is erased already.`,
        { meetingId },
      )
    const organizationDays = (await readOrganization(tx, organizationId)).retentionDays
    await refuseOtherVersion(ifMatch, () => retentionView(before, organizationDays))
    const after = await changeRetention(
      tx,
      before,
      {
        ...(retentionDays !== undefined && { retentionDays }),
        ...(legalHold !== undefined && { legalHold }),
        ...(legalHold === false && { legalHoldReason: null }),
        ...(legalHoldReason !== undefined && { legalHoldReason }),
      },
      new Date(clock.now()),
    )
    const facts = (row: MeetingRow) => ({
      retentionDays: row.retentionDays,
      legalHold: row.legalHold,
      legalHoldReason: fingerprint(row.legalHoldReason),
    })
    await auditMeeting(tx, before, actor, 'meeting.retention_changed', {
      before: facts(before),
      after: facts(after),
    })
    return retentionView(after, organizationDays)
  })
}

function retentionView(meeting: MeetingRow, organizationDays: number | null): MeetingRetentionView {
  const isOver = meeting.status === 'ended' || meeting.status === 'cancelled'
  const kept = isOver ? retentionOf(meeting, organizationDays) : null
  const iso = (at: Date | null) => at?.toISOString() ?? null
  return {
    meetingId: meeting.id,
    retentionDays: meeting.retentionDays,
    legalHold: meeting.legalHold,
    legalHoldReason: meeting.legalHoldReason,
    keptUntil: iso(kept?.dueAt ?? null),
    erasingSince: iso(meeting.erasingSince),
    blockedUntil: iso(meeting.erasureBlockedUntil),
    erasedAt: iso(meeting.erasedAt),
  }
}
