import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { drawRecording } from './drawn-recording.ts'
import { codeModuloMs, slotMs } from './pattern.in-page.js'
import { readPattern, wallClockMs } from './read-pattern.ts'

const run = promisify(execFile)
const startWallMs = 1_760_000_000_000
let folder: string
const path = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'read-pattern-'))
})
afterAll(() => rm(folder, { recursive: true }))

const noDelay = () => 0
const participant = (report: Awaited<ReturnType<typeof readPattern>>, number: number) => {
  const found = report.participants.find(one => one.participant === number)
  if (!found) throw new Error(`participant ${number} is not in the report`)
  return found
}

describe('a recording drawn exactly', () => {
  beforeAll(() =>
    drawRecording({
      file: path('exact.mp4'),
      seconds: 8,
      fps: 25,
      startWallMs,
      tilesAt: () => [
        { participant: 1, x: 13, y: 7, width: 640 },
        { participant: 2, x: 700, y: 31, width: 333 },
        { participant: 3, x: 1101, y: 604, width: 150 },
      ],
      soundDelaysMs: new Map([
        [1, noDelay],
        [2, () => 60],
        [3, () => -35],
      ]),
    }),
  )

  it('has every frame with its time code, also in a tile of 150 px', async () => {
    const report = await readPattern(path('exact.mp4'))
    expect(report).toMatchObject({ width: 1280, height: 720, video: { frames: 200 } })
    expect(report.video.fps).toBeCloseTo(25, 1)
    expect(report.participants.map(one => one.participant)).toEqual([1, 2, 3])
    for (const one of report.participants) {
      expect(one.frames.map(frame => frame.ptsMs)).toEqual(
        Array.from({ length: 200 }, (_, index) => index * 40),
      )
      expect(one.frames.map(frame => wallClockMs(frame.codeMs, startWallMs) - startWallMs)).toEqual(
        Array.from({ length: 200 }, (_, index) => index * 40),
      )
      expect(one).toMatchObject({ unreadableFrames: 0, misreadFrames: 0, stepsBack: 0, largestGapMs: 40 })
    }
  })

  it('has every flash and beep, each offset to within 5 ms, positive where the sound is late', async () => {
    const report = await readPattern(path('exact.mp4'))
    for (const [number, delayMs] of [
      [1, 0],
      [2, 60],
      [3, -35],
    ] as const) {
      const one = participant(report, number)
      expect(one).toMatchObject({ missingBeeps: [], missingFlashes: [] })
      expect(one.offset?.pairs).toBeGreaterThanOrEqual(7)
      expect(one.offset?.minMs).toBeGreaterThan(delayMs - 5)
      expect(one.offset?.maxMs).toBeLessThan(delayMs + 5)
    }
  })
})

it('tells six participants apart who beep at the same instant', async () => {
  const numbers = [1, 2, 3, 4, 5, 6]
  await drawRecording({
    file: path('chorus.mp4'),
    seconds: 6,
    fps: 10,
    startWallMs,
    tilesAt: () =>
      numbers.map(number => ({ participant: number, x: 10 + 210 * (number - 1), y: 100, width: 200 })),
    soundDelaysMs: new Map(numbers.map(number => [number, () => 300 - slotMs(number)])),
  })
  const report = await readPattern(path('chorus.mp4'))
  expect(report.participants.map(one => one.participant)).toEqual(numbers)
  for (const number of numbers) {
    const one = participant(report, number)
    expect(one.missingBeeps).toEqual([])
    expect(Math.abs((one.offset?.medianMs ?? 999) - (300 - slotMs(number)))).toBeLessThan(5)
  }
})

it('measures sound that drifts away from the picture', async () => {
  await drawRecording({
    file: path('drift.mp4'),
    seconds: 10,
    fps: 20,
    startWallMs,
    tilesAt: () => [{ participant: 4, x: 0, y: 0, width: 1280 }],
    soundDelaysMs: new Map([[4, ptsMs => ptsMs / 100]]),
  })
  const { offset } = participant(await readPattern(path('drift.mp4')), 4)
  expect(offset?.pairs).toBe(10)
  expect(Math.abs((offset?.driftMs ?? 999) - 90)).toBeLessThan(5)
})

it('follows a tile that moves and changes its size, and a participant who joins late', async () => {
  await drawRecording({
    file: path('moving.mp4'),
    seconds: 6,
    fps: 20,
    startWallMs,
    tilesAt: ptsMs => [
      ptsMs < 3000
        ? { participant: 5, x: 200, y: 100, width: 800 }
        : { participant: 5, x: 900, y: 500, width: 300 },
      ...(ptsMs < 4000 ? [] : [{ participant: 6, x: 100, y: 100, width: 500 }]),
    ],
    soundDelaysMs: new Map(),
  })
  const report = await readPattern(path('moving.mp4'))
  expect(participant(report, 5).frames).toHaveLength(120)
  expect(participant(report, 5).largestGapMs).toBe(50)
  const late = participant(report, 6)
  expect(late.frames[0]?.ptsMs).toBeLessThanOrEqual(4250)
  expect(late.largestGapMs).toBe(50)
})

it('counts on where the time code starts again at zero', async () => {
  const beforeWrapMs = Math.ceil(startWallMs / codeModuloMs) * codeModuloMs - 2000
  await drawRecording({
    file: path('wrap.mp4'),
    seconds: 4,
    fps: 20,
    startWallMs: beforeWrapMs,
    tilesAt: () => [{ participant: 1, x: 0, y: 0, width: 640 }],
    soundDelaysMs: new Map([[1, noDelay]]),
  })
  const one = participant(await readPattern(path('wrap.mp4')), 1)
  expect(one).toMatchObject({ largestGapMs: 50, stepsBack: 0, missingBeeps: [], missingFlashes: [] })
  expect(wallClockMs(one.lastCodeMs ?? 0, beforeWrapMs)).toBe(beforeWrapMs + 3950)
})

it('finds nobody in a white picture with noise for sound', async () => {
  const sources = [
    '-f',
    'lavfi',
    '-i',
    'color=white:s=1280x720:r=10:d=3',
    '-f',
    'lavfi',
    '-i',
    'anoisesrc=d=3:a=0.3',
  ]
  await run('ffmpeg', ['-v', 'error', '-y', ...sources, '-c:v', 'libx264', path('nobody.mp4')])
  const report = await readPattern(path('nobody.mp4'))
  expect(report.video.frames).toBe(30)
  expect(report.participants).toEqual([])
})

describe('what cannot be read says why', () => {
  it('a file that is not there', async () => {
    await expect(readPattern(path('absent.mp4'))).rejects.toMatchObject({ code: 'file_unreadable' })
  })

  it('sound without picture', async () => {
    await run('ffmpeg', ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'sine=d=1', path('sound.wav')])
    await expect(readPattern(path('sound.wav'))).rejects.toMatchObject({ code: 'no_video' })
  })

  it('a reading that takes too long', async () => {
    await expect(readPattern(path('exact.mp4'), { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'took_too_long',
    })
  })

  it('the command names a file it cannot read in one line and ends with 1', async () => {
    const command = new URL('print-pattern.ts', import.meta.url).pathname
    const failed = run(process.execPath, [command, path('absent.mp4')])
    await expect(failed).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^cannot read [^\n]*\n$/),
    })
  })
})
