// Looks at the pictures and listens to the sound of a whole file, fast: key frames only, sound in full.
import { type ChildExit, ChildProcessFailed, describeExit, runChild } from './child-process.ts'

/** Speech in a call peaks between -30 and 0 dB; what stays under this is a capture without sound. */
export const SILENCE_DB = -60
const SILENCE_AT_LEAST_SECONDS = 2

export interface PictureFacts {
  /** Time during which the picture is black, to the nearest key frame. */
  blackMs: number
  /** The longest time in which nothing in the picture changes. Cameras off and nobody speaking look like this too. */
  longestStillMs: number
  /** What the decoder complained about; empty when all is well. */
  complaints: string
}

export interface SoundFacts {
  /** Peak over the whole file; null for digital silence. */
  maxVolumeDb: number | null
  /** Sum of all stretches of at least 2 s under `SILENCE_DB`. */
  silentMs: number
  complaints: string
}

export interface LookOptions {
  durationMs: number
  timeoutMs: number
  signal?: AbortSignal
}

const START = ['-hide_banner', '-nostdin', '-nostats']

/** Decodes the key frames. Blurring edges between blocks is skipped: it costs a third and changes no verdict. */
export async function lookAtPictures(file: string, options: LookOptions): Promise<PictureFacts> {
  const { stdout, complaints } = await runFfmpeg('ffmpeg (pictures)', options, [
    ...['-loglevel', 'level+error', '-skip_frame', 'nokey', '-discard', 'nokey', '-skip_loop_filter', 'all'],
    // In the file's own time base: a coarser one calls pictures that are a tick apart out of order.
    ...['-i', `file:${file}`, '-map', '0:v:0', '-fps_mode', 'passthrough', '-enc_time_base:v', '-1', '-vf'],
    'scale=160:90:flags=fast_bilinear,blackdetect=d=0.1:pix_th=0.06,freezedetect=n=-60dB:d=4,metadata=print:file=-',
    ...['-f', 'null', '-'],
  ])
  const still = readStretches(stdout, 'freezedetect.freeze', options.durationMs)
  return {
    blackMs: sum(readStretches(stdout, 'black', options.durationMs)),
    longestStillMs: Math.max(0, ...still),
    complaints,
  }
}

/** Decodes all of the sound. A file without sound is silent from end to end. */
export async function listenToSound(file: string, options: LookOptions): Promise<SoundFacts> {
  const { stdout, stderrTail, complaints } = await runFfmpeg('ffmpeg (sound)', options, [
    ...['-loglevel', 'level+info', '-i', `file:${file}`, '-map', '0:a:0', '-af'],
    `silencedetect=noise=${SILENCE_DB}dB:d=${SILENCE_AT_LEAST_SECONDS},ametadata=print:file=-,volumedetect`,
    ...['-f', 'null', '-'],
  ])
  const peak = /max_volume: (-?[\d.]+|-?inf) dB/.exec(stderrTail)?.[1]
  return {
    maxVolumeDb: peak === undefined || peak.endsWith('inf') ? null : Number(peak),
    silentMs: sum(readStretches(stdout, 'silence', options.durationMs)),
    complaints,
  }
}

async function runFfmpeg(name: string, { timeoutMs, signal }: LookOptions, args: string[]) {
  try {
    const { stdout, stderrTail } = await runChild('ffmpeg', [...START, ...args], {
      name,
      timeoutMs,
      ...(signal && { signal }),
    })
    return { stdout, stderrTail, complaints: keepComplaints(stderrTail) }
  } catch (error) {
    if (!(error instanceof ChildProcessFailed) || error.reason !== 'exited') throw error
    return { stdout: '', stderrTail: '', complaints: describeFailure(name, error.exit) }
  }
}

function describeFailure(name: string, exit: ChildExit): string {
  return keepComplaints(exit.stderrTail) || describeExit(name, exit)
}

function keepComplaints(stderr: string): string {
  return stderr
    .split('\n')
    .filter(line => /\[(error|fatal|panic)\]/.test(line))
    .join('\n')
}

/** Lengths of the stretches a detector printed as `lavfi.<name>_start=s` and `lavfi.<name>_end=s`; an open one ends with the file. */
function readStretches(printed: string, name: string, durationMs: number): number[] {
  const lengths: number[] = []
  let startMs: number | undefined
  for (const line of printed.split('\n')) {
    const [key, value] = line.split('=')
    if (key === `lavfi.${name}_start`) startMs = Number(value) * 1000
    if (key === `lavfi.${name}_end` && startMs !== undefined) {
      lengths.push(Number(value) * 1000 - startMs)
      startMs = undefined
    }
  }
  if (startMs !== undefined) lengths.push(Math.max(0, durationMs - startMs))
  return lengths
}

function sum(lengthsMs: readonly number[]): number {
  return Math.round(lengthsMs.reduce((total, length) => total + length, 0))
}
