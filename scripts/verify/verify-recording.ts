import { buffer } from 'node:stream/consumers'
import type { Database } from '../../db/connect.ts'
import { findRecording } from '../../db/recordings.ts'
import type { recordings } from '../../db/schema.ts'
import type { Manifest } from '../../recorder/manifest.ts'
import { StorageFault } from '../../storage/fault.ts'
import type { Store } from '../../storage/s3.ts'
import { checkChain } from './chain.ts'
import { isCovered, segmentSpans, spanBetween } from './clock-spans.ts'
import type { Finding } from './findings.ts'
import { checkInnerConsistency } from './inner-consistency.ts'
import { NoManifest, type ReadManifest, readManifest } from './read-manifest.ts'
import { checkRows } from './rows.ts'
import { checkStoredObjects, type Expected } from './stored-objects.ts'

type RecordingRow = typeof recordings.$inferSelect

export interface Proof {
  recordingId: string
  /** Of the manifest that was checked; `null` where there is none. */
  manifestSha256: string | null
  manifest: Manifest | null
  findings: Finding[]
}

interface Sources {
  db: Database
  store: Pick<Store, 'get' | 'head'>
}

/** Proves a recording by its id (or its meeting's), from the database and the bucket; `undefined` when there is none. */
export async function verifyRecording(sources: Sources, id: string): Promise<Proof | undefined> {
  const found =
    (await findRecording(sources.db, { recordingId: id })) ??
    (await findRecording(sources.db, { meetingId: id }))
  if (!found) return undefined
  const { recording } = found
  const stored = await fetchManifest(sources.store, recording)
  if ('what' in stored)
    return { recordingId: recording.id, manifestSha256: null, manifest: null, findings: [stored] }
  return prove(sources, recording, stored)
}

/** Proves a recording by a copy of its manifest, from the database and the bucket. */
export async function verifyManifest(sources: Sources, given: ReadManifest): Promise<Proof> {
  const { recordingId } = given.manifest
  const found = await findRecording(sources.db, { recordingId })
  return prove(sources, found?.recording, given)
}

async function prove(
  { db, store }: Sources,
  recording: RecordingRow | undefined,
  { manifest, sha256 }: ReadManifest,
): Promise<Proof> {
  const unknown: Finding = {
    what: 'rows',
    state: 'missing',
    sentence: `The database has no recording ${manifest.recordingId}.`,
  }
  const findings = [
    ...(recording ? [compareWithRow(recording, manifest.revision, sha256)] : []),
    ...(await checkChain(db, manifest, sha256)),
    ...checkInnerConsistency(manifest),
    ...(recording ? await checkRows(db, recording, manifest) : [unknown]),
    ...(await checkStoredObjects(store, filesOf(manifest, recording))),
    ...(await describeLocks(store, manifest, recording)),
    ...(await checkStoredObjects(store, segmentsOf(manifest, recording?.segmentsRemovedAt ?? null))),
  ]
  return { recordingId: manifest.recordingId, manifestSha256: sha256, manifest, findings }
}

function filesOf(manifest: Manifest, recording: RecordingRow | undefined): Expected[] {
  const native = recording?.nativeRecordings ?? []
  const whenGone: Expected['whenGone'] =
    recording && recording.revision > manifest.revision
      ? { state: 'removed', because: `was replaced by the video of revision ${recording.revision}.` }
      : undefined
  return [
    ...manifest.files.map(({ key, sha256, sizeBytes }) => ({
      ...{ what: 'file' as const, key, sha256, sizeBytes },
      ...(whenGone && { whenGone }),
    })),
    ...native.map(({ s3Key, sha256, sizeBytes }) => ({
      ...{ what: 'second source' as const, key: s3Key, sha256, sizeBytes },
    })),
  ]
}

function segmentsOf({ segments, gaps }: Manifest, removedAt: Date | null): Expected[] {
  const lost = gaps
    .filter(({ reason }) => reason === 'segment_lost')
    .map(gap => spanBetween(gap.from, gap.to))
  const spans = new Map(
    [...Map.groupBy(segments, segment => segment.attempt).values()].flatMap(own => [...segmentSpans(own)]),
  )
  return segments.map(segment => {
    const { key, sha256, sizeBytes } = segment
    const span = spans.get(segment)
    const isLost = segment.number > 0 && span && isCovered(span, lost)
    return {
      ...{ what: 'segment', key, sha256, sizeBytes },
      ...(isLost && {
        whenGone: { state: 'lost', because: 'was gone when the video was made; a gap names its time.' },
      }),
      ...(removedAt && {
        whenGone: {
          state: 'removed',
          because: `was removed after publishing, as set (${removedAt.toISOString()}).`,
        },
      }),
    }
  })
}

async function fetchManifest(
  store: Sources['store'],
  recording: RecordingRow,
): Promise<ReadManifest | Finding> {
  const key = recording.manifestKey
  if (key === null)
    return {
      what: 'manifest',
      state: 'missing',
      sentence: `The recording has no manifest; it is ${recording.status}${recording.ending ? ` (${recording.ending})` : ''}.`,
    }
  try {
    return readManifest(await buffer(await store.get(key)), key)
  } catch (error) {
    if (error instanceof NoManifest)
      return { what: 'manifest', state: 'different', key, sentence: error.message }
    if (!(error instanceof StorageFault)) throw error
    return error.code === 'not_found'
      ? { what: 'manifest', state: 'missing', key, sentence: `${key} is not in the bucket.` }
      : { what: 'manifest', state: 'not_checked', key, sentence: error.message }
  }
}

/** Until when Object Lock keeps video and manifest. Says nothing of what is not locked: that is no fault. */
async function describeLocks(
  store: Sources['store'],
  manifest: Manifest,
  recording: RecordingRow | undefined,
): Promise<Finding[]> {
  const keys = [
    ...manifest.files.map(({ key }) => key),
    ...(recording?.manifestKey ? [recording.manifestKey] : []),
  ]
  const findings: Finding[] = []
  for (const key of keys) {
    try {
      const until = (await store.head(key))?.lockedUntil
      if (!until) continue
      const sentence = `${key} is locked by Object Lock until ${until.toISOString()}.`
      findings.push({ what: 'lock', state: 'ok', key, sentence })
    } catch (error) {
      if (!(error instanceof StorageFault)) throw error
      findings.push({ what: 'lock', state: 'not_checked', key, sentence: error.message })
      break
    }
  }
  return findings
}

function compareWithRow(recording: RecordingRow, revision: number, sha256: string): Finding {
  if (revision !== recording.revision)
    return {
      what: 'manifest',
      state: 'ok',
      sentence: `It is of revision ${revision}; the database stands at revision ${recording.revision}.`,
    }
  return recording.manifestSha256 === sha256
    ? { what: 'manifest', state: 'ok', sentence: `It has the SHA-256 of the database's row (${sha256}).` }
    : {
        what: 'manifest',
        state: 'different',
        sentence: `It has SHA-256 ${sha256}, the database's row says ${recording.manifestSha256}.`,
      }
}
