import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { eq } from 'drizzle-orm'
import { appendAudit, readAuditHead } from '../../db/audit.ts'
import type { Database } from '../../db/connect.ts'
import { attempts, meetings, organizations, recordings, segments } from '../../db/schema.ts'
import { buildManifest, canonicalManifest, type Manifest } from '../../recorder/manifest.ts'
import type { Store } from '../../storage/s3.ts'

const START_MS = Date.parse('2026-11-22T15:00:00.000Z')
const SEGMENT_MS = 4000
const GAP_MS = 7000
const at = (ms: number) => new Date(START_MS + ms)
const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

export interface ProvenRecording {
  recordingId: string
  meetingId: string
  organizationId: string
  attemptIds: [string, string]
  videoKey: string
  video: Buffer
  manifestKey: string
  manifest: Manifest
}

/**
 * A recording as finishing leaves it: two attempts with three objects each, a gap of seven seconds between them, a video,
 * a manifest, rows and a row of the audit log. The bytes are no media: nobody who proves looks into them.
 */
export async function makeProvenRecording(db: Database, store: Store): Promise<ProvenRecording> {
  const [organizationId, meetingId, recordingId] = [randomUUID(), randomUUID(), randomUUID()]
  const attemptIds: [string, string] = [randomUUID(), randomUUID()]
  const prefix = `${organizationId}/${recordingId}`
  const meeting = { id: meetingId, organizationId, topic: 'Consulta', timeZone: 'America/Bogota' }
  await db.insert(organizations).values({ id: organizationId, name: organizationId })
  await db.insert(meetings).values({
    ...{ ...meeting, organizer: 'agenda@clinica.example', eventId: meetingId.replaceAll('-', '') },
    ...{ startsAt: at(0), endsAt: at(1_800_000) },
  })
  await db.insert(recordings).values({ id: recordingId, organizationId, meetingId, status: 'finishing' })
  for (const [index, id] of attemptIds.entries()) {
    const fromMs = index * (2 * SEGMENT_MS + GAP_MS)
    await db.insert(attempts).values({
      ...{ id, organizationId, recordingId, number: index + 1, recorder: `host:${index}` },
      ...{ botAccount: 'testigo@clinica.example', ending: index === 0 ? 'recorder_died' : 'everyone_left' },
      ...{ startedAt: at(fromMs), admittedAt: at(fromMs), endedAt: at(fromMs + 2 * SEGMENT_MS) },
    })
    for (const number of [0, 1, 2]) {
      const bytes = randomBytes(1000 + number)
      const startMs = Math.max(0, number - 1) * SEGMENT_MS
      const durationMs = number === 0 ? 0 : SEGMENT_MS
      const s3Key = `${prefix}/attempt-00${index + 1}/${number}`
      await store.put(s3Key, bytes, { contentType: 'video/mp4' })
      await db.insert(segments).values({
        ...{ organizationId, attemptId: id, number, s3Key, sha256: sha256Of(bytes), sizeBytes: bytes.length },
        ...{
          startMs,
          durationMs,
          startedAt: at(fromMs + startMs),
          endedAt: at(fromMs + startMs + durationMs),
        },
        storedAt: at(fromMs + startMs + durationMs),
      })
    }
  }
  const video = randomBytes(50_000)
  const videoKey = `${prefix}/recording.mp4`
  const file = { key: videoKey, sha256: sha256Of(video), sizeBytes: video.length, contentType: 'video/mp4' }
  await store.put(videoKey, video, file)
  const stretch = (attempt: number, fileStartMs: number, clockMs: number) => ({
    ...{ attempt, fileStartMs, fileEndMs: fileStartMs + 2 * SEGMENT_MS },
    ...{ clockStart: at(clockMs).toISOString(), clockEnd: at(clockMs + 2 * SEGMENT_MS).toISOString() },
  })
  const timeline = [stretch(1, 0, 0), stretch(2, 2 * SEGMENT_MS, 2 * SEGMENT_MS + GAP_MS)]
  const gap = { from: timeline[0]?.clockEnd ?? '', to: timeline[1]?.clockStart ?? '', ms: GAP_MS }
  const gaps = [{ ...gap, reason: 'recorder_died' as const }]
  const manifest = buildManifest({
    ...{ recording: { id: recordingId, meetingId, organizationId }, revision: 1, timeline, gaps },
    auditHead: await readAuditHead(db, organizationId),
    attempts: await db
      .select()
      .from(attempts)
      .where(eq(attempts.recordingId, recordingId))
      .orderBy(attempts.number),
    segments: await db
      .select()
      .from(segments)
      .where(eq(segments.organizationId, organizationId))
      .orderBy(segments.s3Key),
    ...{ files: [file], checks: { decodable: { ok: true, detail: 'decodable' } }, coverage: null },
  })
  const bytes = canonicalManifest(manifest)
  const manifestKey = `${prefix}/manifest.json`
  await store.put(manifestKey, bytes, { contentType: 'application/json' })
  await db.transaction(async tx => {
    await tx
      .update(recordings)
      .set({
        ...{ status: 'available', ending: 'everyone_left', revision: 1, timeline, gaps },
        ...{ s3Key: videoKey, sha256: file.sha256, sizeBytes: file.sizeBytes, durationMs: 4 * SEGMENT_MS },
        ...{ manifestKey, manifestSha256: sha256Of(bytes) },
      })
      .where(eq(recordings.id, recordingId))
    await appendAudit(tx, {
      ...{ organizationId, actor: 'job:finish-recording', action: 'recording.finished' },
      ...{ subject: `recording:${recordingId}`, detail: { revision: 1, manifestSha256: sha256Of(bytes) } },
    })
  })
  return { recordingId, meetingId, organizationId, attemptIds, videoKey, video, manifestKey, manifest }
}
