// Stored segments, read in order with some of them on their way, each one proven while it comes in.
import { createHash } from 'node:crypto'
import type { Segment } from '../db/recordings.ts'
import { StorageFault } from '../storage/fault.ts'
import type { Store } from '../storage/s3.ts'
import { returnBuffers } from './return-memory.ts'

const AHEAD_BYTES = 12 * 1024 * 1024
const MOST_AHEAD = 6
const PROOFS_AT_ONCE = 6
const RETURN_EVERY_BYTES = 16 * 1024 * 1024

/** An object is gone, or is not what was recorded. */
export class SegmentLost extends Error {
  readonly code = 'segment_lost'
  readonly segment: Segment

  constructor(segment: Segment, because: string) {
    super(`segment ${segment.number} (${segment.s3Key}) ${because}`)
    this.name = 'SegmentLost'
    this.segment = segment
  }
}

/** What is needed to read a segment: where it is, and what it must be. */
type Wanted = Pick<Segment, 's3Key' | 'sha256' | 'sizeBytes'>

/**
 * The bytes of a segment, proven against the SHA-256 of its row. A damaged one is read twice, since the way may have been
 * at fault.
 * @param instead names of other objects that may hold the same bytes, asked for when the object is not what it should be
 * @throws {SegmentLost}; {@link StorageFault} when the store does not answer
 */
export async function readSegment(
  store: Store,
  segment: Segment,
  signal: AbortSignal,
  instead: () => Promise<readonly string[]> = async () => [],
): Promise<Buffer> {
  let because = 'is not there'
  for (const key of [segment.s3Key, segment.s3Key]) {
    const bytes = await readProven(store, { ...segment, s3Key: key }, signal)
    if (Buffer.isBuffer(bytes)) return bytes
    because = bytes
    if (because === 'is not there') break
  }
  for (const key of await instead()) {
    const bytes = await readProven(store, { ...segment, s3Key: key }, signal)
    if (Buffer.isBuffer(bytes)) return bytes
  }
  throw new SegmentLost(segment, because)
}

async function readProven(
  store: Store,
  { s3Key, sha256, sizeBytes }: Wanted,
  signal: AbortSignal,
): Promise<Buffer | 'is not there' | 'is not what was recorded'> {
  // Filled as it comes: pieces put together at the end would take the memory twice.
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  const hash = createHash('sha256')
  let heldBytes = 0
  try {
    for await (const piece of (await store.get(s3Key, signal, { proven: true })) as AsyncIterable<Buffer>) {
      if (heldBytes + piece.length > sizeBytes) return 'is not what was recorded'
      hash.update(piece)
      heldBytes += piece.copy(bytes, heldBytes)
    }
  } catch (error) {
    if (error instanceof StorageFault && error.code === 'not_found') return 'is not there'
    throw error
  }
  return hash.digest('hex') === sha256 ? bytes.subarray(0, heldBytes) : 'is not what was recorded'
}

/**
 * Sources of segments for whoever takes them in this order: while one is used the next ones are fetched, within a bound
 * of bytes. Each source may be opened once.
 */
export function readAhead(
  store: Store,
  segments: readonly Segment[],
  signal: AbortSignal,
): (() => AsyncIterable<Uint8Array>)[] {
  const coming = new Map<number, Promise<Buffer>>()
  let aheadBytes = 0
  let usedBytes = 0
  let next = 0
  const fill = (wanted: number) => {
    while (
      next < segments.length &&
      (next <= wanted || (coming.size < MOST_AHEAD && aheadBytes < AHEAD_BYTES))
    ) {
      const segment = segments[next] as Segment
      const bytes = readSegment(store, segment, signal)
      // Whoever takes it sees the failure; nobody may ever take it.
      bytes.catch(() => undefined)
      coming.set(next, bytes)
      aheadBytes += segment.sizeBytes
      next += 1
    }
  }
  return segments.map(
    (segment, index) =>
      async function* () {
        fill(index)
        const bytes = await coming.get(index)
        coming.delete(index)
        aheadBytes -= segment.sizeBytes
        usedBytes += segment.sizeBytes
        if (usedBytes >= RETURN_EVERY_BYTES) {
          usedBytes = 0
          returnBuffers()
        }
        fill(index)
        if (bytes === undefined) throw new Error(`segment ${segment.number} was already read`)
        yield bytes
      },
  )
}

/** Which of these segments are gone or damaged: reads them all. */
export async function findLost(
  store: Store,
  segments: readonly Segment[],
  signal: AbortSignal,
): Promise<Segment[]> {
  const lost: Segment[] = []
  const waiting = [...segments]
  await Promise.all(
    Array.from({ length: PROOFS_AT_ONCE }, async () => {
      for (let segment = waiting.shift(); segment !== undefined; segment = waiting.shift()) {
        try {
          await readSegment(store, segment, signal)
        } catch (error) {
          if (!(error instanceof SegmentLost)) throw error
          lost.push(error.segment)
        }
      }
    }),
  )
  return lost
}
