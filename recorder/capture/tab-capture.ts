// The meeting's tab as a stream of media (Matroska, H.264 + PCM).

import { within } from '../../clock.ts'
import type { RecorderBrowser } from '../browser.ts'
import { type CaptureLink, openCaptureLink } from './capture-link.ts'
import { captureTab, type PageMessage } from './tab-capture.in-page.ts'
import { watchSilence } from './watch-silence.ts'

/**
 * MediaRecorder hands out its MP4 only at key frames, Matroska every timeslice (DESIGN.md §2, row 2). The sound is
 * not compressed here: MediaRecorder stamps its Opus packets 50 to 60 ms late, and ffmpeg would encode them anew.
 */
const MIME_TYPE = 'video/x-matroska;codecs=avc1,pcm'
const TIMESLICE_MS = 250
const START_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 10_000
/** After a failure: how long the rest may take to come out of the browser. */
const LAST_CHUNKS_MS = 3_000
const CAUSE_COMES_MS = 300
const NO_BYTES_MS = 10_000
const NO_FRAMES_MS = 10_000
/** Less than the analyser's window, so that no sound falls between two looks. */
const STATS_EVERY_MS = 500
/** A page that told its figures so lately is alive. */
const ANSWERS_WITHIN_MS = 2_000
/** About -50 dBFS: speech is far above, the hiss of an open microphone below. */
const SOUND_PEAK = 0.003
const MAX_UNACKNOWLEDGED = 4
const MAX_WAITING_BYTES = 64 * 1024 * 1024

export interface TabCaptureSettings {
  width: number
  height: number
  fps: number
  videoBitsPerSecond: number
  /** Of the finished sound: the capture hands it on uncompressed, the segmenter encodes it with this. */
  audioBitsPerSecond: number
  /** A key frame at least this often: segments can only be cut there. */
  keyFrameSeconds: number
  /** Fails with `no-bytes` when nothing came for so long. Default 10 s. */
  noBytesMs?: number
  /**
   * Fails with `no-frames` when no new picture was captured for so long while the page answers. Default 10 s: a page
   * that does not move is captured anew several times a second, so that none at all means a broken compositor.
   */
  noFramesMs?: number
  /** What may wait inside the browser for a slow reader. Default 64 MiB. */
  maxWaitingBytes?: number
}

export type CaptureFailureReason =
  | 'browser-gone'
  | 'extension-page-gone'
  | 'tab-gone'
  | 'renderer-crashed'
  | 'no-bytes'
  | 'no-frames'
  | 'reader-too-slow'
  | 'recorder-error'
  | 'track-ended'
  | 'link-lost'

export interface CaptureFailure {
  reason: CaptureFailureReason
  detail: string
}

export interface CaptureStats {
  bytes: number
  chunks: number
  /** Wall clock (ms since 1970) of the last bytes. */
  lastBytesAtMs: number
  framesDelivered: number
  framesDropped: number
  waitingChunks: number
  /** What waits inside the browser because the reader is slow. */
  waitingBytesInBrowser: number
}

export interface TabCapture extends AsyncDisposable {
  /** Chunks of one Matroska stream, about four a second. Ends after `stop()` and after a failure, never throws. */
  chunks: AsyncIterable<Buffer>
  /** Wall clock (ms since 1970) of media time 0. */
  startedAt: number
  stats(): CaptureStats
  /** Whether the tab made a sound since this was asked last; `unknown` when nothing was measured since. */
  soundHeard(): 'yes' | 'no' | 'unknown'
  /** Settles when the capture broke. Stays pending for ever when it ended by `stop()`. */
  failed: Promise<CaptureFailure>
  /** Ends the recording; what is already encoded still comes through `chunks`. May be called twice. */
  stop(): Promise<void>
}

/** The capture could not begin. */
export class CaptureDidNotStart extends Error {
  readonly reason: CaptureFailureReason | 'timeout' | 'refused'

  constructor(reason: CaptureDidNotStart['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CaptureDidNotStart'
    this.reason = reason
  }
}

/** A capture that only waits for its cue: what takes time is done, so that nothing of the call is lost to it. */
export interface PreparedCapture extends AsyncDisposable {
  /** Begins to record; resolves when the recording runs. Throws `CaptureDidNotStart`. */
  begin(): Promise<TabCapture>
  /** Lets go of the tab. May be called twice, and after `begin`. */
  stop(): Promise<void>
}

/** Captures picture and sound of the meeting's tab at once. Resolves when the recording runs. */
export async function startTabCapture(
  recorderBrowser: RecorderBrowser,
  settings: TabCaptureSettings,
): Promise<TabCapture> {
  const prepared = await prepareTabCapture(recorderBrowser, settings)
  return prepared.begin()
}

/**
 * Gets hold of the meeting's tab, picture and sound, without recording yet. The extension's tab is then in front of the
 * meeting's, because the compositor then draws for the capture only (DESIGN.md §2, row 2). Throws `CaptureDidNotStart`.
 */
export async function prepareTabCapture(
  { browser, page, extensionPage, tabId, closed }: RecorderBrowser,
  settings: TabCaptureSettings,
): Promise<PreparedCapture> {
  const noBytesMs = settings.noBytesMs ?? NO_BYTES_MS
  const stats: CaptureStats = {
    bytes: 0,
    chunks: 0,
    lastBytesAtMs: 0,
    framesDelivered: 0,
    framesDropped: 0,
    waitingChunks: 0,
    waitingBytesInBrowser: 0,
  }
  const noFramesMs = settings.noFramesMs ?? NO_FRAMES_MS
  let begun = false
  let frameSeenAtMs = 0
  let statsAtMs = 0
  let heard: 'yes' | 'no' | 'unknown' = 'unknown'
  const failed = Promise.withResolvers<CaptureFailure>()
  const ready = Promise.withResolvers<void>()
  const started = Promise.withResolvers<number>()
  const ended = Promise.withResolvers<void>()
  let stopping = false
  let link: CaptureLink | undefined

  const timers: NodeJS.Timeout[] = []
  const fail = (reason: CaptureFailureReason, detail: string) => {
    if (stopping) return
    failed.resolve({ reason, detail })
    watchdog.stop()
    // A capture page that lives hands out what it has; one that does not gets no more time.
    link?.tell({ type: 'stop' })
    timers.push(setTimeout(() => void link?.close(), LAST_CHUNKS_MS))
  }
  // These follow from other disasters, whose own sign may come a moment later and says more.
  const failSoon = (reason: CaptureFailureReason, detail: string) => {
    timers.push(setTimeout(() => fail(reason, detail), CAUSE_COMES_MS))
  }
  const onMessage = (message: PageMessage) => {
    if (message.type === 'ready') ready.resolve()
    else if (message.type === 'started') started.resolve(message.atMs)
    else if (message.type === 'ended') ended.resolve()
    else if (message.type === 'failed') {
      watchdog.stop()
      if (message.reason === 'track-ended') failSoon(message.reason, message.detail)
      // The link stays open: the page hands out what it has as the reader takes it.
      else if (!stopping) failed.resolve({ reason: message.reason, detail: message.detail })
    } else {
      const newFrames = message.framesDelivered > stats.framesDelivered
      stats.framesDelivered = message.framesDelivered
      stats.framesDropped = message.framesDropped
      stats.waitingBytesInBrowser = message.waitingBytes
      if (message.soundPeak !== null && heard !== 'yes')
        heard = message.soundPeak >= SOUND_PEAK ? 'yes' : 'no'
      // Judged by the page's own words: a page that says nothing is silent in every way.
      statsAtMs = performance.now()
      if (newFrames || !begun) frameSeenAtMs = statsAtMs
      else if (statsAtMs - frameSeenAtMs > noFramesMs) {
        fail('no-frames', `no new picture for ${noFramesMs / 1000} s`)
      }
    }
  }
  let bytesSeenAtMs: number | undefined
  let stoodStill = false
  const watchdog = watchSilence(noBytesMs, () => {
    // A reader that does not take what is there is not a silent browser.
    if ((link?.waitingChunks() ?? 0) > 0) return
    // Sound without pictures is held back by MediaRecorder: a page that answers meanwhile lacks pictures only.
    const nowMs = performance.now()
    const onlyFrames =
      nowMs - statsAtMs < ANSWERS_WITHIN_MS && nowMs - frameSeenAtMs > noBytesMs - ANSWERS_WITHIN_MS
    if (onlyFrames) fail('no-frames', `no new picture for ${noBytesMs / 1000} s`)
    else fail('no-bytes', `nothing came for ${noBytesMs / 1000} s`)
  })
  link = await openCaptureLink({
    onMessage,
    onBytes: sizeBytes => {
      // All of it stood still (SIGSTOP, a suspended machine): what comes now would make the last picture before it last
      // until now, as if that time had been recorded.
      const standstillMs = bytesSeenAtMs === undefined ? 0 : performance.now() - bytesSeenAtMs
      bytesSeenAtMs = performance.now()
      if (standstillMs > noBytesMs)
        fail('no-bytes', `all stood still for ${Math.round(standstillMs / 1000)} s`)
      stoodStill ||= standstillMs > noBytesMs
      if (stoodStill) return false
      stats.bytes += sizeBytes
      stats.chunks++
      stats.lastBytesAtMs = Date.now()
      watchdog.sawSomething()
      return true
    },
    onGone: () => {
      ended.resolve()
      failSoon('link-lost', 'the capture page hung up')
    },
  })
  const onCrash = (error: Error) => fail('renderer-crashed', error.message)
  const onTabClosed = () => fail('tab-gone', "the meeting's tab was closed")
  const onExtensionClosed = () => fail('extension-page-gone', "the capture extension's page was closed")
  const onExtensionCrash = (error: Error) => fail('extension-page-gone', error.message)
  page.on('error', onCrash)
  page.on('close', onTabClosed)
  extensionPage.on('error', onExtensionCrash)
  extensionPage.on('close', onExtensionClosed)
  void closed.then(({ reason, detail }) => fail('browser-gone', `Chromium ${reason} (${detail})`))

  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= (async () => {
      stopping = true
      link.tell({ type: 'stop' })
      await within(STOP_TIMEOUT_MS, ended.promise)
      watchdog.stop()
      for (const timer of timers) clearTimeout(timer)
      page.off('error', onCrash).off('close', onTabClosed)
      extensionPage.off('error', onExtensionCrash).off('close', onExtensionClosed)
      await link.close()
    })()
    return stopped
  }

  const giveUp = async (error: unknown): Promise<never> => {
    // Nothing was recorded, so there is nothing to wait for.
    ended.resolve()
    await stop()
    if (error instanceof CaptureDidNotStart) throw error
    const text = error instanceof Error ? error.message : String(error)
    if (!browser.connected) throw new CaptureDidNotStart('browser-gone', 'Chromium is gone', { cause: error })
    throw new CaptureDidNotStart('refused', `Chromium refused to capture the tab: ${text}`, { cause: error })
  }
  const begin = async (): Promise<TabCapture> => {
    try {
      link.tell({ type: 'begin' })
      const startedAt = await firstOf(started.promise, failed.promise)
      watchdog.start()
      begun = true
      return {
        chunks: link.chunks,
        startedAt,
        stats: () => ({ ...stats, waitingChunks: link.waitingChunks() }),
        soundHeard: () => {
          const answer = heard
          heard = 'unknown'
          return answer
        },
        failed: failed.promise,
        stop,
        [Symbol.asyncDispose]: stop,
      }
    } catch (error) {
      return await giveUp(error)
    }
  }
  try {
    const prepared = extensionPage.evaluate(captureTab, {
      url: link.url,
      tabId,
      ...settings,
      timesliceMs: TIMESLICE_MS,
      statsEveryMs: STATS_EVERY_MS,
      mimeType: MIME_TYPE,
      maxUnacknowledged: MAX_UNACKNOWLEDGED,
      maxWaitingBytes: settings.maxWaitingBytes ?? MAX_WAITING_BYTES,
    })
    await firstOf(
      prepared.then(() => ready.promise),
      failed.promise,
    )
    await extensionPage.bringToFront()
    return { begin, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    return await giveUp(error)
  }
}

async function firstOf<T>(begun: Promise<T>, failed: Promise<CaptureFailure>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new CaptureDidNotStart('timeout', `the capture did not begin in ${START_TIMEOUT_MS / 1000} s`),
        ),
      START_TIMEOUT_MS,
    )
  })
  const broke = failed.then(({ reason, detail }): never => {
    throw new CaptureDidNotStart(reason, detail)
  })
  try {
    return await Promise.race([begun, broke, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
