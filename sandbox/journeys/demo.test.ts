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

beforeAll(async () => {
  result = await runCommand('scripts/demo.ts', ['--once', '--json', '--seconds', String(SECONDS)], {
    limitMs: 150_000,
  })
  if (result.lines.length > 0) {
    answer = result.lines.at(-1) as unknown as DemoAnswer
    report = await readPattern(answer.recording.file)
  }
}, 240_000)

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
  for (const person of report.participants) {
    expect(person.largestCodeGap.lengthMs, `participant ${person.participant}`).toBeLessThanOrEqual(300)
    expect(person.missingBeeps, `participant ${person.participant}`).toEqual([])
    expect(person.beeps.length).toBeGreaterThanOrEqual(SECONDS - 2)
  }
})

test('sound and picture are together: at most 80 ms apart in the median', () => {
  for (const person of report.participants) {
    expect(
      Math.abs(person.offset?.medianMs ?? Number.NaN),
      `participant ${person.participant}`,
    ).toBeLessThanOrEqual(80)
  }
})
