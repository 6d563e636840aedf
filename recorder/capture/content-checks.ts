// Whether a finished recording is what it should be: as long as it should, playable, and not the lobby, black or silent.
import { stat } from 'node:fs/promises'
import { listTopLevelBoxes } from './mp4-layout.ts'
import {
  listenToSound,
  lookAtPictures,
  type PictureFacts,
  SILENCE_DB,
  type SoundFacts,
} from './picture-and-sound.ts'
import { type MediaFacts, probeMedia, UnreadableMedia } from './probe-media.ts'

const LOOK_TIMEOUT_MS = 10 * 60_000
const DURATION_TOLERANCE_MS = 1_000
const DURATION_TOLERANCE_SHARE = 0.002
/** A page draws its first picture a moment late; more than this share is no moment. */
const BLACK_SHARE_ALLOWED = 0.1
const BLACK_ALLOWED_MS = 2_000
const SILENT_SHARE_ALLOWED = 0.98
const LOBBY_SHARE_ALLOWED = 0.05
const LOBBY_ALLOWED_MS = 5_000

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
  /** `maxVolumeDb` is null for digital silence and without a sound track. */
  silent: Check & { maxVolumeDb: number | null; silentMs: number }
  lobby: Check & { lobbyMs: number }
  /** Not judged: a call with all cameras off is still, too. */
  longestStillMs: number
}

export interface ContentExpectation {
  /** What the segments say the file must last. */
  expectedDurationMs: number
  /** How much of the recording was taken while the bot was not (yet) in the call, as the recorder saw it. */
  lobbyMs: number
  /** The longest the looking may take. Default 10 min; an hour of 720p takes about 8 s on two cores. */
  timeoutMs?: number
  signal?: AbortSignal
}

/**
 * Checks a finished file. A file that cannot be read gives failed checks, not an error; errors are only for a
 * missing ffmpeg, a time-out (`ChildProcessFailed`) and a file that is not there.
 */
export async function checkContent(file: string, expected: ContentExpectation): Promise<ContentChecks> {
  const facts = await probe(file)
  const options = {
    durationMs: facts?.durationMs ?? 0,
    timeoutMs: expected.timeoutMs ?? LOOK_TIMEOUT_MS,
    ...(expected.signal && { signal: expected.signal }),
  }
  const [picture, sound, cutOff] = await Promise.all([
    facts?.video ? lookAtPictures(file, options) : undefined,
    facts?.audio ? listenToSound(file, options) : undefined,
    isCutOff(file),
  ])
  const durationMs = facts?.durationMs ?? 0
  const checks = {
    duration: judgeDuration(durationMs, expected.expectedDurationMs),
    decodable: judgeDecoding(picture, sound, cutOff),
    black: judgeBlack(picture?.blackMs ?? durationMs, durationMs),
    silent: judgeSilence(sound ?? { maxVolumeDb: null, silentMs: durationMs }, durationMs),
    lobby: judgeLobby(expected.lobbyMs, durationMs),
  }
  const passed = Object.values(checks).every(({ ok }) => ok)
  return { passed, ...checks, longestStillMs: Math.round(picture?.longestStillMs ?? 0) }
}

async function probe(file: string): Promise<MediaFacts | undefined> {
  try {
    return await probeMedia(file)
  } catch (error) {
    if (error instanceof UnreadableMedia && error.reason === 'not-media') return undefined
    throw error
  }
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
    sentence: faults.join('; ') || 'all key frames and all of the sound decode',
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

function judgeSilence({ maxVolumeDb, silentMs }: Omit<SoundFacts, 'complaints'>, durationMs: number) {
  const ok =
    maxVolumeDb !== null && maxVolumeDb >= SILENCE_DB && silentMs <= durationMs * SILENT_SHARE_ALLOWED
  const peak = maxVolumeDb === null ? 'there is no sound at all' : `its peak is ${maxVolumeDb} dB`
  return { ok, sentence: `${peak}, ${inSeconds(silentMs)} are silent`, maxVolumeDb, silentMs }
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
