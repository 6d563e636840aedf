import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordLoopback } from './loopback-recording.ts'
import { type PatternReport, readPattern } from './read-pattern.ts'

const run = promisify(execFile)
let folder: string
let recording: string
let whole: PatternReport

/** A large tile, a 4:3 tile that crops the sides, and one as small as a filmstrip's. */
const places = [
  { x: 20, y: 20, width: 860, height: 484 },
  { x: 920, y: 20, width: 320, height: 240 },
  { x: 1101, y: 603, width: 150, height: 85 },
]
/** Frames a shared machine may lose in a row at 15 per second. */
const longestGapMs = 300
/** At 15 per second a flash is in one or two frames: a busy machine may lose both of one. */
const mostFlashesLost = 1
/** Chromium's MediaRecorder stamps sound about 50 ms late, and WebRTC buffers it apart from the picture here. */
const largestOffsetMs = 150

// Without -enc_time_base the encoder moves every frame to a multiple of 1/30 s.
const h264 = ['-fps_mode', 'passthrough', '-enc_time_base', '-1', '-c:v', 'libx264', '-preset', 'ultrafast']

const afterEdit = async (name: string, args: string[], codecs = [...h264, '-c:a', 'aac']) => {
  const file = join(folder, name)
  await run('ffmpeg', ['-v', 'error', '-y', ...args, ...codecs, file])
  return readPattern(file)
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loopback-'))
  recording = join(folder, 'whole.mkv')
  await recordLoopback({ places, seconds: 8, fps: 15, bitsPerSecond: 600_000, file: recording })
  whole = await readPattern(recording)
}, 60_000)
afterAll(() => rm(folder, { recursive: true }))

const each = <T>(report: PatternReport, of: (one: PatternReport['participants'][number]) => T) =>
  report.participants.map(of)
const offsets = (report: PatternReport) => each(report, one => one.offset?.medianMs ?? Number.NaN)

describe('patterns sent through WebRTC at 600 kbit/s and recorded by a real browser', () => {
  it('are all there, in tiles of any size, without a gap', () => {
    expect(each(whole, one => one.participant)).toEqual([1, 2, 3])
    for (const one of whole.participants) {
      expect(one.distinctCodes).toBeGreaterThan(8 * 15 * 0.8)
      expect(one.largestGapMs).toBeLessThan(longestGapMs)
      expect(one.unreadableFrames).toBeLessThan(whole.video.frames * 0.02)
      expect(one).toMatchObject({ misreadFrames: 0, stepsBack: 0 })
    }
  })

  it('have every second’s flash and beep, close together', () => {
    for (const one of whole.participants) {
      expect(one.missingBeeps).toEqual([])
      expect(one.missingFlashes.length).toBeLessThanOrEqual(mostFlashesLost)
      expect(one.offset?.pairs).toBeGreaterThanOrEqual(6)
      expect(Math.abs(one.offset?.medianMs ?? Number.NaN)).toBeLessThan(largestOffsetMs)
    }
  })
})

describe('damage to a recording shows in the report', () => {
  it('a second cut out is a gap of a second in everybody’s code, and a beep missing', async () => {
    const parts =
      '[0:v]split[v1][v2];[v1]trim=0:3[va];[v2]trim=start=4,setpts=PTS-STARTPTS[vb];' +
      '[0:a]asplit[a1][a2];[a1]atrim=0:3[aa];[a2]atrim=start=4,asetpts=PTS-STARTPTS[ab];' +
      '[va][aa][vb][ab]concat=v=1:a=1[v][a]'
    const report = await afterEdit('cut.mp4', [
      '-i',
      recording,
      '-filter_complex',
      parts,
      '-map',
      '[v]',
      '-map',
      '[a]',
    ])
    expect(each(report, one => one.participant)).toEqual([1, 2, 3])
    for (const one of report.participants) {
      expect(one.largestCodeGap.lengthMs).toBeGreaterThan(900)
      expect(one.largestCodeGap.lengthMs).toBeLessThan(1000 + longestGapMs)
      expect(Math.abs(one.largestCodeGap.atPtsMs - 3000)).toBeLessThan(longestGapMs)
      expect(one.missingBeeps.length).toBeGreaterThanOrEqual(1)
      expect(one.missingBeeps.length).toBeLessThanOrEqual(2)
    }
  })

  it('sound delayed by 200 ms is 200 ms more offset', async () => {
    const late = ['-i', recording, '-itsoffset', '0.2', '-i', recording, '-map', '0:v', '-map', '1:a']
    const report = await afterEdit('late.mkv', late, ['-c', 'copy'])
    const before = offsets(whole)
    for (const [index, offsetMs] of offsets(report).entries()) {
      expect(Math.abs(offsetMs - (before[index] ?? Number.NaN) - 200)).toBeLessThan(10)
    }
  })

  it('sound muted from the fourth second on is every later beep missing, and no frame', async () => {
    const report = await afterEdit('mute.mp4', ['-i', recording, '-af', "volume=0:enable='gte(t,4)'"])
    for (const one of report.participants) {
      expect(one.missingBeeps.length).toBeGreaterThanOrEqual(3)
      const from = one.frames.find(frame => frame.ptsMs >= 4000 - largestOffsetMs)
      expect(Math.min(...one.missingBeeps)).toBeGreaterThan((from?.codeMs ?? Number.NaN) - longestGapMs)
      expect(one.missingFlashes.length).toBeLessThanOrEqual(mostFlashesLost)
      expect(one.largestGapMs).toBeLessThan(longestGapMs)
    }
  })

  it('a tile blacked out for two seconds is out of sight, the others are not', async () => {
    const black = "drawbox=x=900:y=0:w=380:h=300:color=black:t=fill:enable='between(t,3,5)'"
    const report = await afterEdit('black.mp4', ['-i', recording, '-vf', black])
    const gaps = each(report, one => one.largestPtsGap)
    expect(gaps[1]?.lengthMs).toBeGreaterThan(1950)
    expect(gaps[1]?.lengthMs).toBeLessThan(2000 + longestGapMs)
    expect(gaps[0]?.lengthMs).toBeLessThan(longestGapMs)
    expect(gaps[2]?.lengthMs).toBeLessThan(longestGapMs)
    expect(each(report, one => one.missingBeeps)).toEqual([[], [], []])
    expect(report.participants[1]?.missingFlashes.length).toBeGreaterThanOrEqual(1)
  })

  it('a picture that freezes is a freeze, and a jump of the code after it', async () => {
    // Frames between 3 s and 4 s are replaced by repeating the last one before them.
    const frozen = "select='not(between(t,3,4))',fps=30"
    const report = await afterEdit('frozen.mp4', ['-i', recording, '-vf', frozen])
    for (const one of report.participants) {
      expect(one.longestFreeze.lengthMs).toBeGreaterThan(950)
      expect(one.longestFreeze.lengthMs).toBeLessThan(1000 + longestGapMs)
      expect(one.largestCodeGap.lengthMs).toBeGreaterThan(900)
      expect(one.largestPtsGap.lengthMs).toBeLessThan(longestGapMs)
      expect(one.missingBeeps).toEqual([])
    }
  })
})

it('patterns go on with another tab in front', async () => {
  const file = join(folder, 'background.mkv')
  await recordLoopback({ places, seconds: 4, fps: 15, bitsPerSecond: 600_000, file, inBackground: true })
  const report = await readPattern(file)
  expect(each(report, one => one.participant)).toEqual([1, 2, 3])
  for (const one of report.participants) {
    expect(one.distinctCodes).toBeGreaterThan(4 * 15 * 0.8)
    expect(one.largestGapMs).toBeLessThan(longestGapMs)
    expect(one.missingBeeps).toEqual([])
  }
}, 45_000)
