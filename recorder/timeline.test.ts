import { expect, test } from 'vitest'
import { placeOnFile, planTimeline, type TimelineAttempt, type TimelineSegment } from './timeline.ts'

// Pure values: the clock begins at T, segments last 4 s unless a test says otherwise.

const T = Date.parse('2026-11-22T15:00:00.000Z')
const at = (ms: number) => new Date(T + ms).toISOString()

const attempt = (number: number, facts: Partial<TimelineAttempt> = {}): TimelineAttempt => ({
  id: `a${number}`,
  number,
  lane: 0,
  clockOffsetMs: 0,
  endedAt: null,
  ending: 'call_ended_by_host',
  ...facts,
})

interface Media {
  /** Clock of media time 0, after T. */
  fromMs: number
  segments: number
  durationMs?: number
  without?: number[]
  thinned?: number[]
}

function media(number: number, { fromMs, segments, durationMs = 4000, ...but }: Media): TimelineSegment[] {
  return Array.from({ length: segments }, (_, index) => ({
    attemptId: `a${number}`,
    number: index + 1,
    startMs: index * durationMs,
    durationMs,
    startedAt: new Date(T + fromMs + index * durationMs),
    thinned: but.thinned?.includes(index + 1) ?? false,
  })).filter(segment => !but.without?.includes(segment.number))
}

const shown = (plan: ReturnType<typeof planTimeline>) =>
  plan.pieces.map(
    piece =>
      `${piece.attempt}:${piece.segments.map(({ number }) => number).join(',')}${piece.cutAtMs === undefined ? '' : `<${piece.cutAtMs}`}`,
  )

test('one attempt is one piece, and file time is clock time from its first picture on', () => {
  const plan = planTimeline([attempt(1)], media(1, { fromMs: 0, segments: 3 }))
  expect(shown(plan)).toEqual(['1:1,2,3'])
  expect(plan.gaps).toEqual([])
  expect(plan.timeline).toEqual([
    { fileStartMs: 0, fileEndMs: 12_000, clockStart: at(0), clockEnd: at(12_000), attempt: 1 },
  ])
})

test('the init piece is no media', () => {
  const init = { ...media(1, { fromMs: 0, segments: 1 })[0], number: 0, durationMs: 0 } as TimelineSegment
  expect(planTimeline([attempt(1)], [init])).toEqual({ pieces: [], gaps: [], timeline: [] })
})

test('between attempts lies a gap with the ending of the one before as its reason', () => {
  const plan = planTimeline(
    [attempt(1, { ending: 'browser_died' }), attempt(2)],
    [...media(1, { fromMs: 0, segments: 2 }), ...media(2, { fromMs: 20_000, segments: 1 })],
  )
  expect(plan.gaps).toEqual([{ from: at(8000), to: at(20_000), ms: 12_000, reason: 'browser_died' }])
  expect(plan.timeline.map(entry => [entry.fileStartMs, entry.fileEndMs, entry.clockStart])).toEqual([
    [0, 8000, at(0)],
    [8000, 12_000, at(20_000)],
  ])
})

test('an attempt nobody closed ended because its recorder died', () => {
  const plan = planTimeline(
    [attempt(1, { ending: null }), attempt(2)],
    [...media(1, { fromMs: 0, segments: 1 }), ...media(2, { fromMs: 9000, segments: 1 })],
  )
  expect(plan.gaps[0]?.reason).toBe('recorder_died')
})

test("a recorder's clock is corrected to the database's, to the millisecond", () => {
  const plan = planTimeline(
    [attempt(1, { clockOffsetMs: -300_007 }), attempt(2)],
    [...media(1, { fromMs: 300_007, segments: 1 }), ...media(2, { fromMs: 5123, segments: 1 })],
  )
  expect(plan.timeline.map(entry => entry.clockStart)).toEqual([at(0), at(5123)])
  expect(plan.gaps[0]?.ms).toBe(1123)
})

test('a clock stepped in the middle of an attempt makes no gap', () => {
  const rows = media(1, { fromMs: 0, segments: 9 })
  for (const row of rows.slice(6)) row.startedAt = new Date(row.startedAt.getTime() + 300_000)
  const plan = planTimeline([attempt(1)], rows)
  expect(plan.gaps).toEqual([])
  expect(plan.timeline).toMatchObject([{ clockStart: at(0), clockEnd: at(36_000) }])
})

test('a handover has no gap: the later one takes over at the start of a segment, once it has settled', () => {
  const plan = planTimeline(
    [attempt(1, { ending: 'handed_over' }), attempt(2)],
    [...media(1, { fromMs: 0, segments: 5 }), ...media(2, { fromMs: 9000, segments: 5 })],
  )
  expect(shown(plan)).toEqual(['1:1,2,3,4<13000', '2:2,3,4,5'])
  expect(plan.gaps).toEqual([])
  expect(plan.timeline.map(entry => [entry.clockStart, entry.clockEnd])).toEqual([
    [at(0), at(13_000)],
    [at(13_000), at(29_000)],
  ])
})

test('when the earlier one leaves before the later one has settled, the later one is there from its first picture', () => {
  const plan = planTimeline(
    [attempt(1), attempt(2)],
    [...media(1, { fromMs: 0, segments: 3 }), ...media(2, { fromMs: 11_000, segments: 2 })],
  )
  expect(shown(plan)).toEqual(['1:1,2,3<11000', '2:1,2'])
})

test('a newcomer that dies gives way to the one that stayed', () => {
  const plan = planTimeline(
    [attempt(1, { endedAt: new Date(T + 60_000) }), attempt(2, { endedAt: new Date(T + 22_000) })],
    [...media(1, { fromMs: 0, segments: 10 }), ...media(2, { fromMs: 9000, segments: 3 })],
  )
  expect(shown(plan)).toEqual(['1:1,2,3,4<13000', '2:2,3<11000', '1:6,7,8,9,10'])
  expect(plan.gaps).toEqual([])
})

test('the second lane is not switched to while the first one is whole', () => {
  const plan = planTimeline(
    [attempt(1), attempt(2, { lane: 1 })],
    [...media(1, { fromMs: 0, segments: 5 }), ...media(2, { fromMs: 1000, segments: 5 })],
  )
  expect(shown(plan)).toEqual(['1:1,2,3,4,5<17000', '2:5'])
})

test('the second lane fills the holes of the first, and stays until it has one itself', () => {
  const plan = planTimeline(
    [attempt(1), attempt(2, { lane: 1 })],
    [
      ...media(1, { fromMs: 0, segments: 8, without: [3] }),
      ...media(2, { fromMs: 1000, segments: 7, without: [5] }),
    ],
  )
  expect(shown(plan)).toEqual(['1:1,2<5000', '2:2,3,4<15000', '1:5,6,7,8'])
  expect(plan.gaps).toEqual([])
})

test('thinned segments give way to the other lane', () => {
  const plan = planTimeline(
    [attempt(1), attempt(2, { lane: 1 })],
    [...media(1, { fromMs: 0, segments: 6, thinned: [3, 4] }), ...media(2, { fromMs: 1000, segments: 6 })],
  )
  expect(shown(plan)).toEqual(['1:1,2<5000', '2:2,3,4,5,6'])
})

test('thinned segments are shown where there is nothing else', () => {
  const plan = planTimeline([attempt(1)], media(1, { fromMs: 0, segments: 4, thinned: [2, 3] }))
  expect(shown(plan)).toEqual(['1:1,2,3,4'])
})

test('a hole inside an attempt makes the file jump and is named', () => {
  const plan = planTimeline([attempt(1)], media(1, { fromMs: 0, segments: 4, without: [2] }))
  expect(shown(plan)).toEqual(['1:1', '1:3,4'])
  expect(plan.gaps).toEqual([{ from: at(4000), to: at(8000), ms: 4000, reason: 'segment_lost' }])
  expect(plan.timeline.map(entry => [entry.fileStartMs, entry.fileEndMs, entry.clockStart])).toEqual([
    [0, 4000, at(0)],
    [4000, 12_000, at(8000)],
  ])
})

test('segments lost at the head and at the tail of a recording are gaps too', () => {
  const rows = media(1, { fromMs: 0, segments: 5 })
  const plan = planTimeline([attempt(1)], rows.slice(1, 4), [rows[4] as TimelineSegment])
  expect(plan.gaps).toEqual([
    { from: at(0), to: at(4000), ms: 4000, reason: 'segment_lost' },
    { from: at(16_000), to: at(20_000), ms: 4000, reason: 'segment_lost' },
  ])
})

test('between attempts what was recorded and lost is told from what was never recorded', () => {
  const rows = media(1, { fromMs: 0, segments: 3 })
  const plan = planTimeline(
    [attempt(1, { ending: 'recorder_died' }), attempt(2)],
    [...rows.slice(0, 2), ...media(2, { fromMs: 30_000, segments: 1 })],
    rows.slice(2),
  )
  expect(plan.gaps).toEqual([
    { from: at(8000), to: at(12_000), ms: 4000, reason: 'segment_lost' },
    { from: at(12_000), to: at(30_000), ms: 18_000, reason: 'recorder_died' },
  ])
})

test('a lost segment that another attempt covers is no gap', () => {
  const rows = media(1, { fromMs: 0, segments: 6 })
  const plan = planTimeline(
    [attempt(1), attempt(2, { lane: 1 })],
    [...rows.filter(row => row.number !== 3), ...media(2, { fromMs: 1000, segments: 4 })],
    rows.filter(row => row.number === 3),
  )
  expect(plan.gaps).toEqual([])
})

test('an attempt that lost everything is a gap of its own', () => {
  const rows = media(1, { fromMs: 0, segments: 2 })
  const plan = planTimeline([attempt(1), attempt(2)], media(2, { fromMs: 8000, segments: 1 }), rows)
  expect(plan.gaps).toEqual([{ from: at(0), to: at(8000), ms: 8000, reason: 'segment_lost' }])
})

test.each([
  ['before the earlier one', -50_000],
  ['in the middle of an earlier one that lasts much longer', 30_000],
  ['a year later', 365 * 86_400_000],
])('a clock that claims to begin %s is not believed: the attempts lie one after the other', (_, fromMs) => {
  const plan = planTimeline(
    [
      attempt(1, { ending: 'browser_died', endedAt: new Date(T + 400_000) }),
      attempt(2, { endedAt: new Date(T + 500_000) }),
    ],
    [...media(1, { fromMs: 0, segments: 100 }), ...media(2, { fromMs, segments: 2 })],
  )
  expect(shown(plan)[1]).toBe('2:1,2')
  expect(plan.gaps).toEqual([{ from: at(400_000), to: at(400_000), ms: 0, reason: 'browser_died' }])
  expect(plan.timeline.at(-1)).toMatchObject({ fileEndMs: 408_000, clockEnd: at(408_000) })
})

test('two that both stay to the end are believed, though the earlier one leaves a little later', () => {
  const plan = planTimeline(
    [attempt(1, { endedAt: new Date(T + 20_000) }), attempt(2, { endedAt: new Date(T + 77_000) })],
    [...media(1, { fromMs: 0, segments: 20 }), ...media(2, { fromMs: 37_000, segments: 10 })],
  )
  expect(plan.gaps).toEqual([])
  expect(plan.timeline.at(-1)?.clockEnd).toBe(at(80_000))
})

test('places the joining found are what the map says, and its clock is the one of the first thing there', () => {
  const { pieces } = planTimeline(
    [attempt(1), attempt(2)],
    [...media(1, { fromMs: 0, segments: 1 }), ...media(2, { fromMs: 10_000, segments: 2 })],
  )
  const timeline = placeOnFile(pieces, [
    { startMs: 0, endMs: 4021.3, movedByMs: 0 },
    // Its sound begins 10 ms before its first picture.
    { startMs: 4021.3, endMs: 12_042, movedByMs: 4031.3 },
  ])
  expect(timeline).toEqual([
    { fileStartMs: 0, fileEndMs: 4021, clockStart: at(0), clockEnd: at(4021), attempt: 1 },
    { fileStartMs: 4021, fileEndMs: 12_042, clockStart: at(9990), clockEnd: at(18_011), attempt: 2 },
  ])
  expect(() => placeOnFile(pieces, [])).toThrow('piece 1 of attempt 1')
})

/** Numbers that look random and are the same every time (mulberry32). */
function dice(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below)
  }
}

function anyCall(seed: number) {
  const roll = dice(seed)
  const attempts: TimelineAttempt[] = []
  const rows: TimelineSegment[] = []
  for (let number = 1; number <= 1 + roll(5); number++) {
    const lane = roll(2)
    const clockOffsetMs = roll(600_000) - 300_000
    const fromMs = number * 15_000 + roll(30_000)
    const segments = 1 + roll(14)
    attempts.push(attempt(number, { lane, clockOffsetMs, endedAt: new Date(T + roll(200_000)) }))
    const anySegment = () => Array.from({ length: roll(4) }, () => 1 + roll(segments))
    rows.push(
      ...media(number, {
        fromMs: fromMs - clockOffsetMs,
        segments,
        durationMs: 500 + roll(4000),
        without: anySegment(),
        thinned: anySegment(),
      }),
    )
  }
  return { attempts, rows }
}

test('whatever the call was like: file time is contiguous, the map is exact, and nothing is dropped that nobody covers', () => {
  for (let seed = 1; seed <= 3000; seed++) {
    const { attempts, rows } = anyCall(seed)
    const { pieces, timeline } = planTimeline(attempts, rows)
    const label = `seed ${seed}`
    let fileMs = 0
    for (const [index, entry] of timeline.entries()) {
      expect(entry.fileStartMs, label).toBe(fileMs)
      const piece = pieces[index]
      const lastsMs = (piece?.endMs ?? 0) - (piece?.startMs ?? 0)
      expect(lastsMs, label).toBeGreaterThan(0)
      expect(entry.fileEndMs - entry.fileStartMs, label).toBe(lastsMs)
      expect(Date.parse(entry.clockEnd) - Date.parse(entry.clockStart), label).toBe(lastsMs)
      fileMs = entry.fileEndMs
    }
    // Every attempt's clock as the plan laid it, found from its own pieces or, without any, from the row.
    const covered = timeline.map(entry => [Date.parse(entry.clockStart), Date.parse(entry.clockEnd)] as const)
    for (const of of attempts) {
      const own = pieces.find(piece => piece.attemptId === of.id)
      const zeroMs = own && own.clockStartMs - own.startMs
      for (const row of rows.filter(({ attemptId }) => attemptId === of.id)) {
        const startMs =
          zeroMs === undefined ? row.startedAt.getTime() + of.clockOffsetMs : zeroMs + row.startMs
        expect(uncoveredMs(startMs, startMs + row.durationMs, covered), label).toBe(0)
      }
    }
  }
})

function uncoveredMs(fromMs: number, toMs: number, covered: readonly (readonly [number, number])[]): number {
  let left = [[fromMs, toMs] as const]
  for (const [startMs, endMs] of covered)
    left = left.flatMap(([a, b]) =>
      [[a, Math.min(b, startMs)] as const, [Math.max(a, endMs), b] as const].filter(([x, y]) => y > x),
    )
  return left.reduce((sum, [a, b]) => sum + b - a, 0)
}
