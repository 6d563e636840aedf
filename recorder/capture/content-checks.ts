// Whether a finished recording is what it should be: as long as it should, playable, with picture and sound side by
// side, and not the lobby, black, frozen or silent.
import { stat } from 'node:fs/promises'
import { listenToSound, SILENCE_DB, type SoundFacts, type Stretch } from './listen-to-sound.ts'
import { lookAtPictures, type PictureFacts } from './look-at-pictures.ts'
import { listTopLevelBoxes } from './mp4-layout.ts'
import { readSampleTables, type SampleTable } from './sample-tables.ts'

const LOOK_TIMEOUT_MS = 10 * 60_000
const DURATION_TOLERANCE_MS = 1_000
const DURATION_TOLERANCE_SHARE = 0.002
/** A page draws its first picture a moment late; more than this share is no moment. */
const BLACK_SHARE_ALLOWED = 0.1
const BLACK_ALLOWED_MS = 2_000
const SILENT_SHARE_ALLOWED = 0.98
const LOBBY_SHARE_ALLOWED = 0.05
const LOBBY_ALLOWED_MS = 5_000
/** A shorter call may well be one still slide or all cameras off. */
const FROZEN_AT_LEAST_MS = 60_000
const SPEECH_SILENT_ALLOWED_MS = 5_000
/** Sound that is missing: at the end against the picture, or within. */
const SOUND_MISSING_ALLOWED_MS = 200
/** A page on which nothing moves draws a picture a second or so: the last one stands until the sound ends. */
const PICTURE_MISSING_ALLOWED_MS = 1500

export type { Stretch } from './listen-to-sound.ts'

/** One verdict, with a sentence for a person. */
export interface Check {
  ok: boolean
  sentence: string
}

export interface ContentChecks {
  /** All of them hold. */
  passed: boolean
  duration: Check & { durationMs: number; expectedMs: number }
  /** Complete, with picture and sound, and the decoder has no complaint. */
  decodable: Check
  black: Check & { blackMs: number }
  /** A slide or cameras that are off are still too: fails only when nothing ever changes in a call of over a minute. */
  frozen: Check & { longestStillMs: number; pictures: number }
  /** `maxVolumeDb` is null for digital silence and without a sound track. */
  silent: Check & { maxVolumeDb: number | null; silentMs: number; listenedMs: number }
  /** Nothing is heard while somebody was seen speaking. */
  speech: Check & { speechHeardMs: number; speechSilentMs: number }
  /** Sound against picture: how far the lengths of the two tracks are apart, over all and in the worst attempt. */
  tracks: Check & { apartMs: number; worstApartMs: number }
  lobby: Check & { lobbyMs: number }
}

export interface ContentExpectation {
  /** What the segments say the file must last. */
  expectedDurationMs: number
  /** How much of the recording was taken while the bot was not (yet) in the call, as the recorder saw it. */
  lobbyMs: number
  /** When somebody was seen speaking, in file time. */
  speech?: readonly Stretch[]
  /** Where the attempts lie in the file. Default: one attempt. */
  pieces?: readonly Stretch[]
  /** The longest the looking may take. Default 10 min; a file of any length takes about 2 s on two cores. */
  timeoutMs?: number
  signal?: AbortSignal
}

/**
 * Checks a finished file (a plain MP4 with H.264 and AAC) by a bounded number of its pictures and sounds. A file that
 * cannot be read gives failed checks, not an error; errors are only for a missing ffmpeg, a time-out and a file that is
 * not there.
 */
export async function checkContent(file: string, expected: ContentExpectation): Promise<ContentChecks> {
  const { speech = [] } = expected
  const [cutOff, tables] = await Promise.all([isCutOff(file), readSampleTables(file)])
  const [video, audio] = [tableOf(tables, 'video'), tableOf(tables, 'audio')]
  const options = {
    timeoutMs: expected.timeoutMs ?? LOOK_TIMEOUT_MS,
    ...(expected.signal && { signal: expected.signal }),
  }
  // One after the other: two decoders at once would be most of the memory that finishing takes.
  const picture = video && (await lookAtPictures(file, video, options))
  const sound = audio && (await listenToSound(file, audio, speech, options))
  const durationMs = Math.round(Math.max(video?.durationMs ?? 0, audio?.durationMs ?? 0))
  const pieces = expected.pieces ?? [{ fromMs: 0, toMs: durationMs }]
  const checks = {
    duration: judgeDuration(durationMs, expected.expectedDurationMs),
    decodable: judgeDecoding(picture, sound, cutOff),
    black: judgeBlack(picture?.blackMs ?? durationMs, durationMs),
    frozen: judgeFrozen(picture, durationMs),
    silent: judgeSilence(sound, durationMs),
    speech: judgeSpeech(sound),
    tracks: judgeTracks(video, audio, pieces),
    lobby: judgeLobby(expected.lobbyMs, durationMs),
  }
  return { passed: Object.values(checks).every(({ ok }) => ok), ...checks }
}

function tableOf(tables: readonly SampleTable[], kind: SampleTable['kind']): SampleTable | undefined {
  return tables.find(table => table.kind === kind && table.samples > 0)
}

async function isCutOff(file: string): Promise<boolean> {
  const [boxes, { size }] = await Promise.all([listTopLevelBoxes(file), stat(file)])
  const last = boxes.at(-1)
  return last === undefined || last.startBytes + last.sizeBytes !== size
}

function judgeDuration(durationMs: number, expectedMs: number) {
  const tolerance = Math.max(DURATION_TOLERANCE_MS, expectedMs * DURATION_TOLERANCE_SHARE)
  const ok = durationMs > 0 && Math.abs(durationMs - expectedMs) <= tolerance
  const sentence = `it lasts ${inSeconds(durationMs)}, its segments add up to ${inSeconds(expectedMs)}`
  return { ok, sentence, durationMs, expectedMs }
}

function judgeDecoding(
  picture: PictureFacts | undefined,
  sound: SoundFacts | undefined,
  cutOff: boolean,
): Check {
  const faults = [
    cutOff && 'the file is cut off or is no MP4',
    picture === undefined && 'there is no picture',
    sound === undefined && 'there is no sound track',
    picture?.complaints && `the picture does not decode: ${firstLine(picture.complaints)}`,
    sound?.complaints && `the sound does not decode: ${firstLine(sound.complaints)}`,
  ].filter(fault => typeof fault === 'string' && fault !== '')
  return {
    ok: faults.length === 0,
    sentence: faults.join('; ') || 'picture and sound decode wherever they were looked at',
  }
}

function judgeBlack(blackMs: number, durationMs: number) {
  const ok = durationMs > 0 && blackMs <= Math.max(BLACK_ALLOWED_MS, durationMs * BLACK_SHARE_ALLOWED)
  return {
    ok: ok && blackMs < durationMs,
    sentence: `the picture is black for ${inSeconds(blackMs)}`,
    blackMs,
  }
}

function judgeFrozen(picture: PictureFacts | undefined, durationMs: number) {
  const { longestStillMs = durationMs, pictures = 0, neverChanges = false } = picture ?? {}
  const ok = !neverChanges || durationMs <= FROZEN_AT_LEAST_MS
  const sentence = neverChanges
    ? `the picture never changes in ${inSeconds(durationMs)}`
    : `the longest time without a change is about ${inSeconds(longestStillMs)}`
  return { ok, sentence, longestStillMs, pictures }
}

function judgeSilence(sound: SoundFacts | undefined, durationMs: number) {
  const { maxVolumeDb = null, silentMs = durationMs, listenedMs = 0 } = sound ?? {}
  const ok =
    maxVolumeDb !== null && maxVolumeDb >= SILENCE_DB && silentMs <= durationMs * SILENT_SHARE_ALLOWED
  const peak = maxVolumeDb === null ? 'there is no sound at all' : `its peak is ${maxVolumeDb} dB`
  const sentence = `${peak}, about ${inSeconds(silentMs)} are silent`
  return { ok, sentence, maxVolumeDb, silentMs, listenedMs }
}

function judgeSpeech(sound: SoundFacts | undefined) {
  const { speechHeardMs = 0, speechSilentMs = 0 } = sound ?? {}
  const sentence =
    speechHeardMs === 0
      ? 'nobody was seen speaking'
      : `of ${inSeconds(speechHeardMs)} in which somebody was seen speaking, nothing is heard in ${inSeconds(speechSilentMs)}`
  return { ok: speechSilentMs < SPEECH_SILENT_ALLOWED_MS, sentence, speechHeardMs, speechSilentMs }
}

/**
 * The picture of a call may stand still, its sound never stops: where a sample of sound is stretched the sound of an
 * attempt is shorter than its picture, and a shorter track as a whole is an attempt cut off or a drift.
 */
function judgeTracks(
  video: SampleTable | undefined,
  audio: SampleTable | undefined,
  pieces: readonly Stretch[],
) {
  if (video === undefined || audio === undefined)
    return { ok: false, sentence: 'a track is missing', apartMs: 0, worstApartMs: 0 }
  const pictureLongerMs = Math.round(video.durationMs - audio.durationMs)
  const apartMs = Math.abs(pictureLongerMs)
  const missing = pieces.map(() => 0)
  const frameMs = audio.samples > 1 ? medianLengthMs(audio) : 0
  for (let sample = 0; sample < audio.samples - 1; sample++) {
    const extraMs = audio.lastsMs(sample) - frameMs
    if (extraMs <= frameMs) continue
    const piece = pieces.findIndex(({ toMs }) => audio.timeMs(sample) < toMs)
    if (piece !== -1) missing[piece] = (missing[piece] ?? 0) + extraMs
  }
  const soundMissingMs = Math.round(Math.max(pictureLongerMs, ...missing))
  const worstApartMs = Math.max(apartMs, soundMissingMs)
  return {
    ok: soundMissingMs <= SOUND_MISSING_ALLOWED_MS && -pictureLongerMs <= PICTURE_MISSING_ALLOWED_MS,
    sentence: `picture and sound differ by ${apartMs} ms over all, by ${worstApartMs} ms in the worst attempt`,
    apartMs,
    worstApartMs,
  }
}

function medianLengthMs(table: SampleTable): number {
  const lengths = [1, 2, 3, 4, 5].map(part => table.lastsMs(Math.floor((table.samples * part) / 6)))
  return lengths.sort((one, other) => one - other)[2] ?? 0
}

function judgeLobby(lobbyMs: number, durationMs: number) {
  const ok = durationMs > 0 && lobbyMs <= Math.max(LOBBY_ALLOWED_MS, durationMs * LOBBY_SHARE_ALLOWED)
  return { ok: ok && lobbyMs < durationMs, sentence: `${inSeconds(lobbyMs)} were outside the call`, lobbyMs }
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}
