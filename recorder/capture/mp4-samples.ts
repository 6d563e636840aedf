// The samples of one fragment (moof + mdat, ISO/IEC 14496-12 §8.8): read, and written anew.
import { BadFragmentedMp4, findBoxes, HEADER_BYTES, readBoxHeader, type Track } from './mp4-boxes.ts'
import { box, words } from './write-box.ts'

const NON_SYNC_SAMPLE = 0x10000
const BASE_IS_MOOF = 0x020000
/** `trun` with data offset, and duration, size, flags and composition offset of every sample. */
const TRUN_FLAGS = 0x01 | 0x100 | 0x200 | 0x400 | 0x800

/** One picture or one packet of sound. */
export interface Sample {
  durationUnits: number
  flags: number
  /** Presentation less decode time. */
  compositionUnits: number
  sizeBytes: number
  /** Where its data stands in the fragment. */
  dataAt: number
}

/** What one fragment holds of one track. */
export interface TrackRun {
  track: Track
  /** Decode time of the first sample, in the track's units. */
  startUnits: number
  durationUnits: number
  samples: Sample[]
  /** Whether the first sample can be decoded alone. */
  startsWithKey: boolean
  /** Where in the `moof` box the decode time stands, and whether it has 64 bits. */
  decodeTimeAt: number
  decodeTimeIsWide: boolean
}

/** Whether a sample can be decoded alone. */
export function isKey({ flags }: Pick<Sample, 'flags'>): boolean {
  return (flags & NON_SYNC_SAMPLE) === 0
}

/** What a `moof` box (header included) says about each of these tracks. Tracks with no samples in it are left out. */
export function readRuns(moof: Buffer, tracks: readonly Track[]): TrackRun[] {
  return findBoxes(moof.subarray(HEADER_BYTES), 'traf').flatMap(traf => {
    const fragmentHeader = findBoxes(traf, 'tfhd')[0]
    const decodeTime = findBoxes(traf, 'tfdt')[0]
    const track = tracks.find(({ id }) => id === fragmentHeader?.readUInt32BE(4))
    if (fragmentHeader === undefined || decodeTime === undefined || track === undefined) return []
    const defaults = readDefaults(fragmentHeader, track)
    const samples: Sample[] = []
    for (const trun of findBoxes(traf, 'trun')) readRun(trun, defaults, samples)
    const first = samples[0]
    if (first === undefined) return []
    const wide = decodeTime[0] === 1
    return {
      track,
      startUnits: wide ? Number(decodeTime.readBigUInt64BE(4)) : decodeTime.readUInt32BE(4),
      durationUnits: samples.reduce((sum, sample) => sum + sample.durationUnits, 0),
      samples,
      startsWithKey: isKey(first),
      decodeTimeAt: decodeTime.byteOffset - moof.byteOffset + 4,
      decodeTimeIsWide: wide,
    }
  })
}

interface Defaults {
  duration: number
  sizeBytes: number
  flags: number
}

/** Field offsets of `tfhd` depend on which optional ones are present (§8.8.7). */
function readDefaults(tfhd: Buffer, track: Track): Defaults {
  const present = tfhd.readUInt32BE(0) & 0xffffff
  if (present & 0x01) {
    throw new BadFragmentedMp4('bad-box', 'a fragment names its data by their place in a file')
  }
  let at = 8
  const next = (bit: number, otherwise: number) => {
    if (!(present & bit)) return otherwise
    at += 4
    return tfhd.readUInt32BE(at - 4)
  }
  next(0x02, 0)
  return {
    duration: next(0x08, track.defaultDuration),
    sizeBytes: next(0x10, track.defaultSizeBytes),
    flags: next(0x20, track.defaultFlags),
  }
}

/** Appends the samples of one `trun` (§8.8.8). */
function readRun(trun: Buffer, defaults: Defaults, samples: Sample[]): void {
  const present = trun.readUInt32BE(0) & 0xffffff
  const count = trun.readUInt32BE(4)
  let at = 8
  const next = (bit: number, otherwise: number) => {
    if (!(present & bit)) return otherwise
    at += 4
    return trun.readUInt32BE(at - 4)
  }
  const before = samples.at(-1)
  let dataAt = next(0x01, before === undefined ? 0 : before.dataAt + before.sizeBytes)
  const firstFlags = next(0x04, defaults.flags)
  for (let index = 0; index < count; index++) {
    const durationUnits = next(0x100, defaults.duration)
    const sizeBytes = next(0x200, defaults.sizeBytes)
    const flags = next(0x400, index === 0 ? firstFlags : defaults.flags)
    // Signed, whatever the version says: an offset beyond 2³¹ occurs in neither.
    const compositionUnits = next(0x800, 0) | 0
    samples.push({ durationUnits, flags, compositionUnits, sizeBytes, dataAt })
    dataAt += sizeBytes
  }
}

/** Samples to be written: they follow one another in decode time from `startUnits` on. */
export interface RunToWrite {
  trackId: number
  startUnits: number
  samples: readonly (Omit<Sample, 'dataAt' | 'sizeBytes'> & { data: Buffer })[]
}

/** The data of a sample, or of several that lie behind one another, as a view. Throws `BadFragmentedMp4` when the fragment does not hold them. */
export function dataOf(
  { dataAt, sizeBytes }: Pick<Sample, 'dataAt' | 'sizeBytes'>,
  fragment: Buffer,
): Buffer {
  if (dataAt + sizeBytes > fragment.length) {
    throw new BadFragmentedMp4('bad-box', 'a fragment promises more data than it holds')
  }
  return fragment.subarray(dataAt, dataAt + sizeBytes)
}

/** Whether a fragment holds all that its index promises. */
export function holdsItsSamples({ bytes, runs }: { bytes: Buffer; runs: readonly TrackRun[] }): boolean {
  return runs.every(({ samples }) =>
    samples.every(({ dataAt, sizeBytes }) => dataAt + sizeBytes <= bytes.length),
  )
}

/** The number of a fragment (`mfhd`). */
export function sequenceOf(fragment: Buffer): number {
  const moof = fragment.subarray(0, readBoxHeader(fragment, 0).sizeBytes)
  return findBoxes(moof.subarray(HEADER_BYTES), 'mfhd')[0]?.readUInt32BE(4) ?? 0
}

/** One fragment of these samples. */
export function writeFragment(sequence: number, runs: readonly RunToWrite[]): Buffer {
  const mfhd = box('mfhd', words(0, sequence))
  const headBytes = HEADER_BYTES + mfhd.length + runs.reduce((sum, run) => sum + trafBytes(run), 0)
  let dataAt = headBytes + HEADER_BYTES
  const trafs = runs.map(({ trackId, startUnits, samples }) => {
    const decodeTime = Buffer.alloc(12)
    decodeTime.writeUInt8(1)
    decodeTime.writeBigUInt64BE(BigInt(startUnits), 4)
    const entries = samples.flatMap(sample => [
      sample.durationUnits,
      sample.data.length,
      sample.flags,
      sample.compositionUnits,
    ])
    const trun = box('trun', words(0x01000000 | TRUN_FLAGS, samples.length, dataAt, ...entries))
    dataAt += samples.reduce((sum, { data }) => sum + data.length, 0)
    return box('traf', box('tfhd', words(BASE_IS_MOOF, trackId)), box('tfdt', decodeTime), trun)
  })
  const data = runs.flatMap(({ samples }) => samples.map(sample => sample.data))
  return Buffer.concat([box('moof', mfhd, ...trafs), box('mdat', ...data)])
}

function trafBytes({ samples }: RunToWrite): number {
  const tfhd = HEADER_BYTES + 8
  const tfdt = HEADER_BYTES + 12
  const trun = HEADER_BYTES + 12 + samples.length * 16
  return HEADER_BYTES + tfhd + tfdt + trun
}
