// The same page attended, attended with our capture, and captured by x11grab + PulseAudio + libx264, in one run.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import type { BrowserSettings } from '../recorder/browser.ts'
import { splitShellWords } from '../recorder/chromium-args.ts'
import { patternPage } from '../sandbox/test-pattern/pattern-page.ts'
import { measure, type Run } from './bench-capture/measure.ts'
import { type Picture, recordByScreenGrab, recordByTabCapture } from './bench-capture/recordings.ts'
import { installTools, startDisplay, startSoundServer, ToolsMissing } from './bench-capture/tools.ts'

const USAGE = `npm run bench:capture -- [options]

  --seconds N   how long each run is measured (default 20)
  --rounds N    how often each way is measured (default 3)
`
const PICTURE: Picture = {
  width: 1280,
  height: 720,
  fps: 30,
  videoBitsPerSecond: 2_500_000,
  audioBitsPerSecond: 128_000,
}
const WAYS = ['attended', 'attended + our capture', 'x11grab + PulseAudio + libx264 veryfast'] as const
type Way = (typeof WAYS)[number]

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '20' },
      rounds: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  })
  const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)]
  if (values.help || !(seconds >= 5 && rounds >= 1)) {
    process.stdout.write(`${USAGE}\n--seconds is at least 5, --rounds at least 1.\n`)
    return
  }
  await installTools()
  const dir = await mkdtemp(join(tmpdir(), 'testigo-bench-'))
  try {
    const runs = await runAll(dir, seconds, rounds)
    process.stdout.write(`${drawTable(runs, seconds, rounds)}\n`)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function runAll(dir: string, seconds: number, rounds: number): Promise<Map<Way, Run[]>> {
  const { chromium } = readConfig(process.env)
  const browser: BrowserSettings = {
    chromiumPath: chromium.path,
    chromiumArgs: splitShellWords(chromium.args),
    sandbox: chromium.sandbox === 'on' || (chromium.sandbox === 'auto' && process.getuid?.() !== 0),
    width: PICTURE.width,
    height: PICTURE.height,
    language: 'en-US',
  }
  const page = join(dir, 'page.html')
  await writeFile(page, patternPage({ participants: 4, width: 640, height: 360, fps: PICTURE.fps }))
  await using display = await startDisplay(PICTURE.width, PICTURE.height).then(asDisposable)
  await using sound = await startSoundServer(dir).then(asDisposable)
  const run = { url: `file://${page}`, seconds }
  const screenBrowser = { ...browser, headless: false, chromiumArgs: [...browser.chromiumArgs, '--kiosk'] }
  const screenPids = [display.child.pid, sound.child.pid].filter(pid => pid !== undefined)
  const ways: Record<Way, () => Promise<Run>> = {
    attended: () => measure({ ...run, browser, extraPids: [] }),
    'attended + our capture': () =>
      measure({ ...run, browser, extraPids: [], record: opened => recordByTabCapture(opened, PICTURE, dir) }),
    'x11grab + PulseAudio + libx264 veryfast': () =>
      measure({
        ...run,
        browser: screenBrowser,
        extraPids: screenPids,
        record: () => recordByScreenGrab(display.display, PICTURE, dir),
      }),
  }
  // Chromium and ffmpeg find the display and the sound server by these.
  process.env.DISPLAY = display.display
  process.env.PULSE_SERVER = sound.server

  const results = new Map<Way, Run[]>(WAYS.map(way => [way, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const way of WAYS) {
      process.stderr.write(`bench: round ${round} of ${rounds}, ${way}\n`)
      results.get(way)?.push(await ways[way]())
    }
  }
  return results
}

function asDisposable<T extends { child: AsyncDisposable }>(opened: T): T & AsyncDisposable {
  return Object.assign(opened, { [Symbol.asyncDispose]: () => opened.child[Symbol.asyncDispose]() })
}

function drawTable(results: Map<Way, Run[]>, seconds: number, rounds: number): string {
  const median = (numbers: number[]) =>
    numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
  const of = (way: Way, value: (run: Run) => number | undefined) =>
    (results.get(way) ?? []).map(value).filter(number => number !== undefined)
  const attending = median(of('attended', ({ cpu }) => cpu))
  const extra = (way: Way) => median(of(way, ({ cpu }) => cpu)) - attending
  const rows = WAYS.map(way => {
    const cpu = of(way, run => run.cpu)
    const shares = of(way, run => run.recorded?.share)
    const offsets = of(way, run => run.recorded?.soundOffsetMs)
    const rates = of(way, run => run.recorded?.bitsPerSecond)
    const cells = [
      way,
      `${median(cpu).toFixed(2)} (${Math.min(...cpu).toFixed(2)} to ${Math.max(...cpu).toFixed(2)})`,
      way === 'attended' ? '–' : extra(way).toFixed(2),
      median(of(way, run => run.shownPerSecond)).toFixed(1),
      shares.length === 0 ? '–' : `${(median(shares) * 100).toFixed(1)} %`,
      offsets.length === 0 ? '–' : `${median(offsets).toFixed(0)} ms`,
      rates.length === 0 ? '–' : `${(median(rates) / 1e6).toFixed(2)} Mbit/s`,
    ]
    return `| ${cells.join(' | ')} |`
  })
  const ratio = extra('attended + our capture') / extra('x11grab + PulseAudio + libx264 veryfast')
  return [
    '| way | CPU seconds per second of call | on top of attending | frames shown a second | recorded of shown | sound after picture | rate |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    `Four 360p tiles at 1280×720, 30 fps, ${rounds} × ${seconds} s each, ${cpus().length} cores (${cpus()[0]?.model.trim()}). ` +
      'CPU is that of the whole process tree (Chromium, ffmpeg, Node, X and sound server), median (least to most).',
    `What our capture costs on top of attending is ${(ratio * 100).toFixed(0)} % of what x11grab costs (target: at most 50 %).`,
  ].join('\n')
}

try {
  await main()
} catch (error) {
  process.stderr.write(`bench: ${error instanceof ToolsMissing ? error.message : String(error)}\n`)
  process.exitCode = 1
}
