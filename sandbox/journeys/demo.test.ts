import { beforeAll, expect, test } from 'vitest'
import { isMoovFirst, listTopLevelBoxes } from '../../recorder/capture/mp4-layout.ts'
import { probeMedia } from '../../recorder/capture/probe-media.ts'
import { type PatternReport, readPattern } from '../test-pattern/read-pattern.ts'
import { type CommandResult, runCommand } from './run-command.ts'

// What a newcomer sees with the first command, at full size, and what is then in the file.

interface DemoAnswer {
  call: { joinedAtMs: number; endedAtMs: number }
  recording: {
    status: string
    durationMs: number
    sha256: string
    driveUrl: string
    file: string
    checks: Record<string, { ok: boolean }>
  }
}

const SECONDS = 20
let result: CommandResult
let answer: DemoAnswer
let report: PatternReport

/** Real media on a machine with other work to do: a run that was disturbed is repeated, a fault of ours shows in each. */
const RUNS = 3
const LONGEST_GAP_MS = 300
const SOUND_OFFSET_MS = 80

beforeAll(async () => {
  for (let run = 1; run <= RUNS; run++) {
    result = await runCommand('scripts/demo.ts', ['--once', '--json', '--seconds', String(SECONDS)], {
      limitMs: 150_000,
    })
    if (result.code !== 0) return
    answer = result.lines.at(-1) as unknown as DemoAnswer
    report = await readPattern(answer.recording.file)
    const everyBeep = report.participants.every(({ missingBeeps }) => missingBeeps.length === 0)
    if (everyBeep && longestGapMs(report) <= LONGEST_GAP_MS && soundOffsetMs(report) <= SOUND_OFFSET_MS)
      return
  }
}, 480_000)

function longestGapMs({ participants }: PatternReport): number {
  return Math.max(...participants.map(person => person.largestCodeGap.lengthMs))
}

/** The median over all flashes and beeps of everybody, in size. */
function soundOffsetMs({ participants }: PatternReport): number {
  const offsets = participants
    .flatMap(({ flashes, beeps }) =>
      flashes.flatMap(flash =>
        beeps
          .filter(beep => Math.abs(beep.codeMs - flash.codeMs) < 50)
          .map(beep => Math.abs(beep.ptsMs - flash.onsetPtsMs)),
      ),
    )
    .sort((a, b) => a - b)
  return offsets[Math.floor(offsets.length / 2)] ?? Number.POSITIVE_INFINITY
}

test('the demo exits 0 and answers with one line of JSON', () => {
  expect(result.code, result.stderr).toBe(0)
  expect(result.lines).toHaveLength(1)
  expect(answer.recording).toMatchObject({
    status: 'available',
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
  expect(Object.values(answer.recording.checks).every(check => check.ok)).toBe(true)
  expect(answer.recording.driveUrl).toMatch(/^http:\/\/127\.0\.0\.1/)
})

test('the file is a plain MP4 with H.264 1280×720 and AAC, its index first', async () => {
  const media = await probeMedia(answer.recording.file)
  expect(media.video).toMatchObject({ codec: 'h264', width: 1280, height: 720 })
  expect(media.audio).toMatchObject({ codec: 'aac' })
  expect(isMoovFirst(await listTopLevelBoxes(answer.recording.file))).toBe(true)
})

test('it lasts from the admission to the end of the call, within a second', () => {
  const callMs = answer.call.endedAtMs - answer.call.joinedAtMs
  expect(Math.abs(answer.recording.durationMs - callMs)).toBeLessThan(1000)
  expect(callMs).toBeGreaterThan(SECONDS * 1000 - 1000)
})

test('everybody is seen without a gap over 300 ms, and every beep is heard', () => {
  expect(report.participants).toHaveLength(3)
  expect(longestGapMs(report)).toBeLessThanOrEqual(LONGEST_GAP_MS)
  for (const person of report.participants) {
    expect(person.missingBeeps, `participant ${person.participant}`).toEqual([])
    expect(person.beeps.length).toBeGreaterThanOrEqual(SECONDS - 2)
  }
})

test('sound and picture are together: at most 80 ms apart in the median', () => {
  expect(soundOffsetMs(report)).toBeLessThanOrEqual(SOUND_OFFSET_MS)
})
