// One run of one way: the page is opened anew, warmed up, then measured for a while.
import { setTimeout as sleep } from 'node:timers/promises'
import { type BrowserSettings, launchBrowser, type RecorderBrowser } from '../../recorder/browser.ts'
import { readPattern, wallClockMs } from '../../sandbox/test-pattern/read-pattern.ts'
import type { RunningRecording } from './recordings.ts'
import { ownCpuSeconds, treeCpuSeconds } from './tree-cpu.ts'

const WARM_UP_MS = 5_000
/** What a frame takes from the page to the recording; frames nearer than this to the ends are not counted. */
const EDGE_MS = 300

export interface Run {
  /** CPU seconds of all processes of this way per second of call. */
  cpu: number
  /** Frames of one participant that the page showed, a second. */
  shownPerSecond: number
  recorded?: {
    /** Frames in the recording of frames shown, 0 to 1. */
    share: number
    /** Beep less flash: positive when the sound comes later. */
    soundOffsetMs: number
    bitsPerSecond: number
  }
}

export interface RunSettings {
  browser: BrowserSettings
  url: string
  seconds: number
  /** Processes beside browser and recording that this way needs: the X server, the sound server. */
  extraPids: readonly number[]
  record?: (browser: RecorderBrowser) => Promise<RunningRecording> | RunningRecording
}

/** Opens the page, records it if that is asked for, and says what it cost and what was recorded. */
export async function measure({
  browser: settings,
  url,
  seconds,
  extraPids,
  record,
}: RunSettings): Promise<Run> {
  await using browser = await launchBrowser(settings)
  await browser.page.goto(url)
  await browser.page.waitForSelector('body[data-state=running]', { timeout: 20_000 })
  await browser.page.evaluate(countShownFrames)
  const recording = await record?.(browser)
  await sleep(WARM_UP_MS)

  const pids = [browser.pid, ...extraPids, ...(recording?.pids ?? [])]
  const cpuNow = async () => (await treeCpuSeconds(pids)) + ownCpuSeconds()
  const fromMs = performance.now()
  const cpuBefore = await cpuNow()
  await sleep(seconds * 1000)
  const cpu = (await cpuNow()) - cpuBefore
  const tookSeconds = (performance.now() - fromMs) / 1000
  const fromWallMs = Date.now() - tookSeconds * 1000

  const shown = await browser.page.evaluate(
    () => (globalThis as unknown as { shownCodes: number[][] }).shownCodes,
  )
  const file = await recording?.stop()
  const endMs = fromWallMs + tookSeconds * 1000
  const inWindow = (wallMs: number) => wallMs > fromWallMs + EDGE_MS && wallMs < endMs - EDGE_MS
  const windowSeconds = tookSeconds - (2 * EDGE_MS) / 1000
  const shownFrames = shown.map(times => times.filter(inWindow).length)
  const run: Run = { cpu: cpu / tookSeconds, shownPerSecond: mean(shownFrames) / windowSeconds }
  if (file === undefined) return run

  const { participants, video, durationMs } = await readPattern(file)
  const recordedFrames = participants.map(({ frames }) => {
    const codes = new Set(frames.map(({ codeMs }) => wallClockMs(codeMs, endMs)))
    return [...codes].filter(inWindow).length
  })
  const { size } = await import('node:fs/promises').then(({ stat }) => stat(file))
  if (video.frames === 0 || participants.length === 0)
    throw new Error('no participant can be seen in the recording')
  run.recorded = {
    share: sum(recordedFrames) / sum(shownFrames),
    soundOffsetMs: mean(participants.map(({ offset }) => offset?.medianMs ?? Number.NaN)),
    bitsPerSecond: (size * 8000) / durationMs,
  }
  return run
}

/** Runs in the page: notes when each video showed a new frame. */
function countShownFrames(): void {
  const shownCodes = [...document.querySelectorAll('video')].map(video => {
    const times: number[] = []
    const note: VideoFrameRequestCallback = (_, { expectedDisplayTime }) => {
      times.push(performance.timeOrigin + expectedDisplayTime)
      video.requestVideoFrameCallback(note)
    }
    video.requestVideoFrameCallback(note)
    return times
  })
  Object.assign(globalThis, { shownCodes })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function mean(numbers: readonly number[]): number {
  return sum(numbers) / numbers.length
}
