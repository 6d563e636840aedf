// How many calls at once this machine records before frames are lost, and where admission stops.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { isOver, type MeetingAnswer, openStage, type Stage } from '../sandbox/journeys/stage.ts'
import { readPattern } from '../sandbox/test-pattern/read-pattern.ts'

const USAGE = `npm run bench:many -- [options]

  --seconds N   how long each call is recorded (default 20)
  --most N      most calls at once (default: cores + 1)
  --size WxH    picture of the recording (default 1280x720)
  --fps N       frames a second (default 30)
`
const LIMIT_MS = 240_000
/** A frame may be lost now and then; beyond this the calls disturb each other. */
const MOST_LOST = 0.01
const EDGE_MS = 2_000

interface Way {
  seconds: number
  size: string
  fps: number
}

/** Frames of each call's people that are in its recording, of those that their cameras made; 0 to 1, the worst call. */
async function recordAtOnce(count: number, { seconds, size, fps }: Way, admission: 'load' | 'slots') {
  await using stage = await openStage({
    calls: () => ({ participants: [{ name: 'Ana Torres' }, { name: 'Luis Gómez' }] }),
    people: { fps, tileSize: { width: 640, height: 360 } },
    env: {
      TESTIGO_VIDEO_SIZE: size,
      TESTIGO_VIDEO_FPS: String(fps),
      TESTIGO_VIDEO_BITRATE: '2500000',
      TESTIGO_SEGMENT_SECONDS: '4',
      TESTIGO_RECORDER_SLOTS: String(count),
      TESTIGO_ADMISSION: admission,
      TESTIGO_LOG_LEVEL: 'error',
    },
    onOutput: () => undefined,
  })
  const meetings = await Promise.all(
    Array.from({ length: count }, (_, index) => stage.post(`call ${index + 1}`, 3600)),
  )
  const taken = await waitUntilTaken(stage, meetings, admission)
  await systemClock.sleep(seconds * 1000)
  for (const meeting of taken) stage.call(meeting).end()
  const shares = []
  for (const meeting of taken) shares.push(await shareOf(stage, meeting, fps))
  return { taken: taken.length, worstShare: Math.min(...shares) }
}

// With admission some meetings wait; nothing is taken any more once every bot that came has been in for a while.
async function waitUntilTaken(stage: Stage, meetings: MeetingAnswer[], admission: 'load' | 'slots') {
  const QUIET_MS = 35_000
  const startedAt = Date.now()
  let changedAt = Date.now()
  let recording: MeetingAnswer[] = []
  for (;;) {
    const states = await Promise.all(meetings.map(meeting => stage.recording(meeting)))
    const now = meetings.filter((_, index) => states[index]?.status === 'recording')
    if (now.length !== recording.length) changedAt = Date.now()
    recording = now
    if (recording.length === meetings.length) return recording
    if (admission === 'load' && recording.length > 0 && Date.now() - changedAt > QUIET_MS) return recording
    if (Date.now() - startedAt > LIMIT_MS)
      throw new Error(`only ${recording.length} of ${meetings.length} calls are recorded`)
    await systemClock.sleep(500)
  }
}

async function shareOf(stage: Stage, meeting: MeetingAnswer, fps: number): Promise<number> {
  const { s3 } = await stage.until(meeting, isOver, LIMIT_MS)
  if (!s3) throw new Error(`${meeting.joinUrl} left no video`)
  const dir = await mkdtemp(join(tmpdir(), 'testigo-many-'))
  try {
    const file = join(dir, 'recording.mp4')
    await writeFile(file, Buffer.from(await (await fetch(s3.url)).arrayBuffer()))
    const { participants, durationMs } = await readPattern(file)
    const windowMs = durationMs - 2 * EDGE_MS
    const shares = participants.map(({ frames }) => {
      const seen = new Set(
        frames
          .filter(({ ptsMs }) => ptsMs > EDGE_MS && ptsMs < durationMs - EDGE_MS)
          .map(({ codeMs }) => codeMs),
      )
      return seen.size / ((windowMs / 1000) * fps)
    })
    return shares.length === 0 ? 0 : Math.min(...shares)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '20' },
      most: { type: 'string', default: String(cpus().length + 1) },
      size: { type: 'string', default: '1280x720' },
      fps: { type: 'string', default: '30' },
      help: { type: 'boolean', default: false },
    },
  })
  const way = { seconds: Number(values.seconds), size: values.size, fps: Number(values.fps) }
  const most = Number(values.most)
  if (values.help || !(way.seconds >= 8 && most >= 1 && way.fps >= 5)) {
    process.stdout.write(`${USAGE}\n--seconds is at least 8.\n`)
    return
  }
  process.stdout.write(
    '| calls at once | frames in the recording of frames sent (worst call) | lost against one call alone |\n| --- | --- | --- |\n',
  )
  let alone: number | undefined
  let without = 0
  for (let count = 1; count <= most; count++) {
    const { worstShare } = await recordAtOnce(count, way, 'slots')
    alone ??= worstShare
    const lost = 1 - worstShare / alone
    process.stdout.write(`| ${count} | ${(worstShare * 100).toFixed(1)} % | ${(lost * 100).toFixed(1)} % |\n`)
    if (lost <= MOST_LOST && without === count - 1) without = count
    else if (count > without + 1) break
  }
  const admitted = await recordAtOnce(most, way, 'load')
  process.stdout.write(
    `\n${without} at once lose at most ${MOST_LOST * 100} % of the frames, on ${cpus().length} cores that also play the people of the calls ` +
      `(${way.size}, ${way.fps} a second). Asked for ${most}, admission by load took ${admitted.taken}, ` +
      `with ${(admitted.worstShare * 100).toFixed(1)} % of the frames.\n`,
  )
}

try {
  await main()
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`)
  process.exitCode = 1
}
