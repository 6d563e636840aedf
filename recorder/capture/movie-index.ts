// The index (`moov`) of a plain MP4 (ISO/IEC 14496-12 §8.2 to §8.7).
import { BadFragmentedMp4, findBoxes, HEADER_BYTES, listBoxes, type Track } from './mp4-boxes.ts'
import { type Chapter, chapterList } from './mp4-chapters.ts'
import type { TrackIndex } from './track-index.ts'
import { box, words } from './write-box.ts'

const LARGEST_WORD = 2 ** 32 - 1
const NO_MEDIA = -1
/** `matrix`, `width` and `height`, and what stands before them, behind the duration of a `tkhd`. */
const TKHD_TAIL_BYTES = 60
/** From the rate to the number of the next track, behind the duration of an `mvhd`. */
const MVHD_TAIL_BYTES = 80
/** The language behind the duration of an `mdhd`. */
const MDHD_TAIL_BYTES = 4

/** Boxes of the init piece that the index takes over. */
interface Originals {
  mvhd: Buffer
  traks: readonly Buffer[]
}

/**
 * The index of these tracks. Times are in the units of the pictures, so that a track that begins later does so to the unit.
 * @param init the init piece (ftyp + moov) whose tracks they are; what a track looks and sounds like is taken from it
 * @param laterBytes how much later in the file the media lie than the tracks were told
 */
export function movieIndex(
  init: Buffer,
  tracks: readonly TrackIndex[],
  chapters: readonly Chapter[],
  laterBytes: number,
): Buffer {
  const originals = originalsOf(init)
  const filled = tracks.filter(({ samples }) => samples > 0)
  const timescale = filled.find(({ track }) => track.kind === 'video')?.track.timescale ?? 1000
  const laid = filled.map(index => ({ index, ...editsOf(index, timescale) }))
  const duration = Math.max(0, ...laid.map(({ duration }) => duration))
  return box(
    'moov',
    timedBox('mvhd', [timescale], duration, originals.mvhd.subarray(-MVHD_TAIL_BYTES)),
    ...laid.map(one => trackBox(one, originals, laterBytes)),
    ...(chapters.length === 0 ? [] : [box('udta', chapterList(chapters))]),
  )
}

function originalsOf(init: Buffer): Originals {
  const moov = listBoxes(init)
    .find(({ type }) => type === 'moov')
    ?.bytes.subarray(HEADER_BYTES)
  const mvhd = moov && findBoxes(moov, 'mvhd')[0]
  if (!mvhd) throw new BadFragmentedMp4('bad-box', 'the init piece has no mvhd')
  return { mvhd, traks: findBoxes(moov, 'trak') }
}

interface Edits {
  /** How long the track is shown, its later beginning included, in units of the movie. */
  duration: number
  /** `elst`, where the track does not simply begin at 0 with its first sample. */
  elst: Buffer | undefined
}

/** When the track begins: an empty edit delays it, what is cut off at its head is skipped. */
function editsOf(
  { track, startUnits, startCompositionUnits, shownUnits }: TrackIndex,
  timescale: number,
): Edits {
  const toMovie = (units: number) => Math.round((units * timescale) / track.timescale)
  const beginsUnits = startUnits + Math.round((track.editMs * track.timescale) / 1000)
  const delay = toMovie(Math.max(0, beginsUnits + startCompositionUnits))
  const skipUnits = Math.max(startCompositionUnits, -beginsUnits)
  const shown = toMovie(shownUnits - skipUnits)
  const entries = [
    ...(delay > 0 ? [{ lasts: delay, from: NO_MEDIA }] : []),
    { lasts: shown, from: skipUnits },
  ]
  const plain = delay === 0 && skipUnits === 0
  return { duration: delay + shown, elst: plain ? undefined : editList(entries) }
}

function editList(entries: readonly { lasts: number; from: number }[]): Buffer {
  const wide = entries.some(({ lasts, from }) => lasts > LARGEST_WORD || from > LARGEST_WORD / 2)
  const rows = entries.map(({ lasts, from }) =>
    Buffer.concat([
      wide ? doubleWord(lasts) : words(lasts),
      wide ? doubleWord(from) : words(from),
      words(0x10000),
    ]),
  )
  return box('elst', words(wide ? 0x01000000 : 0, entries.length), ...rows)
}

function trackBox(
  { index, duration, elst }: Edits & { index: TrackIndex },
  { traks }: Originals,
  laterBytes: number,
) {
  const { track, durationUnits } = index
  const trak = traks.find(one => idOf(one) === track.id)
  const part = (...path: string[]) => {
    const found = trak && findBoxes(trak, ...path)[0]
    if (!found) throw new BadFragmentedMp4('bad-box', `a trak box lacks ${path.join('/')}`)
    return found
  }
  const header = part('tkhd')
  const look = track.kind === 'video' ? 'vmhd' : 'smhd'
  return box(
    'trak',
    timedBox('tkhd', [track.id, 0], duration, header.subarray(-TKHD_TAIL_BYTES), header.readUIntBE(1, 3)),
    ...(elst ? [box('edts', elst)] : []),
    box(
      'mdia',
      timedBox('mdhd', [track.timescale], durationUnits, part('mdia', 'mdhd').subarray(-MDHD_TAIL_BYTES)),
      box('hdlr', part('mdia', 'hdlr')),
      box(
        'minf',
        box(look, part('mdia', 'minf', look)),
        box('dinf', part('mdia', 'minf', 'dinf')),
        index.close(laterBytes),
      ),
    ),
  )
}

function idOf(trak: Buffer): Track['id'] | undefined {
  const header = findBoxes(trak, 'tkhd')[0]
  return header?.readUInt32BE(header[0] === 1 ? 20 : 12)
}

/** A box that begins with times: made and changed (unknown: 0), `between`, the duration, and the rest. */
function timedBox(
  type: string,
  between: readonly number[],
  duration: number,
  tail: Buffer,
  flags = 0,
): Buffer {
  const wide = duration > LARGEST_WORD
  return wide
    ? box(type, words(0x01000000 | flags, 0, 0, 0, 0, ...between), doubleWord(duration), tail)
    : box(type, words(flags, 0, 0, ...between, duration), tail)
}

function doubleWord(number: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(number))
  return bytes
}
