import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import { findRecording } from '../db/recordings.ts'
import { recordings } from '../db/schema.ts'
import { GoogleFault } from '../google/fault.ts'
import type { Google } from '../google/google.ts'
import type { Log } from '../log.ts'
import type { Store } from '../storage/s3.ts'

export interface CopyDeps {
  config: Config
  db: Database
  store: Store
  google: Google
  clock: Clock
  log: Log
}

/**
 * The job `copy-to-drive`: the finished video from S3 to Drive, then attached to the Calendar event. Repeatable: the
 * file's id and the upload session stand in the row before the first byte is sent.
 */
export async function copyToDrive(
  { config, db, store, google, log: parentLog }: CopyDeps,
  recordingId: string,
  signal: AbortSignal,
): Promise<void> {
  const log = parentLog.child({ recording: recordingId })
  const found = await findRecording(db, { recordingId })
  const root = config.google.driveFolder
  const key = found?.recording.s3Key
  if (!found || !key || !root) return
  const { recording, meeting } = found
  const attach = (fileUrl: string) =>
    google.calendar.attachRecording(
      meeting.eventId,
      { fileUrl, title: meeting.topic, mimeType: 'video/mp4' },
      signal,
    )
  if (recording.driveStatus === 'uploaded' && recording.driveLink) return await attach(recording.driveLink)
  const remember = (set: Partial<typeof recordings.$inferInsert>) =>
    db.update(recordings).set(set).where(eq(recordings.id, recordingId))
  const workDir = join(config.dataDir, 'work', `drive-${recordingId}`)
  await mkdir(workDir, { recursive: true })
  try {
    const file = join(workDir, 'recording.mp4')
    await store.getToFile(key, file, signal)
    const folderId = await google.drive.ensureMonthFolder(root, meeting.startsAt, meeting.timeZone)
    const { fileId, webViewLink } = await google.drive.upload({
      file,
      name: fileName(meeting.topic, meeting.startsAt, meeting.timeZone),
      folderId,
      mimeType: 'video/mp4',
      appProperties: { testigoRecordingId: recordingId },
      state:
        recording.driveFileId && recording.driveSessionUri
          ? { fileId: recording.driveFileId, sessionUri: recording.driveSessionUri }
          : undefined,
      persist: async state => {
        await remember({ driveFileId: state?.fileId ?? null, driveSessionUri: state?.sessionUri ?? null })
      },
      signal,
      timeoutMs: config.storage.uploadTimeoutMs,
    })
    await remember({
      driveStatus: 'uploaded',
      driveFileId: fileId,
      driveLink: webViewLink,
      driveSessionUri: null,
      driveError: null,
    })
    log.info({ fileId }, 'recording copied to Drive')
    // Last, because the recording is reachable without it; the queue tries again when Google refuses.
    await attach(webViewLink)
  } catch (error) {
    if (error instanceof GoogleFault)
      await remember({
        driveError: error.code,
        ...(error.retryable ? {} : { driveStatus: 'failed' as const }),
      })
    throw error
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

/** `2026-11-22 15.30 Topic.mp4`, in the meeting's own time zone; characters that file systems refuse are left out. */
function fileName(topic: string, startsAt: Date, timeZone: string): string {
  const day = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' })
    .format(startsAt)
    .replace(':', '.')
  return `${day} ${topic
    .replace(/[\\/:*?"<>|\p{Cc}]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 120)}.mp4`
}
