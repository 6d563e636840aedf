// Looks at the pictures of a finished file: evenly spread key frames, a bounded number whatever its length.
import { decodeSamples, type LookOptions, spread } from './decode-samples.ts'
import { openAnnexB } from './elementary-streams.ts'
import type { SampleTable } from './sample-tables.ts'

const MOST_PICTURES = 240
const PICTURE = { width: 160, height: 90 }
const PICTURE_BYTES = PICTURE.width * PICTURE.height
/** Luma up to here is black (16 is black in what encoders write, Meet's darkest page is 32). */
const BLACK_LUMA = 29
const BLACK_SHARE = 0.98
/** Average difference of luma, of 255, that is no change: noise of an encoder. */
const STILL_DIFFERENCE = 0.255

export interface PictureFacts {
  /** Key frames looked at. */
  pictures: number
  /** Time during which the picture is black, to the nearest picture looked at. */
  blackMs: number
  /** The longest time in which nothing changes between the pictures looked at. */
  longestStillMs: number
  /** No two of the pictures differ. */
  neverChanges: boolean
  /** What the decoder complained about; empty when all is well. */
  complaints: string
}

/** Decodes some of the key frames. Blurring edges between blocks is skipped: it costs a third and changes no verdict. */
export async function lookAtPictures(
  file: string,
  table: SampleTable,
  options: LookOptions,
): Promise<PictureFacts> {
  const keys = spread(table.keySamples(), MOST_PICTURES)
  const judge = judgePictures()
  const decoded = await decodeSamples(file, table, keys, options, () => ({
    frame: openAnnexB(table.description),
    input: ['-skip_loop_filter', 'all', '-f', 'h264', '-r', '25'],
    output: [
      ...['-vf', `scale=${PICTURE.width}:${PICTURE.height}:flags=fast_bilinear,format=gray`],
      ...['-fps_mode', 'passthrough', '-f', 'rawvideo'],
    ],
    read: judge.read,
  }))
  const complaints =
    decoded.complaints ||
    (judge.facts.length < keys.length
      ? `${keys.length - judge.facts.length} of ${keys.length} pictures were not decoded`
      : '')
  const times = keys.map(key => table.timeMs(key))
  return { ...sumPictures(judge.facts, times, table.durationMs), complaints }
}

interface OnePicture {
  black: boolean
  /** Like the one before it. */
  still: boolean
}

/** Cuts what the decoder prints into pictures, and compares each with the one before. */
function judgePictures() {
  const facts: OnePicture[] = []
  let before: Buffer | undefined
  let held: Buffer = Buffer.alloc(0)
  const look = (picture: Buffer) => {
    let dark = 0
    let difference = 0
    for (let at = 0; at < PICTURE_BYTES; at++) {
      const luma = picture[at] ?? 0
      if (luma <= BLACK_LUMA) dark++
      difference += Math.abs(luma - (before?.[at] ?? 0))
    }
    facts.push({
      black: dark >= PICTURE_BYTES * BLACK_SHARE,
      still: before !== undefined && difference <= PICTURE_BYTES * STILL_DIFFERENCE,
    })
    before = Buffer.from(picture)
  }
  const read = (piece: Buffer) => {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    for (; held.length >= PICTURE_BYTES; held = held.subarray(PICTURE_BYTES))
      look(held.subarray(0, PICTURE_BYTES))
  }
  return { facts, read }
}

function sumPictures(facts: readonly OnePicture[], times: readonly number[], durationMs: number) {
  let blackMs = 0
  let longestStillMs = 0
  let stillSinceMs = 0
  for (const [index, { black, still }] of facts.entries()) {
    const fromMs = times[index] ?? 0
    const toMs = times[index + 1] ?? durationMs
    if (black) blackMs += toMs - fromMs
    if (!still) stillSinceMs = fromMs
    longestStillMs = Math.max(longestStillMs, toMs - stillSinceMs)
  }
  return {
    pictures: facts.length,
    blackMs: Math.round(blackMs),
    longestStillMs: Math.round(longestStillMs),
    neverChanges: facts.length > 1 && facts.slice(1).every(({ still }) => still),
  }
}
