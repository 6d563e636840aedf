import { eq } from 'drizzle-orm'
import { listSegments, type Recording } from '../db/recordings.ts'
import { recordings } from '../db/schema.ts'
import { isVideoKey, recordingPrefix } from '../storage/object-names.ts'
import type { FinishDeps } from './finish-recording.ts'
import { proveStored } from './prove-stored.ts'

/**
 * Removes what a published video replaces: videos of earlier revisions and, where the settings say so, the segments,
 * these only when the video has just been read back from the bucket byte for byte. Manifests stay: they are proof. What
 * cannot be removed stays, and is tried again with the next repetition.
 */
export async function removeWhatWasReplaced(
  { config, db, store, log, clock }: Pick<FinishDeps, 'config' | 'db' | 'store' | 'log' | 'clock'>,
  recording: Recording,
  signal: AbortSignal,
): Promise<void> {
  const { id: recordingId, organizationId, s3Key, sha256, sizeBytes } = recording
  if (s3Key === null || sha256 === null || sizeBytes === null) return
  const place = { prefix: config.storage.prefix, organizationId, recordingId }
  try {
    const older: string[] = []
    if (recording.revision > 1)
      for await (const { key } of store.list(`${recordingPrefix(place)}recording`))
        if (isVideoKey(place, key) && key !== s3Key) older.push(key)
    const keys = config.storage.keepSegments ? [] : (await listSegments(db, recordingId)).map(of => of.s3Key)
    if (older.length + keys.length === 0) return
    await proveStored(store, { key: s3Key, sha256, sizeBytes }, { reread: true, signal })
    if (keys.length > 0) {
      await store.remove(keys)
      await db
        .update(recordings)
        .set({ segmentsRemovedAt: new Date(clock.now()) })
        .where(eq(recordings.id, recordingId))
    }
    // Apart: an earlier video may be locked for years, and that is as it should be.
    await store.remove(older)
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ error }, 'what the video replaces could not be removed; it stays')
  }
}
