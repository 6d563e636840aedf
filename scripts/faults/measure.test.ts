import { expect, test } from 'vitest'
import type { PatternReport } from '../../sandbox/test-pattern/read-pattern.ts'
import { coveredTimes, heardShare, holesIn, longestRepeatMs } from './covered.ts'
import { measureHoles } from './holes.ts'
import { judge, type Row, type Seen } from './row.ts'

const T = 1_900_000_000_000
const CODE_MODULO_MS = 10_000_000

/** A report that shows one participant at these times, in milliseconds after T, with a beep each whole second. */
function shown(times: number[], beepsAt: number[] = []): PatternReport {
  const code = (ms: number) => (T + ms) % CODE_MODULO_MS
  const person = {
    participant: 1,
    frames: times.map((ms, index) => ({ ptsMs: index * 66, codeMs: code(ms), flash: false })),
    beeps: beepsAt.map(ms => ({ codeMs: code(ms), ptsMs: ms, level: 0.2 })),
  }
  return { participants: [person] } as unknown as PatternReport
}
const range = (from: number, to: number) =>
  Array.from({ length: Math.floor((to - from) / 100) + 1 }, (_, index) => from + index * 100)

test('times in the file become stretches; half a second without a new code is a hole', () => {
  const report = shown([...range(0, 4_000), ...range(9_000, 12_000)])
  const stretches = coveredTimes(report, T + 5_000)
  expect(stretches).toEqual([
    { fromMs: T, toMs: T + 4_000 },
    { fromMs: T + 9_000, toMs: T + 12_000 },
  ])
  expect(holesIn({ fromMs: T - 1_000, toMs: T + 12_300 }, stretches)).toEqual([
    { fromMs: T - 1_000, toMs: T },
    { fromMs: T + 4_000, toMs: T + 9_000 },
  ])
})

test('what was shown once and comes again is a repeat', () => {
  expect(longestRepeatMs(shown(range(0, 3_000)))).toBe(0)
  expect(longestRepeatMs(shown([...range(0, 3_000), ...range(1_800, 5_000)]))).toBe(1_200)
})

test('the share of beeps that are heard counts only the recorded time', () => {
  const stretches = [{ fromMs: T, toMs: T + 5_000 }]
  expect(heardShare(shown([0], [1_000, 2_000, 3_000, 4_000, 9_000]), stretches, T)).toBe(1)
  expect(heardShare(shown([0], [1_000, 3_000]), stretches, T)).toBe(0.5)
})

test('of a hole at the fault, the part before is lost and the part after is the recovery', () => {
  const hole = { fromMs: T - 700, toMs: T + 8_300 }
  expect(measureHoles([hole], { faultAtMs: T, interrupts: true })).toEqual({
    lostSeconds: 0.7,
    recoverySeconds: 8.3,
  })
  expect(measureHoles([], { faultAtMs: T, interrupts: true })).toEqual({ lostSeconds: 0, recoverySeconds: 0 })
})

test('what a fault does to the picture may begin later, where the row says so', () => {
  const hole = { fromMs: T + 9_800, toMs: T + 15_500 }
  expect(measureHoles([hole], { faultAtMs: T, noticedMs: 15_000, interrupts: true })).toEqual({
    lostSeconds: 0,
    recoverySeconds: 15.5,
  })
  expect(measureHoles([hole], { faultAtMs: T, interrupts: true })).toEqual({
    lostSeconds: 5.7,
    recoverySeconds: 0,
  })
})

test('recovery counts from the return of what was away, and holes after it are losses', () => {
  const holes = [
    { fromMs: T + 100, toMs: T + 33_000 },
    { fromMs: T + 40_000, toMs: T + 42_000 },
  ]
  expect(measureHoles(holes, { faultAtMs: T, backAtMs: T + 30_000, interrupts: true })).toEqual({
    lostSeconds: 2,
    recoverySeconds: 3,
  })
})

test('where nothing may be interrupted every hole is a loss', () => {
  const hole = { fromMs: T + 4_000, toMs: T + 6_000 }
  expect(measureHoles([hole], { faultAtMs: T, interrupts: false })).toEqual({
    lostSeconds: 2,
    recoverySeconds: 6,
  })
})

test('a row passes within its limits, and says what is beyond them', () => {
  const row = { name: 'x', mostLostSeconds: 1, mostRecoverySeconds: 30 } as Row
  const seen: Seen = {
    lostSeconds: 0.4,
    recoverySeconds: 12,
    ending: 'call_ended_by_host',
    status: 'partial',
    attempts: [],
    gaps: [],
    holes: [],
    failedChecks: [],
    why: [],
  }
  expect(judge(row, seen, 20)).toMatchObject({ fault: 'x', ok: true, lostSeconds: 0.4, tookSeconds: 20 })
  expect(judge(row, { ...seen, lostSeconds: 1.1 }, 20).why).toEqual([
    '1.1 s of video are lost, at most 1 s may be',
  ])
  expect(judge(row, { ...seen, recoverySeconds: 31 }, 20).ok).toBe(false)
  expect(judge(row, { ...seen, status: 'failed' }, 20).ok).toBe(false)
})
