// Listens to the sound of a finished file: all of a short one, windows of a longer one.
import { decodeSamples, type LookOptions, spread } from './decode-samples.ts'
import { openAdts } from './elementary-streams.ts'
import type { SampleTable } from './sample-tables.ts'

/** Speech in a call peaks between -30 and 0 dB; what stays under this is a capture without sound. */
export const SILENCE_DB = -60
const SILENCE_LEVEL = 32_768 * 10 ** (SILENCE_DB / 20)

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
  const { complaints } = await decodeSamples(file, table, chosen.samples, options, () => {
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
