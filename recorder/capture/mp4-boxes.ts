// Boxes of an MP4 held in memory (ISO/IEC 14496-12): finding them, and what the boxes of a fragmented file say.

export const HEADER_BYTES = 8

/** Bytes that are not the fragmented MP4 we can read. */
export class BadFragmentedMp4 extends Error {
  readonly reason: 'box-too-large' | 'bad-box' | 'no-video-track' | 'media-before-init'

  constructor(reason: BadFragmentedMp4['reason'], message: string) {
    super(message)
    this.name = 'BadFragmentedMp4'
    this.reason = reason
  }
}

/** A track as the `moov` box declares it. */
export interface Track {
  id: number
  kind: 'video' | 'audio' | 'other'
  /** Units a second of this track's times. */
  timescale: number
  /** What the edit list adds to decode times: a later start, less the time cut off at the head. */
  editMs: number
  /** The sample descriptions: tracks with equal ones can be put behind one another. */
  stsd: Buffer
  defaultDuration: number
  defaultSizeBytes: number
  defaultFlags: number
}

export interface BoxHeader {
  type: string
  sizeBytes: number
}

/** Size and type of the box at `at`. Sizes over 32 bits do not occur in what is held in memory. */
export function readBoxHeader(bytes: Buffer, at: number): BoxHeader {
  const sizeBytes = bytes.readUInt32BE(at)
  const type = bytes.toString('latin1', at + 4, at + 8)
  if (sizeBytes < HEADER_BYTES)
    throw new BadFragmentedMp4('bad-box', `a ${type} box says it has ${sizeBytes} bytes`)
  return { type, sizeBytes }
}

/** The whole boxes that follow one another from the start, header included, as views. A broken header ends the list. */
export function listBoxes(bytes: Buffer): { type: string; bytes: Buffer }[] {
  const boxes: { type: string; bytes: Buffer }[] = []
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const sizeBytes = bytes.readUInt32BE(at)
    if (sizeBytes < HEADER_BYTES || at + sizeBytes > bytes.length) break
    boxes.push({ type: bytes.toString('latin1', at + 4, at + 8), bytes: bytes.subarray(at, at + sizeBytes) })
    at += sizeBytes
  }
  return boxes
}

/** Contents of all boxes at this path, as views into `body`. */
export function findBoxes(body: Buffer, ...path: string[]): Buffer[] {
  const [wanted, ...rest] = path
  const found: Buffer[] = []
  for (let at = 0; at + HEADER_BYTES <= body.length; ) {
    const { type, sizeBytes } = readBoxHeader(body, at)
    if (type === wanted) found.push(body.subarray(at + HEADER_BYTES, at + sizeBytes))
    at += sizeBytes
  }
  return rest.length === 0 ? found : found.flatMap(inner => findBoxes(inner, ...rest))
}

/** The tracks of a `moov` box (header included). */
export function readTracks(moov: Buffer): Track[] {
  const content = moov.subarray(HEADER_BYTES)
  const movieHeader = findBoxes(content, 'mvhd')[0]
  if (movieHeader === undefined) throw new BadFragmentedMp4('bad-box', 'the moov box has no mvhd')
  return findBoxes(content, 'trak').map(trak => {
    const handler = findBoxes(trak, 'mdia', 'hdlr')[0]
    const trackHeader = findBoxes(trak, 'tkhd')[0]
    const mediaHeader = findBoxes(trak, 'mdia', 'mdhd')[0]
    const stsd = findBoxes(trak, 'mdia', 'minf', 'stbl', 'stsd')[0]
    if (!handler || !trackHeader || !mediaHeader || !stsd) {
      throw new BadFragmentedMp4('bad-box', 'a trak box lacks hdlr, tkhd, mdhd or stsd')
    }
    const id = trackHeader.readUInt32BE(trackHeader[0] === 1 ? 20 : 12)
    const timescale = mediaHeader.readUInt32BE(mediaHeader[0] === 1 ? 20 : 12)
    const extends_ = findBoxes(content, 'mvex', 'trex').find(trex => trex.readUInt32BE(4) === id)
    const handlerType = handler.toString('latin1', 8, 12)
    return {
      id,
      kind: handlerType === 'vide' ? 'video' : handlerType === 'soun' ? 'audio' : 'other',
      timescale,
      editMs: readEditMs(trak, timescale, movieHeader.readUInt32BE(movieHeader[0] === 1 ? 20 : 12)),
      stsd: Buffer.from(stsd),
      defaultDuration: extends_?.readUInt32BE(12) ?? 0,
      defaultSizeBytes: extends_?.readUInt32BE(16) ?? 0,
      defaultFlags: extends_?.readUInt32BE(20) ?? 0,
    }
  })
}

/** Edit list (§8.6.6): an empty edit (media time -1) delays the track, the first real one skips its head. */
function readEditMs(trak: Buffer, timescale: number, movieTimescale: number): number {
  const elst = findBoxes(trak, 'edts', 'elst')[0]
  if (elst === undefined) return 0
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
