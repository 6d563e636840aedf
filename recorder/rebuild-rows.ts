// The bucket can rebuild the rows: segments that are stored but unknown to the database, and the other way round.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { type Attempt, listAttempts } from '../db/attempts.ts'
import type { Database, Queryable } from '../db/connect.ts'
import { addSegment, listSegments, type Recording, type Segment } from '../db/recordings.ts'
import type { Log } from '../log.ts'
import { readSegmentKey, recordingPrefix } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'
import { readFragments } from './capture/fragments.ts'
import { BadFragmentedMp4 } from './capture/mp4-boxes.ts'

const MOST_SEGMENT_BYTES = 256 * 1024 * 1024

export interface RebuildDeps {
  db: Database
  store: Store
  log: Log
  /** The settings' prefix of all objects. */
  prefix: string
}

interface Found {
  key: string
  attempt: Attempt
  number: number
}

/**
 * Writes the rows that are missing for segments in the bucket: hash and size from the bytes, media times from their
 * fragments, the clock from the other segments of the attempt (or from its admission, when none has a row). An object
 * that is no segment, and one of an attempt without a row, is left alone and told to the log.
 * @returns how many rows were written
 */
export async function rebuildSegmentRows(
  deps: RebuildDeps,
  recording: Pick<Recording, 'id' | 'organizationId'>,
  signal: AbortSignal,
): Promise<number> {
  const { db, log } = deps
  const attempts = await listAttempts(db, recording.id)
  const known = await listSegments(db, recording.id)
  const keys = new Set(known.map(({ s3Key }) => s3Key))
  const missing: Found[] = []
  for await (const { key, attempt: number, segment } of listStored(deps, recording)) {
    if (keys.has(key)) continue
    const attempt = attempts.find(one => one.number === number)
    if (attempt === undefined) log.error({ key }, 'a segment of an attempt that is not known')
    else missing.push({ key, attempt, number: segment })
  }
  let written = 0
  for (const found of missing) {
    signal.throwIfAborted()
    const row = await describe(deps, found, [...known], signal)
    if (row === undefined) {
      log.error({ key: found.key }, 'an object that should be a segment cannot be read as one')
      continue
    }
    await addSegment(db, row)
    known.push(row)
    written += 1
  }
  if (written > 0) log.warn({ written }, 'rows of segments were missing and were made from the bucket')
  return written
}

/** Rows whose object is not in the bucket. Empty once the segments were removed on purpose. */
export async function findRowsWithoutObjects(
  deps: { db: Queryable; store: Store; prefix: string },
  recording: Pick<Recording, 'id' | 'organizationId' | 'segmentsRemovedAt'>,
): Promise<Segment[]> {
  if (recording.segmentsRemovedAt !== null) return []
  const rows = await listSegments(deps.db, recording.id)
  const stored = new Set<string>()
  for await (const { key } of listStored(deps, recording)) stored.add(key)
  return rows.filter(({ s3Key }) => !stored.has(s3Key))
}

async function* listStored(
  { store, prefix }: { store: Store; prefix: string },
  { id, organizationId }: Pick<Recording, 'id' | 'organizationId'>,
): AsyncGenerator<{ key: string; attempt: number; segment: number }> {
  const place = { prefix, organizationId, recordingId: id }
  for await (const { key } of store.list(`${recordingPrefix(place)}attempt-`)) {
    const named = readSegmentKey(place, key)
    if (named) yield { key, attempt: named.attempt, segment: named.number }
  }
}

async function describe(
  { store }: RebuildDeps,
  { key, attempt, number }: Found,
  known: readonly Segment[],
  signal: AbortSignal,
): Promise<Segment | undefined> {
  const bytes = await readWhole(store, key, signal)
  const own = known.filter(segment => segment.attemptId === attempt.id)
  const media =
    number === 0
      ? await isInit(bytes)
      : await readTimes(
          store,
          own.find(of => of.number === 0),
          bytes,
          signal,
        )
  if (media === undefined) return undefined
  const sibling = own.find(segment => segment.number > 0) ?? own[0]
  const began = attempt.admittedAt ?? attempt.startedAt
  const zeroMs = sibling
    ? sibling.startedAt.getTime() - sibling.startMs
    : began.getTime() - attempt.clockOffsetMs
  const startedAt = new Date(zeroMs + media.startMs)
  return {
    organizationId: attempt.organizationId,
    attemptId: attempt.id,
    number,
    s3Key: key,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    sizeBytes: bytes.length,
    startMs: media.startMs,
    durationMs: media.durationMs,
    startedAt,
    endedAt: new Date(startedAt.getTime() + media.durationMs),
    storedAt: new Date(zeroMs + media.startMs + media.durationMs),
    thinned: false,
  }
}

async function readWhole(store: Store, key: string, signal: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = []
  let heldBytes = 0
  for await (const piece of (await store.get(key, signal)) as AsyncIterable<Buffer>) {
    pieces.push(piece)
    heldBytes += piece.length
    if (heldBytes > MOST_SEGMENT_BYTES) throw new Error(`${key} is larger than a segment can be`)
  }
  return Buffer.concat(pieces)
}

interface MediaTimes {
  startMs: number
  durationMs: number
}

async function isInit(bytes: Buffer): Promise<MediaTimes | undefined> {
  for await (const piece of fragmentsOf(bytes))
    if (piece.kind === 'init') return { startMs: 0, durationMs: 0 }
  return undefined
}

async function readTimes(
  store: Store,
  init: Segment | undefined,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<MediaTimes | undefined> {
  if (init === undefined) return undefined
  const head = await readWhole(store, init.s3Key, signal)
  let startMs: number | undefined
  let endMs = 0
  for await (const piece of fragmentsOf(Buffer.concat([head, bytes]))) {
    if (piece.kind === 'init') continue
    startMs ??= piece.startMs
    endMs = Math.max(endMs, piece.startMs + piece.durationMs)
  }
  if (startMs === undefined) return undefined
  return { startMs: Math.round(startMs), durationMs: Math.round(endMs - startMs) }
}

/** Fragments up to the first one that cannot be read. */
async function* fragmentsOf(bytes: Buffer) {
  try {
    yield* readFragments(Readable.from([bytes]))
  } catch (error) {
    if (!(error instanceof BadFragmentedMp4) && !(error instanceof RangeError)) throw error
  }
}
