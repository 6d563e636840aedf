// Reads a fragmented MP4 as it is written: first the init piece (ftyp + moov), then one piece per fragment
// (moof + mdat). ISO/IEC 14496-12 §8.8. Holds one fragment at a time.

const MAX_FRAGMENT_BYTES = 256 * 1024 * 1024
const HEADER_BYTES = 8
const NON_SYNC_SAMPLE = 0x10000

export interface InitPiece {
  kind: 'init'
  bytes: Buffer
}

export interface FragmentPiece {
  kind: 'media'
  bytes: Buffer
  /** Media time of the first picture. */
  startMs: number
  /** How long the pictures of this fragment are shown. */
  durationMs: number
  /** Whether the first picture can be decoded alone. */
  keyFrame: boolean
  pictures: number
}

/** A stream that is not the fragmented MP4 we can read. */
export class BadFragmentedMp4 extends Error {
  readonly reason: 'box-too-large' | 'bad-box' | 'no-video-track' | 'media-before-init'

  constructor(reason: BadFragmentedMp4['reason'], message: string) {
    super(message)
    this.name = 'BadFragmentedMp4'
    this.reason = reason
  }
}

interface VideoTrack {
  id: number
  timescale: number
  /** What the edit list adds to decode times: later start of the picture, less the time cut off at its head. */
  editMs: number
  defaultFlags: number
  defaultDuration: number
}

/**
 * Cuts a byte stream into its init piece and its fragments. A fragment that is not whole when the stream ends is
 * left out; boxes that belong to no fragment (`mfra`, `sidx`, `styp`) are left out too. Throws `BadFragmentedMp4`.
 */
export async function* readFragments(
  stream: AsyncIterable<Buffer>,
): AsyncGenerator<InitPiece | FragmentPiece> {
  let init: Buffer[] = []
  let track: VideoTrack | undefined
  let moof: Buffer | undefined
  for await (const { type, bytes } of readTopLevelBoxes(stream)) {
    if (type === 'ftyp') init = [bytes]
    else if (type === 'moov') {
      track = readVideoTrack(bytes)
      yield { kind: 'init', bytes: Buffer.concat([...init, bytes]) }
    } else if (type === 'moof') moof = bytes
    else if (type === 'mdat' && moof !== undefined) {
      if (track === undefined)
        throw new BadFragmentedMp4('media-before-init', 'a fragment came before the moov box')
      yield describeFragment(moof, Buffer.concat([moof, bytes]), track)
      moof = undefined
    }
  }
}

async function* readTopLevelBoxes(
  stream: AsyncIterable<Buffer>,
): AsyncGenerator<{ type: string; bytes: Buffer }> {
  let pieces: Buffer[] = []
  let heldBytes = 0
  let neededBytes = HEADER_BYTES
  for await (const piece of stream) {
    pieces.push(piece)
    heldBytes += piece.length
    while (heldBytes >= neededBytes) {
      const held = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
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
      const rest = held.subarray(sizeBytes)
      pieces = rest.length === 0 ? [] : [rest]
      heldBytes = rest.length
      neededBytes = HEADER_BYTES
    }
  }
}

/** Size and type of the box at `at`. A 64-bit size needs 16 bytes there; fragments here never do. */
function readBoxHeader(bytes: Buffer, at: number): { type: string; sizeBytes: number } {
  const sizeBytes = bytes.readUInt32BE(at)
  const type = bytes.toString('latin1', at + 4, at + 8)
  if (sizeBytes < HEADER_BYTES)
    throw new BadFragmentedMp4('bad-box', `a ${type} box says it has ${sizeBytes} bytes`)
  return { type, sizeBytes }
}

interface Box {
  type: string
  /** What is inside, without the header. */
  body: Buffer
}

function listBoxes(body: Buffer): Box[] {
  const boxes: Box[] = []
  for (let at = 0; at + HEADER_BYTES <= body.length; ) {
    const { type, sizeBytes } = readBoxHeader(body, at)
    boxes.push({ type, body: body.subarray(at + HEADER_BYTES, at + sizeBytes) })
    at += sizeBytes
  }
  return boxes
}

function findBoxes(body: Buffer, ...path: string[]): Buffer[] {
  const [type, ...rest] = path
  const found = listBoxes(body)
    .filter(box => box.type === type)
    .map(box => box.body)
  return rest.length === 0 ? found : found.flatMap(inner => findBoxes(inner, ...rest))
}

function readVideoTrack(moov: Buffer): VideoTrack {
  const content = moov.subarray(HEADER_BYTES)
  for (const trak of findBoxes(content, 'trak')) {
    const handler = findBoxes(trak, 'mdia', 'hdlr')[0]
    const tkhd = findBoxes(trak, 'tkhd')[0]
    const mdhd = findBoxes(trak, 'mdia', 'mdhd')[0]
    if (handler?.toString('latin1', 8, 12) !== 'vide' || tkhd === undefined || mdhd === undefined) continue
    const id = tkhd.readUInt32BE(tkhd[0] === 1 ? 20 : 12)
    const timescale = mdhd.readUInt32BE(mdhd[0] === 1 ? 20 : 12)
    const trex = findBoxes(content, 'mvex', 'trex').find(box => box.readUInt32BE(4) === id)
    return {
      id,
      timescale,
      editMs: readEditMs(trak, content, timescale),
      defaultDuration: trex?.readUInt32BE(12) ?? 0,
      defaultFlags: trex?.readUInt32BE(20) ?? 0,
    }
  }
  throw new BadFragmentedMp4('no-video-track', 'the moov box names no video track')
}

/** Edit list (§8.6.6): an empty edit (media time -1) delays the track, the first real one skips its head. */
function readEditMs(trak: Buffer, moov: Buffer, timescale: number): number {
  const elst = findBoxes(trak, 'edts', 'elst')[0]
  const mvhd = findBoxes(moov, 'mvhd')[0]
  if (elst === undefined || mvhd === undefined) return 0
  const movieTimescale = mvhd.readUInt32BE(mvhd[0] === 1 ? 20 : 12)
  const wide = elst[0] === 1
  let editMs = 0
  for (let entry = 0; entry < elst.readUInt32BE(4); entry++) {
    const at = 8 + entry * (wide ? 20 : 12)
    const duration = wide ? Number(elst.readBigUInt64BE(at)) : elst.readUInt32BE(at)
    const mediaTime = wide ? Number(elst.readBigInt64BE(at + 8)) : elst.readInt32BE(at + 4)
    if (mediaTime !== -1) return editMs - (mediaTime * 1000) / timescale
    editMs += (duration * 1000) / movieTimescale
  }
  return editMs
}

function describeFragment(moof: Buffer, bytes: Buffer, track: VideoTrack): FragmentPiece {
  const toMs = (units: number) => (units * 1000) / track.timescale
  for (const traf of findBoxes(moof.subarray(HEADER_BYTES), 'traf')) {
    const tfhd = findBoxes(traf, 'tfhd')[0]
    const tfdt = findBoxes(traf, 'tfdt')[0]
    if (tfhd === undefined || tfdt === undefined || tfhd.readUInt32BE(4) !== track.id) continue
    const defaults = readFragmentDefaults(tfhd, track)
    const start = tfdt[0] === 1 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4)
    const runs = findBoxes(traf, 'trun').map(trun => readRun(trun, defaults))
    return {
      kind: 'media',
      bytes,
      startMs: toMs(start) + track.editMs,
      durationMs: toMs(runs.reduce((sum, run) => sum + run.duration, 0)),
      keyFrame: runs[0]?.startsWithKey ?? false,
      pictures: runs.reduce((sum, run) => sum + run.samples, 0),
    }
  }
  // Sound alone: the last fragment may hold what came after the last picture.
  return { kind: 'media', bytes, startMs: Number.NaN, durationMs: 0, keyFrame: false, pictures: 0 }
}

interface SampleDefaults {
  duration: number
  flags: number
}

function readFragmentDefaults(tfhd: Buffer, track: VideoTrack): SampleDefaults {
  const present = tfhd.readUInt32BE(0) & 0xffffff
  let at = 8
  if (present & 0x01) at += 8
  if (present & 0x02) at += 4
  const defaults = { duration: track.defaultDuration, flags: track.defaultFlags }
  if (present & 0x08) {
    defaults.duration = tfhd.readUInt32BE(at)
    at += 4
  }
  if (present & 0x10) at += 4
  if (present & 0x20) defaults.flags = tfhd.readUInt32BE(at)
  return defaults
}

function readRun(
  trun: Buffer,
  defaults: SampleDefaults,
): { duration: number; startsWithKey: boolean; samples: number } {
  const present = trun.readUInt32BE(0) & 0xffffff
  const samples = trun.readUInt32BE(4)
  let at = 8
  if (present & 0x01) at += 4
  let firstFlags = defaults.flags
  if (present & 0x04) {
    firstFlags = trun.readUInt32BE(at)
    at += 4
  }
  const fields = [0x100, 0x200, 0x400, 0x800].filter(bit => present & bit)
  let duration = 0
  for (let sample = 0; sample < samples; sample++) {
    if (present & 0x400 && sample === 0 && !(present & 0x04)) {
      firstFlags = trun.readUInt32BE(at + fields.indexOf(0x400) * 4)
    }
    duration += present & 0x100 ? trun.readUInt32BE(at) : defaults.duration
    at += fields.length * 4
  }
  return { duration, startsWithKey: samples > 0 && (firstFlags & NON_SYNC_SAMPLE) === 0, samples }
}
