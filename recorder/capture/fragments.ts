// Reads a fragmented MP4 as it is written: first the init piece (ftyp + moov), then one piece per fragment
// (moof + mdat). Holds one fragment at a time.
import {
  BadFragmentedMp4,
  HEADER_BYTES,
  readBoxHeader,
  readRuns,
  readTracks,
  type Track,
  type TrackRun,
} from './mp4-boxes.ts'

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
  /** How long the pictures of this fragment are shown; 0 without pictures. */
  durationMs: number
  /** Whether the first picture can be decoded alone. */
  keyFrame: boolean
  pictures: number
  runs: TrackRun[]
}

/**
 * Cuts a byte stream into its init piece and its fragments. A fragment that is not whole when the stream ends is
 * left out; boxes that belong to no fragment (`mfra`, `sidx`, `styp`) are left out too. Throws `BadFragmentedMp4`.
 */
export async function* readFragments(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<InitPiece | FragmentPiece> {
  let ftyp: Buffer[] = []
  let tracks: Track[] | undefined
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
      yield describeFragment(moof, Buffer.concat([moof, bytes]), tracks)
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
      const held = Buffer.concat(pieces)
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

function describeFragment(moof: Buffer, bytes: Buffer, tracks: Track[]): FragmentPiece {
  const runs = readRuns(moof, tracks)
  const pictures = runs.find(({ track }) => track.kind === 'video')
  const first = pictures ?? runs[0]
  return {
    kind: 'media',
    bytes,
    startMs: first === undefined ? 0 : (first.startUnits * 1000) / first.track.timescale + first.track.editMs,
    durationMs: pictures === undefined ? 0 : (pictures.durationUnits * 1000) / pictures.track.timescale,
    keyFrame: pictures?.startsWithKey ?? false,
    pictures: pictures?.samples ?? 0,
    runs,
  }
}

/** The same fragment `byMs` later (earlier when negative, never before 0). Changes `fragment.bytes` in place. */
export function moveFragment({ bytes, runs }: FragmentPiece, byMs: number): void {
  for (const { track, startUnits, decodeTimeAt, decodeTimeIsWide } of runs) {
    const units = Math.max(0, startUnits + Math.round((byMs * track.timescale) / 1000))
    if (decodeTimeIsWide) bytes.writeBigUInt64BE(BigInt(units), decodeTimeAt)
    else bytes.writeUInt32BE(units, decodeTimeAt)
  }
}

/** From the first to the last sample of a fragment in decode time, whichever track they belong to. */
export function fragmentSpan({ runs }: FragmentPiece): { startMs: number; endMs: number } {
  const starts = runs.map(({ startUnits, track }) => (startUnits * 1000) / track.timescale)
  const ends = runs.map(
    ({ startUnits, durationUnits, track }) => ((startUnits + durationUnits) * 1000) / track.timescale,
  )
  return { startMs: Math.min(...starts), endMs: Math.max(...ends) }
}
