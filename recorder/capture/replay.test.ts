import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cutMatroska } from './matroska-blocks.ts'
import { gather, makeCapture } from './media-for-tests.ts'
import { keepReplay } from './replay.ts'

let dir: string
let file: Buffer

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-replay-'))
  file = await readFile(await makeCapture(dir, { seconds: 7 }))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function* inChunks(bytes: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}

function noError(error: unknown): never {
  throw new Error('the source did not break', { cause: error })
}

/** Times of all blocks of a stream, by kind. */
function timesOf(bytes: Buffer) {
  const blocks = cutMatroska().push(bytes)
  const times = (kind: string) => blocks.filter(block => block.kind === kind).map(({ timeMs }) => timeMs)
  return { pictures: times('picture'), sounds: times('sound'), keys: blocks.filter(({ key }) => key).length }
}

test.each([1_000, 50_000, 100_000_000])(
  'a stream that comes in chunks of %i bytes is read with every block at its time',
  async chunkBytes => {
    const replay = keepReplay(inChunks(file, chunkBytes), noError)
    const read = timesOf(Buffer.concat(await gather(replay.read())))
    expect(read).toEqual(timesOf(file))
    expect(read.pictures).toHaveLength(210)
    expect(read.keys).toBe(4)
    expect(replay.isOver()).toBe(true)
  },
)

test('a second reader begins with the key frame before what may be forgotten', async () => {
  const replay = keepReplay(inChunks(file, 50_000), noError)
  await gather(replay.read())
  replay.forget(5_900)
  expect(replay.resumePoint()).toMatchObject({ pictureMs: 4_000 })
  const again = timesOf(Buffer.concat(await gather(replay.read())))
  expect(again.pictures).toEqual(timesOf(file).pictures.filter(timeMs => timeMs >= 4_000))
})

test('a reader that leaves in the middle loses nothing for the next one', async () => {
  const replay = keepReplay(inChunks(file, 50_000), noError)
  for await (const _ of replay.read()) break
  expect(timesOf(Buffer.concat(await gather(replay.read())))).toEqual(timesOf(file))
})

test('what nobody lets go of is kept up to a bound only, and the stream goes on whole', async () => {
  const replay = keepReplay(inChunks(file, 50_000), noError, 1_000_000)
  expect(timesOf(Buffer.concat(await gather(replay.read())))).toEqual(timesOf(file))
  expect(replay.resumePoint()).toMatchObject({ pictureMs: 6_000 })
})

test('a stream that is no Matroska, or stops being one, is handed on as it is and cannot be resumed', async () => {
  const nonsense = Buffer.alloc(100_000, 'nonsense')
  const replay = keepReplay(inChunks(nonsense, 1_000), noError)
  expect(Buffer.concat(await gather(replay.read())).equals(nonsense)).toBe(true)
  expect(replay.resumePoint()).toBeUndefined()

  const half = file.subarray(0, 300_000)
  const broken = keepReplay(inChunks(Buffer.concat([half, Buffer.alloc(50_000)]), 10_000), noError)
  const read = Buffer.concat(await gather(broken.read()))
  expect(timesOf(read).pictures).toEqual(timesOf(half).pictures)
  expect(read.subarray(-50_000).equals(Buffer.alloc(50_000))).toBe(true)
})

test('a source that breaks ends the stream and is told', async () => {
  async function* breaking() {
    yield file.subarray(0, 200_000)
    throw new Error('the tab is gone')
  }
  const errors: unknown[] = []
  const replay = keepReplay(breaking(), error => errors.push(error))
  expect((await gather(replay.read())).length).toBeGreaterThan(0)
  expect(errors).toEqual([expect.objectContaining({ message: 'the tab is gone' })])
})

test('closing ends a reader that waits for a source that gives nothing', async () => {
  async function* silent() {
    yield file.subarray(0, 200_000)
    await new Promise<never>(() => undefined)
  }
  const replay = keepReplay(silent(), noError)
  const reading = gather(replay.read())
  setImmediate(replay.close)
  expect(timesOf(Buffer.concat(await reading))).toEqual(timesOf(file.subarray(0, 200_000)))
})
