import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { drawRecording } from './drawn-recording.ts'
import { readPattern } from './read-pattern.ts'

const run = promisify(execFile)
/** A quarter before a whole second: the seconds of file and code do not coincide. */
const startWallMs = 1_760_000_000_750
const fps = 20
const frameMs = 1000 / fps
let folder: string
let recording: string

// Without -enc_time_base:v the encoder may move frames to multiples of the nominal frame time.
const h264 = ['-fps_mode', 'passthrough', '-enc_time_base:v', '-1', '-c:v', 'libx264', '-preset', 'ultrafast']

/** The recording after a run of ffmpeg, read. */
async function afterEdit(name: string, args: string[], codecs = [...h264, '-c:a', 'aac']) {
  const file = join(folder, name)
  await run('ffmpeg', ['-v', 'error', '-y', ...args, ...codecs, file])
  const report = await readPattern(file)
  expect(report.participants.map(one => one.participant)).toEqual([1, 2, 3])
  return report.participants
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'damage-'))
  recording = join(folder, 'whole.mp4')
  await drawRecording({
    file: recording,
    seconds: 8,
    fps,
    startWallMs,
    tilesAt: () => [
      { participant: 1, x: 20, y: 20, width: 860 },
      { participant: 2, x: 920, y: 20, width: 320 },
      { participant: 3, x: 1101, y: 603, width: 150 },
    ],
    soundDelaysMs: new Map([1, 2, 3].map(number => [number, () => 0])),
  })
})
afterAll(() => rm(folder, { recursive: true }))

it('an undamaged recording has nothing missing', async () => {
  for (const one of await afterEdit('same.mp4', ['-i', recording])) {
    expect(one).toMatchObject({ largestGapMs: frameMs, missingBeeps: [], missingFlashes: [] })
    expect(one.longestFreeze.lengthMs).toBe(frameMs)
    expect(Math.abs(one.offset?.medianMs ?? Number.NaN)).toBeLessThan(5)
  }
})

it('a second cut out is a gap of a second in everybody’s code, and a beep missing', async () => {
  const parts =
    '[0:v]split[v1][v2];[v1]trim=0:3[va];[v2]trim=start=4,setpts=PTS-STARTPTS[vb];' +
    '[0:a]asplit[a1][a2];[a1]atrim=0:3[aa];[a2]atrim=start=4,asetpts=PTS-STARTPTS[ab];' +
    '[va][aa][vb][ab]concat=v=1:a=1[v][a]'
  const cut = ['-i', recording, '-filter_complex', parts, '-map', '[v]', '-map', '[a]']
  for (const one of await afterEdit('cut.mp4', cut)) {
    expect(one.largestCodeGap).toEqual({ lengthMs: 1000 + frameMs, atPtsMs: 3000 - frameMs })
    expect(one.missingBeeps).toHaveLength(1)
    expect(one.missingFlashes).toEqual(one.missingBeeps)
  }
})

it('sound delayed by 200 ms is an offset of 200 ms', async () => {
  const late = ['-i', recording, '-itsoffset', '0.2', '-i', recording, '-map', '0:v', '-map', '1:a']
  for (const one of await afterEdit('late.mp4', late, ['-c', 'copy'])) {
    expect(Math.abs((one.offset?.medianMs ?? Number.NaN) - 200)).toBeLessThan(5)
    expect(one.missingBeeps).toEqual([])
  }
})

it('sound muted from the fourth second on is every later beep missing, and no frame', async () => {
  for (const one of await afterEdit('mute.mp4', ['-i', recording, '-af', "volume=0:enable='gte(t,4)'"])) {
    expect(one.beeps).toHaveLength(4)
    // The code runs from .75, so that four slots of each participant lie between 4 s and the last 300 ms.
    expect(one.missingBeeps).toHaveLength(4)
    expect(one).toMatchObject({ missingFlashes: [], largestGapMs: frameMs })
  }
})

it('a tile blacked out for two seconds is out of sight, the others are not', async () => {
  const black = "drawbox=x=900:y=0:w=380:h=300:color=black:t=fill:enable='between(t,3,5)'"
  const [first, second, third] = await afterEdit('black.mp4', ['-i', recording, '-vf', black])
  expect(second?.largestPtsGap).toEqual({ lengthMs: 2000 + 2 * frameMs, atPtsMs: 3000 - frameMs })
  expect(second?.missingBeeps).toEqual([])
  expect(second?.missingFlashes).toHaveLength(2)
  expect(first).toMatchObject({ largestGapMs: frameMs, missingFlashes: [] })
  expect(third).toMatchObject({ largestGapMs: frameMs, missingFlashes: [] })
})

it('a picture that freezes for a second is a freeze, and a jump of the code after it', async () => {
  // The frames of one second are dropped, and the last one before them is repeated in their place.
  const frozen = `select='not(gte(t,3)*lt(t,4))',fps=${fps}`
  for (const one of await afterEdit('frozen.mp4', ['-i', recording, '-vf', frozen])) {
    expect(one.longestFreeze).toEqual({ lengthMs: 1000 + frameMs, atPtsMs: 3000 - frameMs })
    expect(one.largestCodeGap.lengthMs).toBe(1000 + frameMs)
    expect(one.largestPtsGap.lengthMs).toBe(frameMs)
    expect(one.missingBeeps).toEqual([])
  }
})
