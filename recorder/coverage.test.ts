import { describe, expect, test } from 'vitest'
import type { Gap } from '../db/schema.ts'
import { type CoverageFacts, computeCoverage, EDGE_TOLERANCE_MS, type Interval } from './coverage.ts'

const begin = Date.parse('2031-03-05T15:00:00.000Z')
const iso = (seconds: number) => new Date(begin + seconds * 1000).toISOString()
const stay = (from: number, to: number): Interval => ({ from: begin + from * 1000, to: begin + to * 1000 })
const recorded = (from: number, to: number) => ({ clockStart: iso(from), clockEnd: iso(to) })
const gap = (from: number, to: number, reason: Gap['reason']): Gap => ({
  from: iso(from),
  to: iso(to),
  ms: (to - from) * 1000,
  reason,
})
const cover = (facts: Partial<CoverageFacts>) =>
  computeCoverage({ humans: [], timeline: [], gaps: [], withoutFile: 'missed', ...facts })

test('a call recorded from before the first person until after the last is covered whole', () => {
  expect(cover({ humans: [stay(60, 660)], timeline: [recorded(0, 700)] })).toEqual({
    percent: 100,
    humanMs: 600_000,
    recordedMs: 600_000,
    gaps: [],
  })
})

test('people who are there together, or one after another, are one time', () => {
  const humans = [stay(0, 100), stay(50, 200), stay(200, 300), stay(400, 500)]
  expect(cover({ humans, timeline: [recorded(0, 500)] })).toMatchObject({ humanMs: 400_000, percent: 100 })
})

test('a gap counts only as far as a person was there, with the reason it has in the recording', () => {
  const facts = {
    humans: [stay(0, 110)],
    timeline: [recorded(0, 100), recorded(130, 200)],
    gaps: [gap(100, 130, 'recorder_died')],
  }
  expect(cover(facts)).toEqual({
    percent: 90.9,
    humanMs: 110_000,
    recordedMs: 100_000,
    gaps: [gap(100, 110, 'recorder_died')],
  })
})

test('what was said before the recording and after it has its own reasons', () => {
  const facts = { humans: [stay(0, 100)], timeline: [recorded(10, 80)] }
  expect(cover(facts).gaps).toEqual([gap(0, 10, 'not_yet_recording'), gap(80, 100, 'ended_too_early')])
})

test('a hole with two reasons is two gaps, and a hole that nobody knows of is a lost segment', () => {
  const facts = {
    humans: [stay(0, 100)],
    timeline: [recorded(0, 20), recorded(50, 70), recorded(74, 100)],
    gaps: [gap(20, 30, 'browser_died'), gap(30, 50, 'capture_failed')],
  }
  expect(cover(facts).gaps).toEqual([
    gap(20, 30, 'browser_died'),
    gap(30, 50, 'capture_failed'),
    gap(70, 74, 'segment_lost'),
  ])
})

test('a held call without any file is missing whole, for the reason why there is none', () => {
  expect(cover({ humans: [stay(0, 100)], withoutFile: 'bot_not_signed_in' })).toEqual({
    percent: 0,
    humanMs: 100_000,
    recordedMs: 0,
    gaps: [gap(0, 100, 'bot_not_signed_in')],
  })
})

test('where nobody came there is no percentage', () => {
  expect(cover({ timeline: [recorded(0, 100)] })).toEqual({
    percent: null,
    humanMs: 0,
    recordedMs: 0,
    gaps: [],
  })
})

test('almost all is not all', () => {
  const facts = { humans: [stay(0, 100_000)], timeline: [recorded(0, 50_000), recorded(50_000.5, 100_000)] }
  expect(cover(facts).percent).toBe(99.99)
})

describe("Google's times, which lag a little", () => {
  const tolerated = EDGE_TOLERANCE_MS / 1000

  test('make no gap at the edges of a stretch of people', () => {
    const facts = { humans: [stay(0, 100), stay(200, 300)], timeline: [recorded(tolerated, 300 - tolerated)] }
    expect(cover(facts)).toMatchObject({ percent: 100, gaps: [], humanMs: 200_000 - 2 * EDGE_TOLERANCE_MS })
  })

  test('excuse nothing that is longer: then all of it counts', () => {
    const late = tolerated + 0.001
    const facts = { humans: [stay(0, 100)], timeline: [recorded(late, 100)] }
    expect(cover(facts)).toMatchObject({ humanMs: 100_000, gaps: [gap(0, late, 'not_yet_recording')] })
  })

  test('excuse nothing in the middle, however short', () => {
    const facts = { humans: [stay(0, 100)], timeline: [recorded(0, 50), recorded(51, 100)] }
    expect(cover(facts)).toMatchObject({ humanMs: 100_000, recordedMs: 99_000, percent: 99 })
  })

  test('make no presence of somebody who only looked in', () => {
    expect(cover({ humans: [stay(0, tolerated)] }).percent).toBeNull()
  })
})

test('whatever happens, recorded and missing time make up the human time, and gaps lie in order within it', () => {
  const random = randomNumbers(20_310_305)
  const some = (most: number) => Array.from({ length: Math.floor(random() * most) })
  const reasons: Gap['reason'][] = ['recorder_died', 'removed_from_call', 'segment_lost']
  for (let round = 0; round < 3000; round++) {
    const span = (): [number, number] => {
      const from = Math.floor(random() * 60_000) / 1000
      return [from, from + Math.floor(random() * 20_000) / 1000]
    }
    const humans = some(5).map(() => stay(...span()))
    const facts = {
      humans,
      timeline: some(4).map(() => recorded(...span())),
      gaps: some(4).map((_, at) => gap(...span(), reasons[at % 3] ?? 'missed')),
    }
    const { percent, humanMs, recordedMs, gaps } = cover(facts)
    const missingMs = gaps.reduce((sum, { ms }) => sum + ms, 0)
    expect(recordedMs + missingMs).toBe(humanMs)
    if (percent === null) expect(humanMs).toBe(0)
    else expect(percent >= 0 && percent <= 100).toBe(true)
    expect(percent === 100).toBe(humanMs > 0 && gaps.length === 0)
    let last = 0
    for (const { from, to, ms } of gaps) {
      expect(Date.parse(from)).toBeGreaterThanOrEqual(last)
      last = Date.parse(to)
      expect(last - Date.parse(from)).toBe(ms)
      expect(ms).toBeGreaterThan(0)
      expect(humans.some(one => one.from < last && one.to > Date.parse(from))).toBe(true)
    }
  }
})

/** The same numbers in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
