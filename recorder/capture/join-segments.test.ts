import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runChild } from './child-process.ts'
import { readFragments } from './fragments.ts'
import { type AttemptPieces, joinSegments } from './join-segments.ts'
import { decode, gather, makeCapture, pieceOf, segmentsOf, withBrokenEnd } from './media-for-tests.ts'
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

/** When the pictures of a file are shown. */
async function pictureTimes(file: string): Promise<number[]> {
  const args = [
    '-v',
    'error',
    '-select_streams',
    'v:0',
    '-show_entries',
    'packet=pts_time',
    '-of',
    'csv=p=0',
    file,
  ]
  const { stdout } = await runChild('ffprobe', args, { name: 'ffprobe', timeoutMs: 20_000 })
  return stdout
    .trim()
    .split('\n')
    .map(line => Number.parseFloat(line) * 1000)
}

function range(count: number, fromMs: number): number[] {
  return Array.from({ length: count }, (_, index) => fromMs + (index * 1000) / 30)
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
  expect(places).toEqual([
    { part: 0, startMs: 0, endMs: expect.closeTo(11_000, -2), pictures: 330, movedByMs: 0 },
  ])
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

test('a fragment whose index promises more than it holds is left out, and its piece is named', async () => {
  const [init, , second] = segments
  if (!init || !second) throw new Error('segments were expected')
  const fragments = await gather(readFragments(Readable.from([init.bytes, second.bytes])))
  const last = fragments.at(-1)
  const lostPictures = last?.kind === 'media' ? last.pictures : 0
  expect(lostPictures).toBeGreaterThan(0)
  const broken = segments.map(segment => (segment === second ? withBrokenEnd(segment) : segment))
  const told: number[][] = []
  const file = join(dir, 'broken.mp4')
  await joinSegments([attempt(segments, [1]), attempt(broken, [1, 2, 3])], file, {
    onBroken: (...where) => told.push(where),
  })
  expect(told).toEqual([[1, 1]])
  const facts = await probeMedia(file)
  expect(facts.video?.pictures).toBe(120 + 330 - lostPictures)
  expect(facts.durationMs).toBeCloseTo(15_000, -2)
  expect((await decode(file)).complaints).toBe('')
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

test('another attempt takes over in the middle of a segment, and the first comes back later', async () => {
  const file = join(dir, 'three-parts.mp4')
  const places = await joinSegments(
    [
      { ...attempt(segments, [1, 2]), untilMs: 5_500 },
      { ...attempt(segments, [1]), untilMs: 3_100 },
      attempt(segments, [3]),
    ],
    file,
  )
  expect(places.map(({ pictures }) => pictures)).toEqual([165, 93, 90])
  const pictureAt = await pictureTimes(file)
  expect(pictureAt).toHaveLength(165 + 93 + 90)
  // Each picture lies where its place says: media time + `movedByMs`.
  const mediaMs = [...range(165, 0), ...range(93, 0), ...range(90, 8_000)]
  const partOf = [...Array(165).fill(0), ...Array(93).fill(1), ...Array(90).fill(2)] as number[]
  for (const [index, fileMs] of pictureAt.entries()) {
    const expected = (mediaMs[index] ?? 0) + (places[partOf[index] ?? 0]?.movedByMs ?? 0)
    expect(Math.abs(fileMs - expected)).toBeLessThan(1)
  }
  // At a seam the picture before it stands at most two packets of sound longer.
  expect(places[1]?.startMs).toBeLessThan(5_500 + 43)
  const facts = await probeMedia(file)
  expect(facts.durationMs).toBeCloseTo(5_500 + 3_100 + 3_000, -2)
  expect((await decode(file)).complaints).toBe('')
})

test('a part that is taken over before it begins is left out', async () => {
  const places = await joinSegments(
    [{ ...attempt(segments, [2]), untilMs: 4_000 }, attempt(segments, [1])],
    join(dir, 'one-of-two.mp4'),
  )
  expect(places.map(({ part }) => part)).toEqual([1])
})

test('chapters stand where the parts begin', async () => {
  const file = join(dir, 'chapters.mp4')
  const long = 'é'.repeat(200)
  const places = await joinSegments([attempt(segments, [1]), attempt(segments, [2, 3])], file, {
    chapters: laid =>
      laid.map(({ startMs }, index) => ({ startMs, title: index === 0 ? 'Beginning' : long })),
  })
  const args = ['-v', 'error', '-show_chapters', '-of', 'json', file]
  const { stdout } = await runChild('ffprobe', args, { name: 'ffprobe', timeoutMs: 20_000 })
  const { chapters } = JSON.parse(stdout) as { chapters: { start_time: string; tags: { title: string } }[] }
  expect(chapters.map(({ start_time }) => Math.round(Number(start_time) * 1000))).toEqual(
    places.map(({ startMs }) => Math.round(startMs)),
  )
  expect(chapters[0]?.tags.title).toBe('Beginning')
  expect(chapters[1]?.tags.title).toMatch(/^é{100,127}$/)
  const facts = await probeMedia(file)
  expect(facts).toMatchObject({ moovFirst: true, video: { pictures: 330 } })
  expect((await decode(file)).complaints).toBe('')
})

test('attempts whose sound was made with another bit rate join', async () => {
  const other = await segmentsOf(await makeCapture(dir, { seconds: 4 }), 4, 160_000)
  expect(other[0]?.bytes.equals(segments[0]?.bytes ?? Buffer.alloc(0))).toBe(false)
  const file = join(dir, 'bit-rates.mp4')
  await joinSegments([attempt(segments, [1]), attempt(other, [1]), attempt(segments, [2])], file)
  expect((await decode(file)).complaints).toBe('')
  expect((await probeMedia(file)).durationMs).toBeLessThan(12_000 + 3 * 43)
})

test('attempts of an encoder with other settings join, each decoded with its own', async () => {
  const x264 = 'cabac=1:8x8dct=1:weightp=2:ref=3'
  const other = await segmentsOf(await makeCapture(dir, { seconds: 4, picture: 'mandelbrot', x264 }))
  const alone = join(dir, 'other-alone.mp4')
  await joinSegments([attempt(other, [1])], alone)
  const plain = join(dir, 'plain-alone.mp4')
  await joinSegments([attempt(segments, [1])], plain)
  const file = join(dir, 'other-encoder.mp4')
  await joinSegments([attempt(segments, [1]), attempt(other, [1]), attempt(segments, [1])], file)
  const [both, first, second] = await Promise.all([decode(file), decode(plain), decode(alone)])
  expect(both.complaints).toBe('')
  const seen = both.hashes.filter((hash, index) => hash !== both.hashes[index - 1])
  expect(seen).toEqual([...first.hashes, ...second.hashes, ...first.hashes])
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

test('a place that cannot be written to is named', async () => {
  const joining = joinSegments([attempt(segments, [1])], join(dir, 'no-such-folder', 'out.mp4'))
  await expect(joining).rejects.toMatchObject({
    reason: 'not-written',
    message: expect.stringContaining('no such file or directory'),
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
    reason: 'timed-out',
    message: expect.stringContaining('too long'),
  })
  expect((await readdir(dir)).filter(name => !before.includes(name) && name !== 'hung.mp4')).toEqual([])
})
