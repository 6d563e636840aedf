// How long it takes from the end of a call until a link to its video works, and how much memory.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { listProcessTree } from '../recorder/process-tree.ts'
import { type FinishWorld, openFinishWorld } from '../sandbox/journeys/finish-world.ts'
import type { FinishedJob } from './bench-finish/finish-job.ts'
import { encodeLongCall, type LongCall } from './bench-finish/long-call.ts'

const USAGE = `npm run bench:finish -- [options]

  --minutes LIST   lengths of the calls in minutes (default 10,60,240)
  --bitrate N      bits per second of the picture (default 1000000; the store used here keeps nothing of 2 GiB and more)
  --json           one JSON line per length instead of a table
`
const PAGE_BYTES = 4096
const LOOK_MS = 100
const JOB_LIMIT_MS = 30 * 60_000

interface Measured extends FinishedJob {
  minutes: number
  segments: number
  /** Most that the process and its ffmpeg held at one time; shared pages count for each of them. */
  peakBytes: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10,60,240' },
      bitrate: { type: 'string', default: '1000000' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const lengths = values.minutes.split(',').map(Number)
  const bitrate = Number(values.bitrate)
  if (values.help || lengths.some(minutes => !(minutes >= 1)) || !(bitrate >= 100_000)) {
    process.stdout.write(`${USAGE}\n--minutes are numbers from 1 on, --bitrate is at least 100000.\n`)
    return
  }
  await using world = await openFinishWorld()
  const call = await encodeLongCall(world.dir, bitrate)
  if (!values.json) process.stdout.write(`${HEAD}\n`)
  for (const minutes of lengths) {
    const measured = await measure(world, call, minutes)
    process.stdout.write(`${values.json ? JSON.stringify(measured) : row(measured)}\n`)
  }
}

async function measure(world: FinishWorld, call: LongCall, minutes: number): Promise<Measured> {
  const recordingId = await world.recorded({ segments: call.segments(minutes) })
  const child = fork(join(import.meta.dirname, 'bench-finish', 'finish-job.ts'), [], {
    env: { PATH: process.env.PATH, ...world.env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let peakBytes = 0
  const look = async () => {
    const tree = await listProcessTree(child.pid ?? 0)
    const heldBytes = tree.reduce((sum, { residentPages }) => sum + residentPages, 0) * PAGE_BYTES
    peakBytes = Math.max(peakBytes, heldBytes)
  }
  let looking = Promise.resolve()
  try {
    await nextAnswer(child, 60_000)
    const timer = setInterval(() => {
      looking = looking.then(look)
    }, LOOK_MS)
    child.send(recordingId)
    const answer = await nextAnswer(child, JOB_LIMIT_MS)
    clearInterval(timer)
    await looking
    if (!answer.result) throw new Error(`finishing failed: ${answer.error}`)
    return { minutes, segments: Math.ceil((minutes * 60) / 4), peakBytes, ...answer.result }
  } finally {
    child.disconnect()
    if (child.exitCode === null) await once(child, 'exit')
    await world.forget(recordingId)
  }
}

async function nextAnswer(
  child: ChildProcess,
  limitMs: number,
): Promise<{ ready?: true; result?: FinishedJob; error?: string }> {
  const [answer] = await once(child, 'message', { signal: AbortSignal.timeout(limitMs) })
  return answer as { ready?: true; result?: FinishedJob; error?: string }
}

const HEAD = [
  'Seconds from the start of the job; memory is that of the process and its ffmpeg.',
  '',
  '| call | video | planned | joined | uploaded | checked | published | link works | peak memory | status |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
].join('\n')

function row({ minutes, sizeBytes, steps, linkWorksMs, peakBytes, status }: Measured): string {
  const seconds = (ms: number | undefined) => `${((ms ?? 0) / 1000).toFixed(1)} s`
  const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`
  const times = ['planned', 'joined', 'uploaded', 'checked', 'published'].map(step => seconds(steps[step]))
  return `| ${[`${minutes} min`, mebibytes(sizeBytes), ...times, seconds(linkWorksMs), mebibytes(peakBytes), status].join(' | ')} |`
}

await main()
