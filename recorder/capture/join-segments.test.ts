import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type AttemptPieces, joinSegments } from './join-segments.ts'
import { makeCapture, pieceOf, segmentsOf } from './media-for-tests.ts'
import { probeMedia } from './probe-media.ts'
import type { Segment } from './segmenter.ts'

let dir: string
let segments: Segment[]
let smaller: Segment[]

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-join-'))
  segments = await segmentsOf(await makeCapture(dir, { seconds: 11 }))
  smaller = await segmentsOf(await makeCapture(dir, { seconds: 4, width: 160, height: 90 }))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

function attempt(of: readonly Segment[], numbers: readonly number[]): AttemptPieces {
  const pick = (number: number) => {
    const segment = of[number]
    if (segment === undefined) throw new Error(`there is no segment ${number}`)
    return pieceOf(segment)
  }
  return { init: pick(0), media: numbers.map(pick) }
}

test('one attempt becomes a plain MP4 with its index first, its picture and sound beginning at 0', async () => {
  const file = join(dir, 'one.mp4')
  const places = await joinSegments([attempt(segments, [1, 2, 3])], file)
  const facts = await probeMedia(file)
  expect(facts).toMatchObject({
    moovFirst: true,
    fragmented: false,
    video: { codec: 'h264', startMs: 0, pictures: 330 },
  })
  expect(facts.audio).toMatchObject({ codec: 'aac', startMs: 0 })
  expect(facts.durationMs).toBeCloseTo(11_000, -2)
  expect(places).toEqual([{ startMs: 0, endMs: expect.closeTo(11_000, -2), pictures: 330 }])
})

test('pieces may be files', async () => {
  const paths = await Promise.all(
    segments.map(async ({ number, bytes }) => {
      const path = join(dir, `piece-${number}`)
      await writeFile(path, bytes)
      return path
    }),
  )
  const file = join(dir, 'from-files.mp4')
  await joinSegments([{ init: paths[0] ?? '', media: paths.slice(1) }], file)
  expect((await probeMedia(file)).video?.pictures).toBe(330)
})

test('an attempt whose first segment is lost still begins at 0', async () => {
  const file = join(dir, 'headless.mp4')
  await joinSegments([attempt(segments, [2, 3])], file)
  const facts = await probeMedia(file)
  expect(facts.video?.startMs).toBeLessThan(25)
  expect(facts.audio?.startMs).toBeLessThan(25)
  expect(facts.durationMs).toBeCloseTo(7_000, -2)
})

test('a segment lost in the middle leaves its time in place', async () => {
  const file = join(dir, 'holed.mp4')
  await joinSegments([attempt(segments, [1, 3])], file)
  const facts = await probeMedia(file)
  expect(facts.durationMs).toBeCloseTo(11_000, -2)
  expect(facts.video?.pictures).toBe(210)
})

test('attempts follow one another without a hole, and empty ones are left out', async () => {
  const file = join(dir, 'three.mp4')
  const places = await joinSegments(
    [attempt(segments, [1, 2]), attempt(segments, []), attempt(segments, [1, 2, 3])],
    file,
  )
  const facts = await probeMedia(file)
  expect(facts.durationMs).toBeCloseTo(19_000, -2)
  expect(facts.video?.pictures).toBe(240 + 330)
  expect(places).toHaveLength(2)
  expect(places[1]?.startMs).toBe(places[0]?.endMs)
})

test('attempts of another picture size are refused', async () => {
  const joining = joinSegments([attempt(segments, [1]), attempt(smaller, [1])], join(dir, 'mixed.mp4'))
  await expect(joining).rejects.toMatchObject({ name: 'JoinFailed', reason: 'different-parameters' })
})

test('without any media there is nothing to join', async () => {
  const joining = joinSegments([attempt(segments, [])], join(dir, 'none.mp4'))
  await expect(joining).rejects.toMatchObject({ reason: 'no-media' })
})

test('a piece that cannot be read ends the joining with its name', async () => {
  const [init] = segments
  if (init === undefined) throw new Error('an init piece was expected')
  const joining = joinSegments(
    [{ init: pieceOf(init), media: [join(dir, 'not-there')] }],
    join(dir, 'lost.mp4'),
  )
  await expect(joining).rejects.toMatchObject({
    reason: 'unreadable-piece',
    message: expect.stringContaining('not-there'),
  })
})

test('a place that cannot be written to is told in the words of ffmpeg', async () => {
  const joining = joinSegments([attempt(segments, [1])], join(dir, 'no-such-folder', 'out.mp4'))
  await expect(joining).rejects.toMatchObject({
    reason: 'ffmpeg-failed',
    message: expect.stringContaining('No such file'),
  })
})

test('a source that hangs ends with the time limit and leaves no temporary files', async () => {
  const [init] = segments
  if (init === undefined) throw new Error('an init piece was expected')
  const hanging = () => ({
    [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }),
  })
  const before = await readdir(dir)
  const joining = joinSegments([{ init: pieceOf(init), media: [hanging] }], join(dir, 'hung.mp4'), {
    timeoutMs: 300,
  })
  await expect(joining).rejects.toMatchObject({
    reason: 'ffmpeg-failed',
    message: expect.stringContaining('too long'),
  })
  expect((await readdir(dir)).filter(name => !before.includes(name) && name !== 'hung.mp4')).toEqual([])
})
