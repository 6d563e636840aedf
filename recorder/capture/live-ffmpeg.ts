// ffmpeg over a live capture: picture copied, sound to AAC, out as fragments. One that dies is replaced by another.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, type ChildExit, describeExit, startChild } from './child-process.ts'
import { AAC_PACKET_SAMPLES, continueFragments } from './continuation.ts'
import { feedChild } from './feed-child.ts'
import { type FragmentPiece, type InitPiece, readFragments } from './fragments.ts'
import { BadFragmentedMp4 } from './mp4-boxes.ts'
import { keepReplay, type ResumePoint } from './replay.ts'
import { watchSilence } from './watch-silence.ts'

/** After `stop()`: how long ffmpeg may take to hand out what it has … */
const FLUSH_TIMEOUT_MS = 10_000
/** … and how long the reader may take over one piece (it may be uploading it). */
const READER_TIMEOUT_MS = 120_000
/** A fragment at each key frame, and at least this often: what a killed recorder has not handed on. */
const FRAGMENT_MS = 500
const HUNG_MS = 10_000
/** What another ffmpeg gets again of what is handed on: its AAC encoder needs a run-up. */
const RUN_UP_MS = 250
const MOST_RESTARTS = 5
const RESTARTS_WITHIN_MS = 60_000
const RESTART_PAUSE_MS = 500

export interface LiveFfmpegSettings {
  /** Bits per second of the AAC sound. */
  audioBitrate: number
  /** Which ffmpeg. Default: the one in PATH. */
  ffmpegPath?: string
  /** An ffmpeg that is fed and gives nothing for so long is replaced, too. Default 10 s. */
  hungMs?: number
  /** Told when ffmpeg died and another one takes over. */
  onRestart?(restart: SegmenterRestart): void
}

export interface SegmenterRestart {
  /** How the one before ended, with its last words. */
  detail: string
  /** How many have been started anew so far. */
  restarts: number
}

export interface SegmenterFailure {
  reason: 'ffmpeg-ended' | 'unreadable-output' | 'source-failed'
  detail: string
}

export interface LiveFfmpeg {
  /** Init piece and fragments as if one ffmpeg had made them. Ends after the last one, also after a failure. */
  pieces: AsyncGenerator<InitPiece | FragmentPiece>
  /** Of the ffmpeg that runs now. */
  pid(): number | undefined
  /** Settles when it is given up, or the source broke. Stays pending for ever when all went well. */
  failed: Promise<SegmenterFailure>
  /** Closes what has come; everything up to the last frame still leaves through `pieces`. May be called twice. */
  stop(): Promise<void>
  /** Ends ffmpeg at once. */
  kill(): Promise<void>
}

/**
 * ffmpeg's command line for live segments (a pure value).
 * @param resume where the stream given to it begins; undefined for the beginning of the capture
 */
function liveArgs({ audioBitrate }: LiveFfmpegSettings, resume: ResumePoint | undefined): string[] {
  // Sound begins a few milliseconds before the first picture, which is shown from the start on: no offset to carry.
  const firstAtZero = ['-bsf:v', 'setts=ts=if(eq(N\\,0)\\,0\\,TS)']
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'warning'],
    // The header says all there is to know: no waiting to look at the first seconds.
    ...['-probesize', '1000000', '-analyzeduration', '0'],
    // The capture's own times are the media times, whichever ffmpeg of a capture this is.
    ...['-copyts', '-f', 'matroska', '-i', 'pipe:0', '-map', '0:v:0', '-map', '0:a:0'],
    ...['-c:v', 'copy', ...(resume === undefined ? firstAtZero : [])],
    ...['-c:a', 'aac', '-b:a', String(audioBitrate), '-ar', '48000', '-ac', '2'],
    ...['-af', soundFilter(resume)],
    // When the sound stops coming the picture does not wait for it.
    ...['-max_interleave_delta', '1000000'],
    ...['-f', 'mp4', '-movflags', '+frag_keyframe+empty_moov+default_base_moof+delay_moov+skip_trailer'],
    ...['-frag_duration', String(FRAGMENT_MS * 1000)],
    ...['-flush_packets', '1', 'pipe:1'],
  ]
}

/**
 * Holes in the sound become silence, so that what follows stays with its picture. `first_pts` counts in samples of the
 * filter's input; AAC packets of a later ffmpeg must lie where the first one's would.
 */
function soundFilter(resume: ResumePoint | undefined): string {
  if (resume === undefined) return 'aresample=async=1000:first_pts=0'
  const packet = Math.ceil(((resume.soundMs ?? resume.pictureMs) * 48) / AAC_PACKET_SAMPLES)
  return `aresample=48000,aresample=async=1000:first_pts=${packet * AAC_PACKET_SAMPLES}`
}

/** Starts ffmpeg on the chunks of a capture. */
export function startLiveFfmpeg(chunks: AsyncIterable<Buffer>, settings: LiveFfmpegSettings): LiveFfmpeg {
  const failed = Promise.withResolvers<SegmenterFailure>()
  const replay = keepReplay(chunks, error =>
    failed.resolve({ reason: 'source-failed', detail: String(error) }),
  )
  const continuation = continueFragments()
  let stopAsked = false
  let restarts = 0
  let restartedAtMs: number[] = []

  // Whose turn it is: ffmpeg's while its output is being waited for, else the reader's.
  let turn: 'ffmpeg' | 'reader' = 'reader'
  let turnSinceMs = performance.now()
  const give = (next: typeof turn) => {
    turn = next
    turnSinceMs = performance.now()
  }
  const hung = watchSilence(settings.hungMs ?? HUNG_MS, () => {
    if (turn === 'ffmpeg' && current.isFed()) current.child.kill()
  })
  let current = startRun(settings, undefined, replay.read())

  async function* readOutput(run: Run): AsyncGenerator<Buffer> {
    give('ffmpeg')
    for await (const piece of run.child.stdout as AsyncIterable<Buffer>) {
      run.gaveOutput()
      hung.sawSomething()
      give('reader')
      yield piece
      give('ffmpeg')
      hung.sawSomething()
    }
  }
  async function* readPieces(): AsyncGenerator<InitPiece | FragmentPiece> {
    hung.start()
    try {
      while (true) {
        for await (const piece of readFragments(readOutput(current))) {
          const handedOn = continuation.take(piece)
          const handedOnMs = continuation.handedOnMs()
          if (handedOnMs !== undefined) replay.forget(handedOnMs - RUN_UP_MS)
          if (handedOn !== null) yield handedOn
        }
        const exit = await current.child.exit
        if (!(await takeOver(exit))) return
      }
    } catch (error) {
      if (!(error instanceof BadFragmentedMp4)) throw error
      failed.resolve({ reason: 'unreadable-output', detail: error.message })
    } finally {
      hung.stop()
      replay.close()
      await current.child.stop()
    }
  }
  /** Starts another ffmpeg where this one ended too early. False when there is nothing more to come. */
  async function takeOver(exit: ChildExit): Promise<boolean> {
    const endedWell = exit.reason === 'exited' && exit.code === 0
    if (exit.reason === 'stopped' || (endedWell && replay.isOver())) return false
    const detail = describeExit('ffmpeg', exit)
    const nowMs = performance.now()
    restartedAtMs = restartedAtMs.filter(atMs => nowMs - atMs < RESTARTS_WITHIN_MS)
    const resume = replay.resumePoint()
    const handedOnMs = continuation.handedOnMs()
    const neverWorked = handedOnMs === undefined && exit.reason !== 'killed'
    if (stopAsked || neverWorked || resume === undefined || restartedAtMs.length >= MOST_RESTARTS) {
      failed.resolve({ reason: 'ffmpeg-ended', detail })
      return false
    }
    if (restartedAtMs.length > 0) await sleep(RESTART_PAUSE_MS)
    restartedAtMs.push(nowMs)
    settings.onRestart?.({ detail, restarts: ++restarts })
    current = startRun(settings, handedOnMs === undefined ? undefined : resume, replay.read())
    return true
  }

  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= (async () => {
      stopAsked = true
      replay.close()
      turnSinceMs = performance.now()
      const watch = setInterval(() => {
        const limitMs = turn === 'ffmpeg' ? FLUSH_TIMEOUT_MS : READER_TIMEOUT_MS
        if (performance.now() - turnSinceMs > limitMs) void current.child.stop()
      }, 250)
      await current.child.exit
      clearInterval(watch)
    })()
    return stopped
  }
  return {
    pieces: readPieces(),
    pid: () => current.child.pid,
    failed: failed.promise,
    stop,
    kill: async () => {
      stopAsked = true
      hung.stop()
      replay.close()
      await current.child.stop()
    },
  }
}

interface Run {
  child: Child
  gaveOutput(): void
  /** Whether it was given something since it last gave something. */
  isFed(): boolean
}

function startRun(
  settings: LiveFfmpegSettings,
  resume: ResumePoint | undefined,
  stream: AsyncIterable<Buffer>,
): Run {
  const child = startChild(settings.ffmpegPath ?? 'ffmpeg', liveArgs(settings, resume), {
    name: 'ffmpeg (segments)',
    stdin: 'pipe',
  })
  const { stdin } = child
  if (stdin === null) throw new Error('ffmpeg runs without standard input')
  let isFed = false
  async function* fed(): AsyncGenerator<Buffer> {
    for await (const piece of stream) {
      isFed = true
      yield piece
    }
  }
  // The replay never throws, and what happens to the input is told by how ffmpeg ends.
  void feedChild(fed(), stdin, child.exit)
  return {
    child,
    gaveOutput: () => {
      isFed = false
    },
    isFed: () => isFed,
  }
}
