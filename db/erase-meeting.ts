import { eq, inArray, sql } from 'drizzle-orm'
import { noteAudit } from './audit-notes.ts'
import type { Transaction } from './connect.ts'
import { lockForErasure } from './retention.ts'
import {
  attempts,
  mails,
  meetingEvents,
  meetings,
  participants,
  presences,
  recordings,
  segments,
  webhookEvents,
} from './schema.ts'
import { eraseSpentTemplate, lockSeriesOf } from './series-template.ts'

/** What was removed outside the database before its rows go. */
export interface RemovedOutside {
  objects: number
  /** What became of the copies in Drive. */
  drive: { file: 'ours' | 'google'; outcome: 'deleted' | 'trashed' | 'not_there' | 'kept_for_another' }[]
}

/**
 * Takes out of the rows whatever tells more than that the meeting took place: when, for how long, for which object of the
 * caller's, how its recording ended and what its file was (hash, length, size). People, words and places go, those of its
 * series with the last of its meetings. The audit log stays as it is.
 * @returns false where it was done before
 */
export async function eraseMeetingRows(
  tx: Transaction,
  meetingId: string,
  facts: { actor: string; now: Date; removed: RemovedOutside },
): Promise<boolean> {
  const seriesId = await lockSeriesOf(tx, meetingId)
  const found = await lockForErasure(tx, meetingId)
  if (!found || found.meeting.erasedAt) return false
  const { meeting, recording } = found
  const gone = {
    participants: await tx
      .delete(participants)
      .where(eq(participants.meetingId, meetingId))
      .returning({ id: participants.id }),
    presences: await tx
      .delete(presences)
      .where(eq(presences.meetingId, meetingId))
      .returning({ id: presences.id }),
    segments: await tx
      .delete(segments)
      .where(
        inArray(
          segments.attemptId,
          tx.select({ id: attempts.id }).from(attempts).where(eq(attempts.recordingId, recording.id)),
        ),
      )
      .returning({ number: segments.number }),
    mails: await tx.delete(mails).where(eq(mails.meetingId, meetingId)).returning({ id: mails.id }),
    webhookEvents: await tx
      .delete(webhookEvents)
      .where(eq(webhookEvents.meetingId, meetingId))
      .returning({ id: webhookEvents.id }),
  }
  await tx.update(meetingEvents).set({ detail: {} }).where(eq(meetingEvents.meetingId, meetingId))
  await tx
    .update(attempts)
    .set({ detail: null, artefacts: [], speech: [] })
    .where(eq(attempts.recordingId, recording.id))
  await tx
    .update(recordings)
    .set({
      s3Key: null,
      manifestKey: null,
      nativeRecordings: [],
      conferences: [],
      driveStatus: 'none',
      driveFileId: null,
      driveLink: null,
      driveSessionUri: null,
      driveError: null,
      segmentsRemovedAt: sql`coalesce(${recordings.segmentsRemovedAt}, ${facts.now.toISOString()}::timestamptz)`,
      updatedAt: facts.now,
    })
    .where(eq(recordings.id, recording.id))
  await tx
    .update(meetings)
    .set({
      topic: '',
      description: null,
      customFields: null,
      joinUrl: null,
      meetingCode: null,
      spaceName: null,
      space: null,
      // Few enough guests, and many a title, are guessed by their fingerprint.
      calendarSeen: null,
      legalHoldReason: null,
      erasedAt: facts.now,
      erasureBlockedUntil: null,
      updatedAt: facts.now,
    })
    .where(eq(meetings.id, meetingId))
  if (seriesId !== null) await eraseSpentTemplate(tx, seriesId, facts.now)
  await noteAudit(tx, {
    organizationId: meeting.organizationId,
    actor: facts.actor,
    action: 'retention.erased',
    subject: `meeting:${meetingId}`,
    detail: {
      recordingId: recording.id,
      recordingStatus: recording.status,
      fileSha256: recording.sha256,
      manifestSha256: recording.manifestSha256,
      durationMs: recording.durationMs,
      sizeBytes: recording.sizeBytes,
      objects: facts.removed.objects,
      drive: facts.removed.drive,
      rows: Object.fromEntries(Object.entries(gone).map(([name, rows]) => [name, rows.length])),
    },
  })
  return true
}
