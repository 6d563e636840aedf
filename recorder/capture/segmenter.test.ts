import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runChild } from './child-process.ts'
import { joinSegments } from './join-segments.ts'
import type { SegmenterRestart } from './live-ffmpeg.ts'
import { decode, ffmpeg, gather, makeCapture, pieceOf, segmentsOf } from './media-for-tests.ts'
import { probeMedia } from './probe-media.ts'
import { type OpenFragment, type Segment, startSegmenter } from './segmenter.ts'

const settings = { segmentSeconds: 4, startedAtMs: 1_700_000_000_000, audioBitrate: 96_000 }
let dir: string
let capture: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-segmenter-'))
  capture = await makeCapture(dir, { seconds: 11 })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function probeJoined(segments: readonly Segment[]) {
  const file = join(dir, 'joined.mp4')
  await writeFile(file, Buffer.concat(segments.map(({ bytes }) => bytes)))
  return probeMedia(file)
}

/** Chunks of a file that wait for a word after the first half. */
async function halfAndWait(file: string) {
  const bytes = await readFile(file)
  const goOn = Promise.withResolvers<void>()
  async function* chunks() {
    yield bytes.subarray(0, bytes.length / 2)
    await goOn.promise
    yield bytes.subarray(bytes.length / 2)
  }
  return { chunks: chunks(), goOn: goOn.resolve }
}

test('segments follow one another without a hole, begin at key frames and are about as long as asked for', async () => {
  const [init, ...media] = await segmentsOf(capture)
  expect(init).toMatchObject({ number: 0, kind: 'init', startMs: 0, durationMs: 0 })
  expect(media.map(({ number }) => number)).toEqual([1, 2, 3])
  expect(media.map(({ durationMs }) => Math.round(durationMs / 100))).toEqual([40, 40, 30])
  for (const [index, segment] of media.entries()) {
    const before = media[index - 1]
    expect(segment.startMs).toBeCloseTo(before === undefined ? 0 : before.startMs + before.durationMs, 0)
    expect(segment.keyFrame).toBe(true)
  }
})

test('each segment carries the hash of its bytes and the wall clock of its first picture', async () => {
  await using segmenter = startSegmenter(createReadStream(capture) as AsyncIterable<Buffer>, settings)
  for (const segment of await gather(segmenter.segments)) {
    expect(segment.sha256).toBe(createHash('sha256').update(segment.bytes).digest('hex'))
    expect(segment.wallClockStartMs).toBe(settings.startedAtMs + segment.startMs)
  }
})

test('the segments put together are H.264 and AAC of the whole length', async () => {
  const facts = await probeJoined(await segmentsOf(capture))
  expect(facts.video).toMatchObject({ codec: 'h264', width: 320, height: 180, startMs: 0 })
  expect(facts.audio).toMatchObject({ codec: 'aac', sampleRate: 48_000, channels: 2 })
  expect(facts.durationMs).toBeGreaterThan(10_950)
  expect(facts.durationMs).toBeLessThan(11_100)
})

test('a hole in the sound becomes silence, so that what follows keeps its place', async () => {
  const holed = join(dir, 'holed.mkv')
  const keep = "aselect='not(between(t,3,5))',asetpts=PTS"
  await ffmpeg(['-i', capture, '-c:v', 'copy', '-af', keep, '-c:a', 'pcm_f32le', '-live', '1', holed])
  const facts = await probeJoined(await segmentsOf(holed))
  expect(Math.abs((facts.audio?.durationMs ?? 0) - (facts.video?.durationMs ?? 0))).toBeLessThan(150)
})

test('a picture that comes later than the sound is shown from the beginning', async () => {
  const late = join(dir, 'late.mkv')
  await ffmpeg([
    '-i',
    capture,
    '-itsoffset',
    '0.3',
    '-i',
    capture,
    '-map',
    '1:v',
    '-map',
    '0:a',
    '-c',
    'copy',
    late,
  ])
  const segments = await segmentsOf(late)
  expect(segments[1]?.startMs).toBe(0)
  expect((await probeJoined(segments)).video?.startMs).toBe(0)
})

test('segments leave while the capture goes on', async () => {
  const { chunks, goOn } = await halfAndWait(capture)
  await using segmenter = startSegmenter(chunks, settings)
  const segments = segmenter.segments[Symbol.asyncIterator]()
  expect((await segments.next()).value).toMatchObject({ kind: 'init' })
  expect((await segments.next()).value).toMatchObject({ number: 1 })
  goOn()
  const rest = await gather({ [Symbol.asyncIterator]: () => segments })
  expect(rest.map(({ number }) => number)).toEqual([2, 3])
})

test('every fragment is told as it arrives, numbered as the segment it becomes part of', async () => {
  const told: OpenFragment[] = []
  const openAtClose: number[] = []
  await using segmenter = startSegmenter(createReadStream(capture) as AsyncIterable<Buffer>, {
    ...settings,
    onFragment: fragment => told.push(fragment),
  })
  const segments: Segment[] = []
  for await (const segment of segmenter.segments) {
    segments.push(segment)
    openAtClose.push(told.at(-1)?.segment ?? -1)
  }
  expect(openAtClose).toEqual([0, 2, 3, 3])
  for (const segment of segments) {
    const own = told.filter(fragment => fragment.segment === segment.number)
    expect(Buffer.concat(own.map(({ bytes }) => bytes)).equals(segment.bytes)).toBe(true)
    expect(own[0]?.wallClockStartMs).toBe(segment.wallClockStartMs)
  }
  const media = told.filter(({ segment }) => segment > 0)
  expect(media).toHaveLength(22)
  for (const { durationMs } of media) expect(durationMs).toBeLessThan(540)
})

/** Chunks of a file as they come from a capture, about 50 times faster than they were made. */
async function* inChunks(file: string) {
  const bytes = await readFile(file)
  for (let at = 0; at < bytes.length; at += 40_000) {
    yield bytes.subarray(at, at + 40_000)
    await new Promise(resolve => setTimeout(resolve, 4))
  }
}

/** One line per packet: time and size; of the picture also the hash of its data. */
async function packets(segments: readonly Segment[], stream: 'v' | 'a'): Promise<string[]> {
  const file = join(dir, 'packets.mp4')
  await writeFile(file, Buffer.concat(segments.map(({ bytes }) => bytes)))
  const args = ['-v', 'error', '-i', file, '-map', `0:${stream}:0`, '-c', 'copy', '-f', 'framehash', '-']
  const { stdout } = await runChild('ffmpeg', args, { name: 'ffmpeg (hash)', timeoutMs: 30_000 })
  const lines = stdout.split('\n').filter(line => /^\d/.test(line))
  // Two encoders compress the same sound a little differently; its times must be the same.
  return lines.map(line => (stream === 'v' ? line : line.split(',').slice(0, 4).join(',')))
}

test('an ffmpeg that is killed is replaced, twice, and not a picture or sound is lost or told twice', async () => {
  const undisturbed = await segmentsOf(capture)
  const told: OpenFragment[] = []
  const restarts: SegmenterRestart[] = []
  await using segmenter = startSegmenter(inChunks(capture), {
    ...settings,
    onFragment: fragment => {
      told.push(fragment)
      // In the middle of the first and of the second segment.
      if (told.length === 4 || told.length === 13) process.kill(segmenter.pid ?? 0, 'SIGKILL')
    },
    onRestart: restart => restarts.push(restart),
  })
  const segments = await gather(segmenter.segments)
  expect(restarts).toEqual([
    { restarts: 1, detail: expect.stringContaining('SIGKILL') },
    { restarts: 2, detail: expect.stringContaining('SIGKILL') },
  ])
  const facts = (of: readonly Segment[]) =>
    of.map(({ number, startMs, durationMs }) => ({ number, startMs, durationMs: Math.round(durationMs) }))
  expect(facts(segments)).toEqual(facts(undisturbed))
  expect(await packets(segments, 'v')).toEqual(await packets(undisturbed, 'v'))
  expect(await packets(segments, 'a')).toEqual(await packets(undisturbed, 'a'))
  for (const { number, bytes } of segments) {
    const own = told.filter(({ segment }) => segment === number)
    expect(Buffer.concat(own.map(fragment => fragment.bytes)).equals(bytes)).toBe(true)
  }
  const file = join(dir, 'replaced.mp4')
  await joinSegments([{ init: pieceOf(segments[0] as Segment), media: segments.slice(1).map(pieceOf) }], file)
  expect((await decode(file)).complaints).toBe('')
})

test('an ffmpeg killed before it gave anything is replaced as well', async () => {
  const { chunks, goOn } = await halfAndWait(capture)
  await using segmenter = startSegmenter(chunks, settings)
  const segments = gather(segmenter.segments)
  process.kill(segmenter.pid ?? 0, 'SIGKILL')
  goOn()
  expect((await segments).map(({ number }) => number)).toEqual([0, 1, 2, 3])
})

test('an ffmpeg that hangs is replaced', async () => {
  let stopped = false
  const restarts: SegmenterRestart[] = []
  await using segmenter = startSegmenter(inChunks(capture), {
    ...settings,
    hungMs: 1_000,
    onFragment: () => {
      if (!stopped) process.kill(segmenter.pid ?? 0, 'SIGSTOP')
      stopped = true
    },
    onRestart: restart => restarts.push(restart),
  })
  const segments = await gather(segmenter.segments)
  expect(restarts).toHaveLength(1)
  expect(await packets(segments, 'v')).toEqual(await packets(await segmentsOf(capture), 'v'))
})

test('an ffmpeg that dies again and again is given up with a named failure, and what came is kept', async () => {
  let told = 0
  await using segmenter = startSegmenter(inChunks(capture), {
    ...settings,
    onFragment: () => {
      if (++told > 3) process.kill(segmenter.pid ?? 0, 'SIGKILL')
    },
  })
  const segments = await gather(segmenter.segments)
  expect(await segmenter.failed).toMatchObject({
    reason: 'ffmpeg-ended',
    detail: expect.stringContaining('SIGKILL'),
  })
  expect((await probeJoined(segments)).video?.durationMs).toBeGreaterThan(3_000)
})

test('chunks that are no media end the segments with the words of ffmpeg', async () => {
  async function* nonsense() {
    yield Buffer.alloc(100_000, 'nonsense')
  }
  await using segmenter = startSegmenter(nonsense(), settings)
  expect(await gather(segmenter.segments)).toEqual([])
  expect((await segmenter.failed).detail).toMatch(/Invalid data|EBML/)
})

test('an ffmpeg that is not there is a failure with a name', async () => {
  const { chunks, goOn } = await halfAndWait(capture)
  goOn()
  await using segmenter = startSegmenter(chunks, { ...settings, ffmpegPath: '/no/such/ffmpeg' })
  expect(await gather(segmenter.segments)).toEqual([])
  expect((await segmenter.failed).detail).toContain('could not be started')
})

test('stop closes what has come, up to the last frame, and may be called twice', async () => {
  const { chunks, goOn } = await halfAndWait(capture)
  const segmenter = startSegmenter(chunks, settings)
  const segments = segmenter.segments[Symbol.asyncIterator]()
  await segments.next()
  await segments.next()
  const rest = gather({ [Symbol.asyncIterator]: () => segments })
  await Promise.all([segmenter.stop(), segmenter.stop()])
  goOn()
  const [last] = await rest
  expect(last).toMatchObject({ number: 2 })
  expect(last?.durationMs).toBeGreaterThan(500)
})

test('a reader that leaves early ends ffmpeg', async () => {
  const { chunks } = await halfAndWait(capture)
  const segmenter = startSegmenter(chunks, settings)
  for await (const segment of segmenter.segments) if (segment.number === 1) break
  expect(() => process.kill(segmenter.pid ?? 0, 0)).toThrow('ESRCH')
  await segmenter.stop()
})

test('a source that breaks is a failure with its words, and what came before it is kept', async () => {
  const bytes = await readFile(capture)
  async function* breaking() {
    yield bytes.subarray(0, bytes.length / 2)
    throw new Error('the tab is gone')
  }
  await using segmenter = startSegmenter(breaking(), settings)
  expect((await gather(segmenter.segments)).length).toBeGreaterThanOrEqual(2)
  expect(await segmenter.failed).toMatchObject({ reason: 'source-failed', detail: 'Error: the tab is gone' })
})
