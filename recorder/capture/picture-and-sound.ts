// Looks at pictures and listens to sound of a finished file: evenly spread samples, a bounded number whatever its length.
import { open } from 'node:fs/promises'
import { type ChildOptions, describeExit, startChild } from './child-process.ts'
import { openAdts, openAnnexB, UnknownEncoding } from './elementary-streams.ts'
import { feedChild } from './feed-child.ts'
import type { SampleTable } from './sample-tables.ts'

/** Speech in a call peaks between -30 and 0 dB; what stays under this is a capture without sound. */
export const SILENCE_DB = -60
const SILENCE_LEVEL = 32_768 * 10 ** (SILENCE_DB / 20)

const MOST_PICTURES = 240
const PICTURE = { width: 160, height: 90 }
const PICTURE_BYTES = PICTURE.width * PICTURE.height
/** Luma up to here is black (16 is black in what encoders write, Meet's darkest page is 32). */
const BLACK_LUMA = 29
const BLACK_SHARE = 0.98
/** Average difference of luma, of 255, that is no change: noise of an encoder. */
const STILL_DIFFERENCE = 0.255

/** Up to this all of the sound is listened to; of longer files windows are. */
const LISTEN_TO_ALL_MS = 240_000
const WINDOW_MS = 4_000
const MOST_WINDOWS = 45
/** A frame of sound needs the one before it to be decoded right. */
const LEAD_IN_FRAMES = 2

/** Somebody who is seen speaking for less than this may have coughed with the microphone off. */
const SPEECH_AT_LEAST_MS = 2_000

/** A stretch of file time. */
export interface Stretch {
  fromMs: number
  toMs: number
}

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

export interface SoundFacts {
  /** Peak of what was listened to; null for digital silence. */
  maxVolumeDb: number | null
  /** How much of the file is silent, estimated from what was listened to. */
  silentMs: number
  listenedMs: number
  /** How much of the time in which somebody was seen speaking was listened to … */
  speechHeardMs: number
  /** … and how much of that belongs to speech of which nothing at all was heard. */
  speechSilentMs: number
  complaints: string
}

export interface LookOptions {
  timeoutMs: number
  signal?: AbortSignal
}

/** Decodes some of the key frames. Blurring edges between blocks is skipped: it costs a third and changes no verdict. */
export async function lookAtPictures(
  file: string,
  table: SampleTable,
  options: LookOptions,
): Promise<PictureFacts> {
  const keys = spread(table.keySamples(), MOST_PICTURES)
  const judge = judgePictures()
  const decoded = await decode(file, table, keys, options, () => ({
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

/**
 * Decodes the sound: all of a short file, windows of a longer one, the first of them where somebody spoke. When every
 * window of a long file is silent, everything is listened to before that is said of it.
 */
export async function listenToSound(
  file: string,
  table: SampleTable,
  speech: readonly Stretch[],
  options: LookOptions,
): Promise<SoundFacts> {
  const spoken = mergeStretches(speech)
  const windows = table.durationMs <= LISTEN_TO_ALL_MS ? undefined : chooseWindows(table.durationMs, spoken)
  const facts = await listen(file, table, spoken, windows, options)
  const suspicious = facts.maxVolumeDb === null || facts.maxVolumeDb < SILENCE_DB
  return windows && suspicious && facts.complaints === ''
    ? await listen(file, table, spoken, undefined, options)
    : facts
}

/** Sorted, and one where they touch or nearly do: people breathe. */
function mergeStretches(stretches: readonly Stretch[], apartMs = 500): Stretch[] {
  const merged: Stretch[] = []
  for (const stretch of [...stretches].sort((one, other) => one.fromMs - other.fromMs)) {
    const last = merged.at(-1)
    if (last && stretch.fromMs <= last.toMs + apartMs) last.toMs = Math.max(last.toMs, stretch.toMs)
    else merged.push({ ...stretch })
  }
  return merged
}

function chooseWindows(durationMs: number, speech: readonly Stretch[]): Stretch[] {
  const windowAt = (fromMs: number) => ({ fromMs, toMs: fromMs + WINDOW_MS })
  const everywhere = Array.from({ length: MOST_WINDOWS }, (_, index) =>
    windowAt((index * (durationMs - WINDOW_MS)) / (MOST_WINDOWS - 1)),
  )
  const spoken = spread(speech, Math.floor(MOST_WINDOWS / 3)).map(({ fromMs }) => windowAt(fromMs))
  return mergeStretches([...everywhere, ...spoken], 0)
}

async function listen(
  file: string,
  table: SampleTable,
  speech: readonly Stretch[],
  windows: readonly Stretch[] | undefined,
  options: LookOptions,
): Promise<SoundFacts> {
  const chosen = samplesWithin(table, windows)
  const ear = judgeSound(table, chosen, speech)
  const { complaints } = await decode(file, table, chosen.samples, options, () => {
    const { frame, channels } = openAdts(table.description)
    ear.channels = channels
    return {
      frame,
      input: ['-f', 'aac'],
      output: ['-f', 's16le', '-c:a', 'pcm_s16le'],
      read: ear.read,
    }
  })
  return { ...ear.facts(), complaints }
}

interface ChosenSamples {
  samples: number[]
  /** Samples that are only decoded so that the next one is right. */
  leadIns: Set<number>
}

function samplesWithin(table: SampleTable, windows: readonly Stretch[] | undefined): ChosenSamples {
  if (windows === undefined)
    return { samples: Array.from({ length: table.samples }, (_, sample) => sample), leadIns: new Set() }
  const samples: number[] = []
  const leadIns = new Set<number>()
  let sample = 0
  for (const { fromMs, toMs } of windows) {
    while (sample < table.samples && table.timeMs(sample) < fromMs) sample++
    for (let lead = 0; lead < LEAD_IN_FRAMES; lead++) leadIns.add(sample + lead)
    for (; sample < table.samples && table.timeMs(sample) < toMs; sample++) samples.push(sample)
  }
  return { samples, leadIns }
}

const AAC_FRAME = 1024

/** Measures each decoded frame: the decoder gives as many as it was given, in their order. */
function judgeSound(table: SampleTable, { samples, leadIns }: ChosenSamples, speech: readonly Stretch[]) {
  let peak = 0
  let framePeak = 0
  let valuesInFrame = 0
  let frame = 0
  let odd: Buffer = Buffer.alloc(0)
  const heard = { listenedMs: 0, silentMs: 0 }
  const spoken = speech.map(() => ({ heardMs: 0, silentMs: 0 }))
  const ear = { channels: 2, read, facts }

  function endFrame() {
    const sample = samples[frame++]
    if (sample !== undefined && !leadIns.has(sample)) {
      const lastsMs = table.lastsMs(sample)
      const silent = framePeak < SILENCE_LEVEL
      heard.listenedMs += lastsMs
      if (silent) heard.silentMs += lastsMs
      const during = spoken[indexAt(speech, table.timeMs(sample))]
      if (during) during.heardMs += lastsMs
      if (during && silent) during.silentMs += lastsMs
      peak = Math.max(peak, framePeak)
    }
    framePeak = 0
    valuesInFrame = 0
  }
  function read(piece: Buffer) {
    const bytes = odd.length === 0 ? piece : Buffer.concat([odd, piece])
    const valuesPerFrame = AAC_FRAME * ear.channels
    let at = 0
    for (; at + 2 <= bytes.length; at += 2) {
      const low = bytes[at] as number
      const high = bytes[at + 1] as number
      const value = Math.abs(((high << 24) >> 16) | low)
      if (value > framePeak) framePeak = value
      if (++valuesInFrame === valuesPerFrame) endFrame()
    }
    odd = Buffer.from(bytes.subarray(at))
  }
  function facts(): Omit<SoundFacts, 'complaints'> {
    const silentShare = heard.listenedMs === 0 ? 1 : heard.silentMs / heard.listenedMs
    return {
      maxVolumeDb: peak === 0 ? null : Math.round(200 * Math.log10(peak / 32_768)) / 10,
      silentMs: Math.round(silentShare * table.durationMs),
      listenedMs: Math.round(heard.listenedMs),
      speechHeardMs: Math.round(spoken.reduce((sum, { heardMs }) => sum + heardMs, 0)),
      speechSilentMs: Math.round(
        spoken
          .filter(({ heardMs, silentMs }) => heardMs >= SPEECH_AT_LEAST_MS && silentMs >= heardMs)
          .reduce((sum, { heardMs }) => sum + heardMs, 0),
      ),
    }
  }
  return ear
}

/** Which of these holds this time; -1 when none does. */
function indexAt(stretches: readonly Stretch[], timeMs: number): number {
  return stretches.findIndex(({ fromMs, toMs }) => timeMs >= fromMs && timeMs < toMs)
}

/** At most `most` of these, evenly spread, the first and the last among them. */
function spread<T>(all: ArrayLike<T>, most: number): T[] {
  const count = Math.min(all.length, most)
  const step = count < 2 ? 0 : (all.length - 1) / (count - 1)
  return Array.from({ length: count }, (_, index) => all[Math.round(index * step)] as T)
}

interface Decoder {
  frame: (sample: Buffer) => Buffer
  input: string[]
  output: string[]
  read: (decoded: Buffer) => void
}

/** Samples of a file through ffmpeg, in their order. What goes wrong with the media is a complaint, not an error. */
async function decode(
  file: string,
  table: SampleTable,
  samples: readonly number[],
  { timeoutMs, signal }: LookOptions,
  open: () => Decoder,
): Promise<{ complaints: string }> {
  let decoder: Decoder
  try {
    decoder = open()
  } catch (error) {
    if (error instanceof UnknownEncoding || error instanceof RangeError) return { complaints: error.message }
    throw error
  }
  const options: ChildOptions = {
    name: `ffmpeg (${table.kind})`,
    stdin: 'pipe',
    timeoutMs,
    ...(signal && { signal }),
  }
  // Threads of their own hold pictures of their own.
  const args = ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+error', '-threads', '1']
  await using child = startChild(
    'ffmpeg',
    [...args, ...decoder.input, '-i', 'pipe:0', ...decoder.output, 'pipe:1'],
    options,
  )
  if (child.stdin === null) throw new Error('ffmpeg runs without standard input')
  const fed = feedChild(readSamples(file, table, samples, decoder.frame), child.stdin, child.exit)
  const [outcome] = await Promise.allSettled([fed, drain(child.stdout, decoder.read)])
  if (outcome.status === 'rejected') throw outcome.reason
  const exit = await child.exit
  if (exit.reason !== 'exited') throw new Error(describeExit('ffmpeg', exit))
  const complaints = exit.stderrTail
    .split('\n')
    .filter(line => /\[(error|fatal|panic)\]/.test(line))
    .join('\n')
  return { complaints: complaints || (exit.code === 0 ? '' : describeExit('ffmpeg', exit)) }
}

async function drain(stream: AsyncIterable<unknown>, read: (piece: Buffer) => void): Promise<void> {
  for await (const piece of stream) read(piece as Buffer)
}

const BATCH_BYTES = 256 * 1024

/** Reads samples, those that lie behind one another in one go. */
async function* readSamples(
  file: string,
  table: SampleTable,
  samples: readonly number[],
  frame: (sample: Buffer) => Buffer,
): AsyncGenerator<Buffer> {
  await using handle = await open(file, 'r')
  let frames: Buffer[] = []
  let heldBytes = 0
  for (let at = 0; at < samples.length; ) {
    const from = table.offsetBytes(samples[at] as number)
    let end = from
    const sizes: number[] = []
    for (; at < samples.length && end - from < BATCH_BYTES; at++) {
      const sample = samples[at] as number
      if (table.offsetBytes(sample) !== end) break
      sizes.push(table.sizeBytes(sample))
      end += table.sizeBytes(sample)
    }
    const bytes = Buffer.alloc(end - from)
    // What lies past the end of a file that was cut off stays zeros, and the decoder complains.
    await handle.read(bytes, 0, bytes.length, from)
    let start = 0
    for (const size of sizes) {
      frames.push(frame(bytes.subarray(start, start + size)))
      start += size
      heldBytes += size
    }
    if (heldBytes >= BATCH_BYTES) {
      yield Buffer.concat(frames)
      frames = []
      heldBytes = 0
    }
  }
  if (frames.length > 0) yield Buffer.concat(frames)
}
