// Reads a fragmented MP4 as it is written: first the init piece (ftyp + moov), then one piece per fragment
// (moof + mdat). Holds one fragment at a time.
import {
  BadFragmentedMp4,
  HEADER_BYTES,
  listBoxes,
  readBoxHeader,
  readTracks,
  type Track,
} from './mp4-boxes.ts'
import { readRuns, type TrackRun } from './mp4-samples.ts'

const MAX_FRAGMENT_BYTES = 256 * 1024 * 1024

export interface InitPiece {
  kind: 'init'
  bytes: Buffer
  tracks: Track[]
}

export interface FragmentPiece {
  kind: 'media'
  bytes: Buffer
  /** Media time of the first picture, or of the first sound in a fragment without pictures. */
  startMs: number
  /** How long the pictures of this fragment are shown, or the sound of one without pictures sounds. */
  durationMs: number
  /** Whether it begins with a picture that can be decoded alone (a sync sample): a segment may begin here. */
  keyFrame: boolean
  pictures: number
  runs: TrackRun[]
}

/**
 * Cuts a byte stream into its init piece and its fragments. A fragment that is not whole when the stream ends is
 * left out; boxes that belong to no fragment (`mfra`, `sidx`, `styp`) are left out too. Throws `BadFragmentedMp4`.
 * @param known the tracks of the init piece, where the stream has none of its own
 */
export async function* readFragments(
  stream: AsyncIterable<Uint8Array>,
  known?: Track[],
): AsyncGenerator<InitPiece | FragmentPiece> {
  let ftyp: Buffer[] = []
  let tracks = known
  let moof: Buffer | undefined
  for await (const { type, bytes } of readTopLevelBoxes(stream)) {
    if (type === 'ftyp') ftyp = [bytes]
    else if (type === 'moov') {
      tracks = readTracks(bytes)
      if (!tracks.some(({ kind }) => kind === 'video')) {
        throw new BadFragmentedMp4('no-video-track', 'the moov box names no video track')
      }
      yield { kind: 'init', bytes: Buffer.concat([...ftyp, bytes]), tracks }
    } else if (type === 'moof') moof = bytes
    else if (type === 'mdat' && moof !== undefined) {
      if (tracks === undefined)
        throw new BadFragmentedMp4('media-before-init', 'a fragment came before the moov box')
      yield describeFragment(joinNeighbours(moof, bytes), tracks)
      moof = undefined
    }
  }
}

async function* readTopLevelBoxes(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ type: string; bytes: Buffer }> {
  let pieces: Uint8Array[] = []
  let heldBytes = 0
  let neededBytes = HEADER_BYTES
  for await (const piece of stream) {
    pieces.push(piece)
    heldBytes += piece.length
    while (heldBytes >= neededBytes) {
      const held = pieces.length === 1 ? asBuffer(pieces[0] as Uint8Array) : Buffer.concat(pieces)
      pieces = [held]
      const { type, sizeBytes } = readBoxHeader(held, 0)
      if (sizeBytes > MAX_FRAGMENT_BYTES) {
        throw new BadFragmentedMp4(
          'box-too-large',
          `a ${type} box of ${sizeBytes} bytes is more than is held here`,
        )
      }
      if (heldBytes < sizeBytes) {
        neededBytes = sizeBytes
        break
      }
      yield { type, bytes: held.subarray(0, sizeBytes) }
      pieces = [held.subarray(sizeBytes)]
      heldBytes -= sizeBytes
      neededBytes = HEADER_BYTES
    }
  }
}

/** Two pieces as one; those that lie behind one another in memory are not copied. */
function joinNeighbours(one: Buffer, next: Buffer): Buffer {
  const areNeighbours = one.buffer === next.buffer && one.byteOffset + one.length === next.byteOffset
  return areNeighbours
    ? Buffer.from(one.buffer, one.byteOffset, one.length + next.length)
    : Buffer.concat([one, next])
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** What a fragment (moof + mdat) of these tracks says about itself. Throws `BadFragmentedMp4`. */
export function describeFragment(bytes: Buffer, tracks: readonly Track[]): FragmentPiece {
  const runs = readRuns(bytes.subarray(0, readBoxHeader(bytes, 0).sizeBytes), tracks)
  const pictures = runs.find(({ track }) => track.kind === 'video')
  const first = pictures ?? runs[0]
  return {
    kind: 'media',
    bytes,
    startMs: first === undefined ? 0 : startOfRun(first),
    durationMs: first === undefined ? 0 : (first.durationUnits * 1000) / first.track.timescale,
    keyFrame: pictures?.startsWithKey ?? false,
    pictures: pictures?.samples.length ?? 0,
    runs,
  }
}

function startOfRun({ startUnits, track }: TrackRun): number {
  return (startUnits * 1000) / track.timescale + track.editMs
}

/** Media time at which the last picture and the last sound of these fragments are over. */
export function endOfFragments(pieces: readonly FragmentPiece[]): number {
  const ends = pieces.flatMap(({ runs }) =>
    runs.map(run => startOfRun(run) + (run.durationUnits * 1000) / run.track.timescale),
  )
  return ends.reduce((latest, end) => Math.max(latest, end), 0)
}

export interface WholeFragments {
  /** Whole fragments only; empty when there is none. */
  bytes: Buffer
  /** Media time of the first picture. */
  startMs: number
  durationMs: number
  pictures: number
}

/**
 * The whole fragments at the head of a file whose writer may have been killed at any byte. `init` is the init piece
 * of the same attempt (its tracks carry the units). What is cut off or cannot be read ends the list; only a bad
 * `init` throws `BadFragmentedMp4`.
 */
export function readWholeFragments(bytes: Buffer, init: Buffer): WholeFragments {
  const { pieces, endBytes } = splitFragments(bytes, tracksOf(init))
  const startMs = pieces[0]?.startMs ?? 0
  return {
    bytes: bytes.subarray(0, endBytes),
    startMs,
    durationMs: pieces.length === 0 ? 0 : endOfFragments(pieces) - startMs,
    pictures: pieces.reduce((sum, { pictures }) => sum + pictures, 0),
  }
}

/** The tracks of an init piece. Throws `BadFragmentedMp4`. */
export function tracksOf(init: Buffer): Track[] {
  const moov = listBoxes(init).find(({ type }) => type === 'moov')
  if (moov === undefined) throw new BadFragmentedMp4('bad-box', 'the init piece has no moov box')
  return readTracks(moov.bytes)
}

/** Fragments held in memory, as views, and where the last whole one ends. */
export function splitFragments(
  bytes: Buffer,
  tracks: readonly Track[],
): { pieces: FragmentPiece[]; endBytes: number } {
  const pieces: FragmentPiece[] = []
  let endBytes = 0
  let moof: Buffer | undefined
  for (const box of listBoxes(bytes)) {
    if (box.type === 'moof') moof = box.bytes
    else if (box.type !== 'mdat' || moof === undefined) break
    else {
      const fragment = bytes.subarray(endBytes, endBytes + moof.length + box.bytes.length)
      try {
        const piece = describeFragment(fragment, tracks)
        if (piece.runs.length === 0) break
        pieces.push(piece)
      } catch (error) {
        // A box that promises more than it holds: what was written last before a crash may be anything.
        if (error instanceof RangeError || error instanceof BadFragmentedMp4) break
        throw error
      }
      endBytes += fragment.length
      moof = undefined
    }
  }
  return { pieces, endBytes }
}

/** The same fragment later (earlier when negative, never before 0), track by track. Changes `fragment.bytes` in place. */
export function moveFragment({ bytes, runs }: FragmentPiece, byMs: (track: Track) => number): void {
  for (const { track, startUnits, decodeTimeAt, decodeTimeIsWide } of runs) {
    const units = Math.max(0, startUnits + Math.round((byMs(track) * track.timescale) / 1000))
    if (decodeTimeIsWide) bytes.writeBigUInt64BE(BigInt(units), decodeTimeAt)
    else bytes.writeUInt32BE(units, decodeTimeAt)
  }
}
