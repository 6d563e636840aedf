import { asc, eq } from 'drizzle-orm'
import { canonicalJson } from '../../db/canonical-json.ts'
import type { Database } from '../../db/connect.ts'
import { attempts, type recordings, segments } from '../../db/schema.ts'
import { attemptsOfManifest, type Manifest, segmentsOfManifest } from '../../recorder/manifest.ts'
import { count, type Finding } from './findings.ts'

type RecordingRow = typeof recordings.$inferSelect

const DURATION_SLACK_MS = 1000

/** Compares what the database says now with the manifest. */
export async function checkRows(
  db: Database,
  recording: RecordingRow,
  manifest: Manifest,
): Promise<Finding[]> {
  const attemptRows = await db
    .select()
    .from(attempts)
    .where(eq(attempts.recordingId, recording.id))
    .orderBy(asc(attempts.number))
  const segmentRows = (
    await db
      .select({ segment: segments })
      .from(segments)
      .innerJoin(attempts, eq(attempts.id, segments.attemptId))
      .where(eq(attempts.recordingId, recording.id))
      .orderBy(asc(attempts.number), asc(segments.number))
  ).map(row => row.segment)
  // Later videos may be made of more than an earlier manifest could know.
  const isNewest = manifest.revision === recording.revision
  const faults = [
    ...compare(
      'attempt',
      attemptsOfManifest(attemptRows),
      manifest.attempts,
      isNewest,
      one => `${one.number}`,
    ),
    ...compare(
      'segment',
      segmentsOfManifest(attemptRows, segmentRows),
      manifest.segments,
      isNewest,
      one => `${one.number} of attempt ${one.attempt}`,
    ),
    ...(isNewest ? recordingFaults(recording, manifest) : []),
  ]
  if (faults.length > 0)
    return faults.map(sentence => ({ what: 'rows', state: 'different' as const, sentence }))
  const sentence = `The database says the same as the manifest of ${count(manifest.attempts.length, 'attempt')} and ${count(manifest.segments.length, 'segment')}.`
  return [{ what: 'rows', state: 'ok', sentence }]
}

function compare<Item>(
  thing: string,
  rows: readonly Item[],
  listed: readonly Item[],
  complete: boolean,
  nameOf: (item: Item) => string,
): string[] {
  const inDatabase = new Map(rows.map(row => [nameOf(row), canonicalJson(row)]))
  const inManifest = new Map(listed.map(item => [nameOf(item), canonicalJson(item)]))
  const names = new Set([...inDatabase.keys(), ...inManifest.keys()])
  return [...names].flatMap(name => {
    const [row, item] = [inDatabase.get(name), inManifest.get(name)]
    if (row === item) return []
    if (row === undefined) return `The database no longer has ${thing} ${name}.`
    if (item === undefined)
      return complete ? `The database has ${thing} ${name}, which the manifest does not have.` : []
    return `Of ${thing} ${name} the database says ${row}, the manifest ${item}.`
  })
}

function recordingFaults(recording: RecordingRow, manifest: Manifest): string[] {
  const faults: string[] = []
  const video = manifest.files.find(file => file.key === recording.s3Key)
  if (!video)
    faults.push(`The database says that the video is ${recording.s3Key}, which the manifest does not have.`)
  else if (video.sha256 !== recording.sha256 || video.sizeBytes !== recording.sizeBytes)
    faults.push(
      `Of the video the database says ${recording.sizeBytes} bytes, SHA-256 ${recording.sha256}; the manifest ${video.sizeBytes} bytes, SHA-256 ${video.sha256}.`,
    )
  for (const part of ['timeline', 'gaps'] as const)
    if (canonicalJson(recording[part]) !== canonicalJson(manifest[part]))
      faults.push(`The ${part} of the database is not the one of the manifest.`)
  const fileMs = manifest.timeline.at(-1)?.fileEndMs ?? 0
  if (Math.abs((recording.durationMs ?? 0) - fileMs) > DURATION_SLACK_MS)
    faults.push(
      `The database says that the video is ${recording.durationMs} ms long, the timeline ends at ${fileMs} ms.`,
    )
  return faults
}
