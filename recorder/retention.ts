import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/connect.ts'
import { eraseMeetingRows, type RemovedOutside } from '../db/erase-meeting.ts'
import type { Meeting, Recording } from '../db/recordings.ts'
import { beginErasure, blockErasure, listDueForErasure, nativeFilesOfOthers } from '../db/retention.ts'
import type { DriveRemoval } from '../google/drive-remove.ts'
import type { Log } from '../log.ts'
import { ObjectsLocked } from '../storage/object-lock.ts'
import { recordingPrefix } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'

export interface RetentionDeps {
  config: Pick<Config, 'storage' | 'google'>
  db: Database
  store: Pick<Store, 'list' | 'remove' | 'head'>
  driveRemoval: DriveRemoval
  clock: Clock
  log: Log
}

export interface RetentionOutcome {
  erased: number
  /** Kept by Object Lock for now. */
  blocked: number
  /** Tried again with the next run. */
  failed: number
}

const ACTOR = 'job:retention'
const AT_ONCE = 100
const MOST_HEADS = 1000
const UNKNOWN_LOCK_MS = 86_400_000

/**
 * The job `retention`, once a day: erases what is older than its organisation or its meeting keeps it, objects first, then
 * the copies in Drive, then the rows. Every step may be repeated; one meeting that cannot be erased holds up no other.
 */
export async function applyRetention(deps: RetentionDeps, signal: AbortSignal): Promise<RetentionOutcome> {
  const { db, clock, log } = deps
  const outcome: RetentionOutcome = { erased: 0, blocked: 0, failed: 0 }
  let after: string | undefined
  for (;;) {
    const at = new Date(clock.now())
    const due = await listDueForErasure(db, { at, after, withBlocked: false }, AT_ONCE)
    for (const { meeting } of due) {
      signal.throwIfAborted()
      try {
        const became = await eraseMeeting(deps, meeting.id, signal)
        if (became) outcome[became] += 1
      } catch (error) {
        signal.throwIfAborted()
        outcome.failed += 1
        log.error({ error, meeting: meeting.id }, 'a meeting whose retention is over could not be erased')
      }
    }
    after = due.at(-1)?.meeting.id
    if (due.length < AT_ONCE || after === undefined) break
  }
  if (outcome.erased + outcome.blocked + outcome.failed > 0) log.info({ ...outcome }, 'retention applied')
  return outcome
}

/** Erases one meeting, where its retention is over. @returns undefined where it is not */
async function eraseMeeting(
  deps: RetentionDeps,
  meetingId: string,
  signal: AbortSignal,
): Promise<'erased' | 'blocked' | undefined> {
  const { db, clock, log } = deps
  const now = () => new Date(clock.now())
  const begun = await db.transaction(tx => beginErasure(tx, meetingId, { actor: ACTOR, now: now() }))
  if (!begun) return undefined
  const { meeting, recording } = begun
  const objects = await removeObjects(deps, recording)
  if ('lockedUntil' in objects) {
    const { lockedUntil: until, locked } = objects
    await db.transaction(tx => blockErasure(tx, meeting, { actor: ACTOR, until, objects: locked }))
    log.warn({ meeting: meetingId, until }, 'Object Lock keeps a recording longer than its retention')
    return 'blocked'
  }
  const drive = await removeCopies(deps, meeting, recording, signal)
  const removed = { objects: objects.removed, drive }
  const erased = await db.transaction(tx =>
    eraseMeetingRows(tx, meetingId, { actor: ACTOR, now: now(), removed }),
  )
  if (erased) log.info({ meeting: meetingId, recording: recording.id, ...removed }, 'meeting erased')
  return erased ? 'erased' : undefined
}

/** Everything of a recording in the bucket, whether a row knows of it or not. */
async function removeObjects(
  { config, store, clock }: RetentionDeps,
  { id: recordingId, organizationId }: Recording,
): Promise<{ removed: number } | { lockedUntil: Date; locked: number }> {
  const prefix = recordingPrefix({ prefix: config.storage.prefix, organizationId, recordingId })
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  try {
    await store.remove(keys)
    return { removed: keys.length }
  } catch (error) {
    if (!(error instanceof ObjectsLocked)) throw error
    let lockedUntilMs = 0
    for (const key of error.keys.slice(0, MOST_HEADS))
      lockedUntilMs = Math.max(lockedUntilMs, (await store.head(key))?.lockedUntil?.getTime() ?? 0)
    // A legal hold of the bucket's own has no end that could be asked for.
    const until = lockedUntilMs > clock.now() ? lockedUntilMs : clock.now() + UNKNOWN_LOCK_MS
    return { lockedUntil: new Date(until), locked: error.keys.length }
  }
}

async function removeCopies(
  { config, db, driveRemoval }: RetentionDeps,
  meeting: Meeting,
  recording: Recording,
  signal: AbortSignal,
): Promise<RemovedOutside['drive']> {
  const removed: RemovedOutside['drive'] = []
  const { driveFileId, nativeRecordings } = recording
  const { driveUser } = config.google
  if (driveFileId !== null && driveUser !== undefined)
    removed.push({ file: 'ours', outcome: await driveRemoval.remove(driveUser, driveFileId, signal) })
  const ofOthers = await nativeFilesOfOthers(db, recording)
  for (const native of nativeRecordings)
    removed.push({
      file: 'google',
      // It goes with the last of the meetings that have it.
      outcome: ofOthers.has(native.driveFileId)
        ? 'kept_for_another'
        : await driveRemoval.remove(meeting.organizer, native.driveFileId, signal),
    })
  return removed
}
