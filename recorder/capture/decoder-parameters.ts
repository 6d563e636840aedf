// What a decoder must know before the first sample: the sample description (`stsd`) of a track, compared by what matters.
import { BadFragmentedMp4, findBoxes, HEADER_BYTES, readBoxHeader, type Track } from './mp4-boxes.ts'

/** Bytes of a sample entry before the boxes in it (ISO/IEC 14496-12 §12.1.3 and §12.2.3). */
const VISUAL_ENTRY_BYTES = HEADER_BYTES + 78
const AUDIO_ENTRY_BYTES = HEADER_BYTES + 28
const DECODER_SPECIFIC_INFO = 0x05

/**
 * Whether samples of `b` can stand behind samples of `a` in one track:
 * `same`: as they are. Bit rates, colours and other boxes that only inform do not count.
 * `parameter-sets`: H.264 of one picture size whose parameter sets differ (another release of the encoder): when every
 * key frame carries its own (`parameterSetsOf`).
 * `different`: not at all. Another picture size, another codec or another kind of sound would need a second sample
 * description, which ffmpeg does not write; such parts must be encoded anew.
 */
export function compareTracks(a: Track, b: Track): 'same' | 'parameter-sets' | 'different' {
  if (a.id !== b.id || a.timescale !== b.timescale || a.kind !== b.kind) return 'different'
  if (a.stsd.equals(b.stsd)) return 'same'
  const [entryA, entryB] = [entryOf(a), entryOf(b)]
  if (entryA.format !== entryB.format) return 'different'
  if (entryA.format === 'avc1') {
    // Width and height stand 24 bytes behind the header of the entry.
    const size = ({ bytes }: Entry) => bytes.readUInt32BE(HEADER_BYTES + 24)
    if (size(entryA) !== size(entryB)) return 'different'
    const [configA, configB] = [avcConfigOf(a), avcConfigOf(b)]
    if (configA.equals(configB)) return 'same'
    return lengthBytesOf(configA) === 4 && lengthBytesOf(configB) === 4 ? 'parameter-sets' : 'different'
  }
  if (entryA.format === 'mp4a') {
    const [soundA, soundB] = [soundConfigOf(entryA), soundConfigOf(entryB)]
    return soundA !== undefined && soundB !== undefined && soundA.equals(soundB) ? 'same' : 'different'
  }
  return 'different'
}

/** The parameter sets of an H.264 track (SPS, then PPS), each with its length before it, as samples carry them. */
export function parameterSetsOf(track: Track): Buffer {
  const config = avcConfigOf(track)
  const sets: Buffer[] = []
  // AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1): 5 bytes, then both lists.
  let at = 5
  for (const mask of [0x1f, 0xff]) {
    const count = config.readUInt8(at++) & mask
    for (let index = 0; index < count; index++) {
      const sizeBytes = config.readUInt16BE(at)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(sizeBytes)
      sets.push(length, config.subarray(at + 2, at + 2 + sizeBytes))
      at += 2 + sizeBytes
    }
  }
  return Buffer.concat(sets)
}

interface Entry {
  format: string
  bytes: Buffer
}

function entryOf({ stsd }: Track): Entry {
  // Version and flags, number of entries, then the first entry.
  const bytes = stsd.subarray(8)
  return { format: readBoxHeader(bytes, 0).type, bytes }
}

function avcConfigOf(track: Track): Buffer {
  const config = findBoxes(entryOf(track).bytes.subarray(VISUAL_ENTRY_BYTES), 'avcC')[0]
  if (config === undefined) throw new BadFragmentedMp4('bad-box', 'an H.264 track has no avcC box')
  return config
}

function lengthBytesOf(avcConfig: Buffer): number {
  return (avcConfig.readUInt8(4) & 3) + 1
}

/** What the AAC decoder is told (`DecoderSpecificInfo` in `esds`), without the bit rates beside it. */
function soundConfigOf({ bytes }: Entry): Buffer | undefined {
  const esds = findBoxes(bytes.subarray(AUDIO_ENTRY_BYTES), 'esds')[0]
  if (esds === undefined) return undefined
  // Descriptors within descriptors (ISO/IEC 14496-1 §7.2.6): tag, length in groups of 7 bits, content.
  for (let at = 4; at < esds.length; ) {
    const tag = esds.readUInt8(at++)
    let sizeBytes = 0
    for (let more = true; more; at++) {
      const byte = esds.readUInt8(at)
      sizeBytes = (sizeBytes << 7) | (byte & 0x7f)
      more = (byte & 0x80) !== 0
    }
    if (tag === DECODER_SPECIFIC_INFO) return esds.subarray(at, at + sizeBytes)
    if (tag === 0x03) at += 3
    else if (tag === 0x04) at += 13
    else at += sizeBytes
  }
  return undefined
}
