import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import { findRecording, type Meeting, type Recording } from '../db/recordings.ts'
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
export async function copyToDrive(deps: CopyDeps, recordingId: string, signal: AbortSignal): Promise<void> {
  const log = deps.log.child({ recording: recordingId })
  const found = await findRecording(deps.db, { recordingId })
  const key = found?.recording.s3Key
  const root = deps.config.google.driveFolder
  if (!found || !key || !root) return
  const { recording, meeting } = found
  const copied = recording.driveStatus === 'uploaded' ? recording.driveLink : null
  const link = copied ?? (await upload({ ...deps, log }, { recording, meeting, key, root }, signal))
  // The recording is reachable without it, so nothing that happens here changes its status.
  if (meeting.status !== 'cancelled') await attach({ ...deps, log }, meeting, link, signal)
}

async function upload(
  { config, db, store, google, log }: CopyDeps,
  { recording, meeting, key, root }: { recording: Recording; meeting: Meeting; key: string; root: string },
  signal: AbortSignal,
): Promise<string> {
  const remember = (set: Partial<typeof recordings.$inferInsert>) =>
    db.update(recordings).set(set).where(eq(recordings.id, recording.id))
  const workDir = join(config.dataDir, 'work', `drive-${recording.id}`)
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
      appProperties: { testigoRecordingId: recording.id },
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
    return webViewLink
  } catch (error) {
    // The job comes back either way: what an administrator mends (rights, space) then goes through by itself.
    if (error instanceof GoogleFault) {
      const failed = error.retryable ? {} : { driveStatus: 'failed' as const }
      await remember({ driveError: error.code, ...failed })
    }
    throw error
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

async function attach(
  { google, log }: CopyDeps,
  meeting: Meeting,
  fileUrl: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const attachment = { fileUrl, title: meeting.topic, mimeType: 'video/mp4' }
    await google.calendar.as(meeting.organizer).attachRecording(meeting.eventId, attachment, signal)
  } catch (error) {
    if (!(error instanceof GoogleFault) || error.retryable) throw error
    // Somebody deleted the event, or may not be asked: another try would be told the same.
    log.warn({ error }, 'the recording could not be attached to its event')
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
