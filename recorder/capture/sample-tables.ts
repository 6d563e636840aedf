// Where each picture and each sound of a plain MP4 lies and when it is shown, read from its index (ISO/IEC 14496-12 §8.6, §8.7).
import { open } from 'node:fs/promises'
import { HEADER_BYTES, listBoxes } from './mp4-boxes.ts'
import { listTopLevelBoxes } from './mp4-layout.ts'

/** 24 hours of picture and sound have about 40 MB of index. */
const MAX_INDEX_BYTES = 256 * 1024 * 1024

export interface SampleTable {
  kind: 'video' | 'audio'
  /** Units a second. */
  timescale: number
  /** The first sample description, box header included, e.g. `avc1` or `mp4a`. */
  description: Buffer
  samples: number
  /** Sum of all sample durations. */
  durationMs: number
  /** Decode time of a sample, counted from 0. */
  timeMs(sample: number): number
  /** How long a sample lasts until the next one. */
  lastsMs(sample: number): number
  sizeBytes(sample: number): number
  /** Where in the file the bytes of a sample begin. */
  offsetBytes(sample: number): number
  /** Samples that can be decoded alone, in order; all of them when the track says nothing. */
  keySamples(): ArrayLike<number>
}

/**
 * Reads the index of a plain MP4: one table for each track of pictures and sound. A file without a readable index, such
 * as one that is cut off or fragmented, gives an empty list.
 */
export async function readSampleTables(file: string): Promise<SampleTable[]> {
  const moov = (await listTopLevelBoxes(file)).find(({ type }) => type === 'moov')
  if (moov === undefined || moov.sizeBytes > MAX_INDEX_BYTES) return []
  await using handle = await open(file, 'r')
  const bytes = Buffer.alloc(moov.sizeBytes)
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, moov.startBytes)
  if (bytesRead < bytes.length) return []
  try {
    return inside(bytes, 'trak').flatMap(readTrack)
  } catch (error) {
    // A box that promises more than it holds.
    if (error instanceof RangeError) return []
    throw error
  }
}

/** Boxes of this type within a box, header included, as views. */
function inside(box: Buffer, type: string): Buffer[] {
  return listBoxes(box.subarray(HEADER_BYTES))
    .filter(found => found.type === type)
    .map(({ bytes }) => bytes)
}

function readTrack(trak: Buffer): SampleTable[] {
  const media = inside(trak, 'mdia')[0]
  const table = media && inside(media, 'minf').flatMap(minf => inside(minf, 'stbl'))[0]
  const handler = media && inside(media, 'hdlr')[0]
  const header = media && inside(media, 'mdhd')[0]
  if (!table || !handler || !header) return []
  const handlerType = handler.toString('latin1', 16, 20)
  if (handlerType !== 'vide' && handlerType !== 'soun') return []
  const [stsd, stts, stsz, stsc, stss] = ['stsd', 'stts', 'stsz', 'stsc', 'stss'].map(
    type => inside(table, type)[0],
  )
  const chunks = inside(table, 'stco')[0] ?? inside(table, 'co64')[0]
  if (!stsd || !stts || !stsz || !stsc || !chunks) return []
  const timescale = header.readUInt32BE(header[HEADER_BYTES] === 1 ? 28 : 20)
  const samples = stsz.readUInt32BE(16)
  const times = readTimes(stts, samples)
  const sizeBytes = (sample: number) => stsz.readUInt32BE(12) || stsz.readUInt32BE(20 + 4 * sample)
  const toMs = (units: number) => (units * 1000) / timescale
  return [
    {
      kind: handlerType === 'vide' ? 'video' : 'audio',
      timescale,
      description: listBoxes(stsd.subarray(16))[0]?.bytes ?? Buffer.alloc(0),
      samples,
      durationMs: toMs(times[samples] ?? 0),
      timeMs: sample => toMs(times[sample] ?? 0),
      lastsMs: sample => toMs((times[sample + 1] ?? 0) - (times[sample] ?? 0)),
      sizeBytes,
      offsetBytes: offsetsOf(chunks, stsc, samples, sizeBytes),
      keySamples: () => (stss ? readKeys(stss) : Array.from({ length: samples }, (_, sample) => sample)),
    },
  ]
}

/** Decode times of all samples, and behind them the end of the last one. */
function readTimes(stts: Buffer, samples: number): Float64Array {
  const times = new Float64Array(samples + 1)
  let sample = 0
  for (let entry = 0; entry < stts.readUInt32BE(12); entry++) {
    const count = stts.readUInt32BE(16 + 8 * entry)
    const units = stts.readUInt32BE(20 + 8 * entry)
    for (let left = count; left > 0 && sample < samples; left--, sample++)
      times[sample + 1] = (times[sample] ?? 0) + units
  }
  return times
}

function readKeys(stss: Buffer): Uint32Array {
  return Uint32Array.from({ length: stss.readUInt32BE(12) }, (_, key) => stss.readUInt32BE(16 + 4 * key) - 1)
}

/** Samples lie behind one another in chunks; `stsc` says how many each chunk holds, in runs of equal chunks. */
function offsetsOf(
  chunks: Buffer,
  stsc: Buffer,
  samples: number,
  sizeBytes: (sample: number) => number,
): (sample: number) => number {
  const wide = chunks.toString('latin1', 4, 8) === 'co64'
  const chunkCount = chunks.readUInt32BE(12)
  const chunkOffset = (chunk: number) =>
    wide ? Number(chunks.readBigUInt64BE(16 + 8 * chunk)) : chunks.readUInt32BE(16 + 4 * chunk)
  const offsets = new Float64Array(samples)
  let sample = 0
  let entry = 0
  for (let chunk = 0; chunk < chunkCount && sample < samples; chunk++) {
    const entries = stsc.readUInt32BE(12)
    if (entry + 1 < entries && stsc.readUInt32BE(16 + 12 * (entry + 1)) === chunk + 1) entry++
    let at = chunkOffset(chunk)
    for (let left = stsc.readUInt32BE(20 + 12 * entry); left > 0 && sample < samples; left--, sample++) {
      offsets[sample] = at
      at += sizeBytes(sample)
    }
  }
  return wanted => offsets[wanted] ?? 0
}
