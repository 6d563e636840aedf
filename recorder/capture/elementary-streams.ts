// Samples of an MP4 as streams that a decoder takes without the file around them: H.264 in Annex B, AAC in ADTS.
import { HEADER_BYTES, listBoxes } from './mp4-boxes.ts'

const START_CODE = Buffer.from([0, 0, 0, 1])
/** Fields of a `VisualSampleEntry` and an `AudioSampleEntry` before the boxes inside them (ISO/IEC 14496-12 §12.1, §12.2). */
const VISUAL_FIELDS = 78
const AUDIO_FIELDS = 28
const ADTS_HEADER_BYTES = 7

/** A sample description of something else than what this program records. */
export class UnknownEncoding extends Error {}

/** Pictures of an `avc1` track as Annex B: the parameter sets before each one, so that each can be decoded alone. */
export function openAnnexB(description: Buffer): (sample: Buffer) => Buffer {
  const avcC = boxIn(description, VISUAL_FIELDS, 'avcC')
  if (avcC === undefined) throw new UnknownEncoding('the picture is not H.264')
  const lengthBytes = ((avcC[4] ?? 3) & 3) + 1
  const sets: Buffer[] = []
  let at = 5
  for (const mask of [0x1f, 0xff]) {
    let count = (avcC[at++] ?? 0) & mask
    for (; count > 0; count--) {
      const size = avcC.readUInt16BE(at)
      sets.push(START_CODE, avcC.subarray(at + 2, at + 2 + size))
      at += 2 + size
    }
  }
  return sample => {
    const pieces = [...sets]
    for (let unit = 0; unit + lengthBytes <= sample.length; ) {
      const size = sample.readUIntBE(unit, lengthBytes)
      pieces.push(START_CODE, sample.subarray(unit + lengthBytes, unit + lengthBytes + size))
      unit += lengthBytes + size
    }
    return Buffer.concat(pieces)
  }
}

export interface AdtsTrack {
  sampleRate: number
  channels: number
  /** One AAC frame with its header. */
  frame(sample: Buffer): Buffer
}

const SAMPLE_RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350]

/** Sound of an `mp4a` track as ADTS (ISO/IEC 14496-3 §1.A.2). */
export function openAdts(description: Buffer): AdtsTrack {
  const esds = boxIn(description, AUDIO_FIELDS, 'esds')
  const config = esds && decoderConfig(esds)
  if (config === undefined) throw new UnknownEncoding('the sound is not AAC')
  const objectType = config >> 11
  const rateIndex = (config >> 7) & 15
  const channels = (config >> 3) & 15
  const sampleRate = SAMPLE_RATES[rateIndex]
  if (objectType < 1 || objectType > 4 || sampleRate === undefined || channels === 0)
    throw new UnknownEncoding('the sound is an AAC of another kind')
  return {
    sampleRate,
    channels,
    frame(sample) {
      const size = sample.length + ADTS_HEADER_BYTES
      const header = Buffer.alloc(ADTS_HEADER_BYTES)
      header.writeUInt16BE(0xfff1, 0)
      header[2] = ((objectType - 1) << 6) | (rateIndex << 2) | (channels >> 2)
      header[3] = ((channels & 3) << 6) | (size >> 11)
      header[4] = (size >> 3) & 0xff
      header[5] = ((size & 7) << 5) | 0x1f
      header[6] = 0xfc
      return Buffer.concat([header, sample])
    },
  }
}

function boxIn(description: Buffer, fields: number, type: string): Buffer | undefined {
  const found = listBoxes(description.subarray(HEADER_BYTES + fields)).find(box => box.type === type)
  return found?.bytes.subarray(HEADER_BYTES)
}

/** The first two bytes of the AudioSpecificConfig: descriptor 5 inside the descriptors 3 and 4 (ISO/IEC 14496-1 §7.2.6). */
function decoderConfig(esds: Buffer): number | undefined {
  const fieldsOf: Record<number, number> = { 3: 3, 4: 13 }
  for (let at = 4; at + 2 < esds.length; ) {
    const tag = esds[at++] ?? 0
    while (((esds[at] ?? 0) & 0x80) !== 0) at++
    at++
    if (tag === 5) return esds.readUInt16BE(at)
    const fields = fieldsOf[tag]
    if (fields === undefined) return undefined
    at += fields
  }
  return undefined
}
