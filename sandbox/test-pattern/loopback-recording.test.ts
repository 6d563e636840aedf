import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordLoopback } from './loopback-recording.ts'
import { flashesAt } from './pattern.in-page.js'
import { type PatternReport, readPattern } from './read-pattern.ts'

let folder: string
let recording: string
let whole: PatternReport

/** A large tile, a 4:3 tile that crops the sides, and one as small as a filmstrip's. */
const places = [
  { x: 20, y: 20, width: 860, height: 484 },
  { x: 920, y: 20, width: 320, height: 240 },
  { x: 1101, y: 603, width: 150, height: 85 },
]
/**
 * What a machine busy with other things does to WebRTC: it drops frames, sound waits in its buffer for up to some
 * hundred ms. These limits say whether the pattern works at all; how well is measured with the machine to itself.
 */
const busy = { longestGapMs: 1500, largestOffsetMs: 450, shareOfFrames: 0.5, beepsLost: 1 }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loopback-'))
  recording = join(folder, 'whole.mkv')
  await recordLoopback({ places, seconds: 8, fps: 15, bitsPerSecond: 600_000, file: recording })
  whole = await readPattern(recording)
}, 60_000)
afterAll(() => rm(folder, { recursive: true }))

const each = <T>(report: PatternReport, of: (one: PatternReport['participants'][number]) => T) =>
  report.participants.map(of)
describe('patterns sent through WebRTC at 600 kbit/s and recorded by a real browser', () => {
  it('are all there, in tiles of any size, read without error', () => {
    expect(each(whole, one => one.participant)).toEqual([1, 2, 3])
    for (const one of whole.participants) {
      expect(one.distinctCodes).toBeGreaterThan(8 * 15 * busy.shareOfFrames)
      expect(one.largestGapMs).toBeLessThan(busy.longestGapMs)
      expect(one.unreadableFrames).toBeLessThan(whole.video.frames * 0.02)
      expect(one).toMatchObject({ misreadFrames: 0, stepsBack: 0 })
      expect(one.frames.filter(({ codeMs, flash }) => flash !== flashesAt(one.participant, codeMs))).toEqual(
        [],
      )
    }
  })

  it('have their flashes and beeps, close together', () => {
    for (const one of whole.participants) {
      expect(one.beeps.length).toBeGreaterThanOrEqual(7 - busy.beepsLost)
      expect(one.missingBeeps.length).toBeLessThanOrEqual(busy.beepsLost)
      expect(one.offset?.pairs).toBeGreaterThanOrEqual(3)
      expect(Math.abs(one.offset?.medianMs ?? Number.NaN)).toBeLessThan(busy.largestOffsetMs)
    }
  })
})

it('patterns go on with another tab in front', async () => {
  const file = join(folder, 'background.mkv')
  await recordLoopback({ places, seconds: 4, fps: 15, bitsPerSecond: 600_000, file, inBackground: true })
  const report = await readPattern(file)
  expect(each(report, one => one.participant)).toEqual([1, 2, 3])
  for (const one of report.participants) {
    expect(one.distinctCodes).toBeGreaterThan(4 * 15 * busy.shareOfFrames)
    expect(one.largestGapMs).toBeLessThan(busy.longestGapMs)
    expect(one.missingBeeps.length).toBeLessThanOrEqual(busy.beepsLost)
  }
}, 45_000)
