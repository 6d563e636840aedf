import { lockRecording } from '../db/attempts.ts'
import { appendAudit } from '../db/audit.ts'
import { listSegments, moveRecording, type Recording, type Segment } from '../db/recordings.ts'
import type { ContentChecks, Gap, TimelineEntry } from '../db/schema.ts'
import type { FinishDeps } from './finish-recording.ts'

/** What finishing made, stored and proven. */
export interface FinishedFiles {
  video: { key: string; sha256: string; sizeBytes: number }
  manifest: { key: string; sha256: string }
  durationMs: number
  timeline: TimelineEntry[]
  gaps: Gap[]
  checks: ContentChecks
}

export type Publication =
  | { kind: 'published'; recording: Recording }
  /** Rows came while the video was made: it has to be made anew. */
  | { kind: 'segments_came' }
  /** The video published before is longer: it stays, because its segments are no longer there to make it anew. */
  | { kind: 'kept_before' }

/** Somebody else finished this recording meanwhile. */
export class FinishedElsewhere extends Error {
  readonly code = 'finished_elsewhere'
}

/** Shorter than the one before by more than this is no rounding. */
const SHORTER_MS = 1000
const ACTOR = 'job:finish-recording'

/**
 * Makes a finished video the recording, in one transaction: its facts and status, the next jobs, a row of the audit log.
 * Rows of segments are compared with those the video was made of under the recording's lock, so that whoever writes
 * segments of a recording that is being finished and then looks at its status either is seen here or sees the outcome.
 * @throws {FinishedElsewhere}
 */
export async function publishVideo(
  { config, db, jobs, clock, log }: FinishDeps,
  before: Recording,
  made: {
    files: FinishedFiles
    segments: readonly Segment[]
    whole: boolean
    detail: Record<string, unknown>
  },
): Promise<Publication> {
  const { video, manifest, durationMs, timeline, gaps, checks } = made.files
  const revision = before.revision + 1
  return db.transaction(async (tx): Promise<Publication> => {
    const now = await lockRecording(tx, before.id)
    if (now?.status !== 'finishing' || now.revision !== before.revision)
      throw new FinishedElsewhere(`recording ${before.id} was finished by somebody else`)
    if (haveChanged(made.segments, await listSegments(tx, before.id))) return { kind: 'segments_came' }
    if (now.s3Key !== null && durationMs < (now.durationMs ?? 0) - SHORTER_MS) {
      log.error(
        { durationMs, before: now.durationMs },
        'the new video would be shorter; the one before stays',
      )
      await moveRecording(tx, before.id, 'partial', {
        actor: ACTOR,
        detail: { ...made.detail, keptRevision: now.revision, wouldLastMs: durationMs },
      })
      return { kind: 'kept_before' }
    }
    const drive = config.google.driveFolder !== undefined
    const status = made.whole ? 'available' : 'partial'
    const recording = await moveRecording(tx, before.id, status, {
      actor: ACTOR,
      set: {
        s3Key: video.key,
        sha256: video.sha256,
        sizeBytes: video.sizeBytes,
        revision,
        manifestKey: manifest.key,
        manifestSha256: manifest.sha256,
        durationMs,
        timeline,
        gaps,
        checks,
        availableAt: new Date(clock.now()),
        driveStatus: drive ? 'pending' : 'none',
      },
      detail: { ...made.detail, revision, gaps: gaps.length },
    })
    // What is covered depends on what is in the video.
    await jobs.send(tx, 'read-conference', { recordingId: before.id }, { key: before.id })
    if (drive) await jobs.send(tx, 'copy-to-drive', { recordingId: before.id }, { key: before.id })
    await appendAudit(tx, {
      organizationId: before.organizationId,
      actor: ACTOR,
      action: 'recording.finished',
      subject: `recording:${before.id}`,
      detail: {
        revision,
        status,
        fileKey: video.key,
        fileSha256: video.sha256,
        sizeBytes: video.sizeBytes,
        manifestKey: manifest.key,
        manifestSha256: manifest.sha256,
        segments: made.segments.length,
      },
    })
    log.info(
      { ...made.detail, revision, status, durationMs, sizeBytes: video.sizeBytes },
      'recording published',
    )
    return { kind: 'published', recording }
  })
}

/** Not the same segments with the same bytes as before? */
function haveChanged(used: readonly Segment[], now: readonly Segment[]): boolean {
  const mark = ({ attemptId, number, sha256 }: Segment) => `${attemptId} ${number} ${sha256}`
  const before = new Set(used.map(mark))
  return used.length !== now.length || now.some(segment => !before.has(mark(segment)))
}
