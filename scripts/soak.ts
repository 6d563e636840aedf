// One long call, recorded in real time: is the memory flat, do sound and picture stay together, is the file right?

import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { runChild } from '../recorder/capture/child-process.ts'
import { listProcessTree } from '../recorder/process-tree.ts'
import { isOver, openStage, type RecordingAnswer } from '../sandbox/journeys/stage.ts'
import { readPattern } from '../sandbox/test-pattern/read-pattern.ts'

const USAGE = `npm run soak -- [options]

  --minutes N   how long the call lasts (default 120)
  --size WxH    picture (default 1280x720)
  --fps N       frames a second (default 30)
  --json        one line of JSON instead of sentences
`
const SAMPLE_EVERY_MS = 10_000
const WINDOWS = 9
const WINDOW_SECONDS = 30
const PAGE_BYTES = 4096
/** Before that the child is still filling its buffers. */
const WARM_UP_MS = 120_000
const MOST_DRIFT_MS = 40
const MOST_MEMORY_MB = 250
const MOST_GROWTH_MB = 25

interface Sample {
  atMs: number
  megabytes: number
}

/** Memory of the recorder's child and its ffmpeg; Chromium's processes are not ours to bound. */
async function readMemory(recorderPid: number): Promise<number | undefined> {
  const tree = await listProcessTree(recorderPid)
  const child = tree.find(process => process.parentPid === recorderPid)
  if (!child) return undefined
  let pages = child.residentPages
  for (const process of tree.filter(one => one.parentPid === child.pid)) {
    const name = await readFile(`/proc/${process.pid}/comm`, 'utf8').catch(() => '')
    if (name.trim() === 'ffmpeg') pages += process.residentPages
  }
  return (pages * PAGE_BYTES) / 1e6
}

/** Growth of a straight line through the samples after the warm-up, in megabytes over their whole time. */
function growthOf(samples: readonly Sample[]): number {
  const [first] = samples
  if (!first || samples.length < 3) return 0
  const n = samples.length
  const meanX = samples.reduce((sum, { atMs }) => sum + atMs, 0) / n
  const meanY = samples.reduce((sum, { megabytes }) => sum + megabytes, 0) / n
  const above = samples.reduce((sum, { atMs, megabytes }) => sum + (atMs - meanX) * (megabytes - meanY), 0)
  const below = samples.reduce((sum, { atMs }) => sum + (atMs - meanX) ** 2, 0)
  return (above / below) * ((samples.at(-1)?.atMs ?? 0) - first.atMs)
}

/**
 * How far sound and picture come apart over the whole time: the median slope between any two of the offsets. Browsers delay
 * sound by tens of milliseconds, up and down, when something else takes the cores; a drift is what grows with time.
 */
function driftOf(offsetsMs: readonly number[]): number {
  const slopes = offsetsMs
    .flatMap((one, index) => offsetsMs.slice(index + 1).map((other, apart) => (other - one) / (apart + 1)))
    .sort((a, b) => a - b)
  return Math.abs(slopes[Math.floor(slopes.length / 2)] ?? 0) * (offsetsMs.length - 1)
}

/** Sound less picture in a stretch of the file: the median over all flashes and beeps of everybody. */
async function soundOffsetMs(file: string, fromSeconds: number, dir: string): Promise<number> {
  const window = join(dir, `window-${Math.round(fromSeconds)}.mp4`)
  const args = ['-v', 'error', '-nostdin', '-y', '-ss', String(fromSeconds), '-i', file]
  await runChild('ffmpeg', [...args, '-t', String(WINDOW_SECONDS), '-c', 'copy', window], {
    name: 'ffmpeg (window)',
    timeoutMs: 120_000,
  })
  const { participants } = await readPattern(window)
  const offsets = participants
    .flatMap(({ flashes, beeps }) =>
      flashes.flatMap(flash =>
        beeps
          .filter(beep => Math.abs(beep.codeMs - flash.codeMs) < 50)
          .map(beep => beep.ptsMs - flash.onsetPtsMs),
      ),
    )
    .sort((a, b) => a - b)
  const median = offsets[Math.floor(offsets.length / 2)]
  if (median === undefined)
    throw new Error(`no flash and beep are seen together from second ${fromSeconds} on`)
  return median
}

async function soak(minutes: number, size: string, fps: number) {
  await using stage = await openStage({
    calls: () => ({
      participants: [{ name: 'Ana Torres' }, { name: 'Luis Gómez' }, { name: 'María José Peña' }],
    }),
    people: { fps, tileSize: { width: 640, height: 360 } },
    env: {
      TESTIGO_VIDEO_SIZE: size,
      TESTIGO_VIDEO_FPS: String(fps),
      TESTIGO_VIDEO_BITRATE: '2500000',
      TESTIGO_SEGMENT_SECONDS: '4',
    },
  })
  const meeting = await stage.post('long call', minutes * 60 + 600)
  await stage.until(meeting, ({ status }) => status === 'recording', 60_000)
  const beganMs = Date.now()
  const samples: Sample[] = []
  while (Date.now() - beganMs < minutes * 60_000) {
    await systemClock.sleep(SAMPLE_EVERY_MS)
    const megabytes = await readMemory(stage.recorders[0]?.process.pid ?? 0)
    const atMs = Date.now() - beganMs
    if (megabytes !== undefined && atMs > Math.min(WARM_UP_MS, minutes * 20_000))
      samples.push({ atMs, megabytes })
    if (samples.length % 30 === 1)
      process.stderr.write(`soak: minute ${Math.round(atMs / 60_000)}, ${Math.round(megabytes ?? 0)} MB\n`)
  }
  stage.call(meeting).end()
  const endedMs = Date.now()
  const recording = await stage.until(meeting, isOver, 600_000)
  const workingAfterMs = Date.now() - endedMs
  const dir = await mkdtemp(join(tmpdir(), 'testigo-soak-'))
  try {
    return {
      ...(await judge(recording, dir)),
      ...memoryOf(samples),
      minutes,
      workingAfterMs,
      wantedMs: endedMs - beganMs,
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const memoryOf = (samples: readonly Sample[]) => ({
  memoryMb: Math.max(...samples.map(({ megabytes }) => megabytes)),
  growthMb: growthOf(samples),
})

async function judge(recording: RecordingAnswer, dir: string) {
  if (!recording.s3 || recording.durationMs === null)
    throw new Error(`there is no video: ${JSON.stringify(recording)}`)
  const file = join(dir, 'recording.mp4')
  const answer = await fetch(recording.s3.url)
  if (!answer.ok || !answer.body) throw new Error(`the video cannot be fetched: ${answer.status}`)
  await pipeline(
    Readable.fromWeb(answer.body as import('node:stream/web').ReadableStream),
    createWriteStream(file),
  )
  const last = recording.durationMs / 1000 - WINDOW_SECONDS - 2
  const offsetsMs: number[] = []
  for (let window = 0; window < WINDOWS; window++) {
    const from = 2 + ((last - 2) * window) / (WINDOWS - 1)
    offsetsMs.push(await soundOffsetMs(file, Math.max(0, from), dir))
  }
  return {
    status: recording.status,
    durationMs: recording.durationMs,
    sizeBytes: recording.sizeBytes,
    failedChecks: Object.entries(recording.checks ?? {}).flatMap(([name, { ok }]) => (ok ? [] : [name])),
    offsetsMs,
    driftMs: driftOf(offsetsMs),
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '120' },
      size: { type: 'string', default: '1280x720' },
      fps: { type: 'string', default: '30' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const minutes = Number(values.minutes)
  if (values.help || !(minutes >= 3)) {
    process.stdout.write(`${USAGE}\n--minutes is at least 3.\n`)
    return
  }
  const found = await soak(minutes, values.size, Number(values.fps))
  const faults = [
    ...(found.status === 'available' ? [] : [`the recording is ${found.status}`]),
    ...found.failedChecks.map(name => `the check ${name} failed`),
    ...(found.driftMs <= MOST_DRIFT_MS ? [] : [`sound and picture drift by ${found.driftMs.toFixed(0)} ms`]),
    ...(found.memoryMb <= MOST_MEMORY_MB ? [] : [`the child takes ${found.memoryMb.toFixed(0)} MB`]),
    ...(found.growthMb <= MOST_GROWTH_MB
      ? []
      : [`the child's memory grows by ${found.growthMb.toFixed(0)} MB`]),
    ...(Math.abs(found.durationMs - found.wantedMs) < 5000 ? [] : ['the file is not as long as the call']),
  ]
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ ...found, faults, ok: faults.length === 0 })}\n`
      : `${minutes} min: ${(found.durationMs / 1000).toFixed(1)} s in the file, sound less picture ` +
          `${found.offsetsMs.map(ms => ms.toFixed(0)).join(', ')} ms from the beginning to the end (drift ${found.driftMs.toFixed(0)} ms), ` +
          `memory at most ${found.memoryMb.toFixed(0)} MB, growing by ${found.growthMb.toFixed(1)} MB, ` +
          `working link ${(found.workingAfterMs / 1000).toFixed(1)} s after the end. ${faults.length === 0 ? 'All is well.' : `Faults: ${faults.join('; ')}.`}\n`,
  )
  process.exitCode = faults.length === 0 ? 0 : 1
}

try {
  await main()
} catch (error) {
  process.stderr.write(`soak: ${(error as Error).message}\n`)
  process.exitCode = 1
}
