import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FragmentPiece, moveFragment, readFragments, readWholeFragments } from './fragments.ts'
import { ffmpeg, gather } from './media-for-tests.ts'

let dir: string
let file: Buffer

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-fragments-'))
  const path = join(dir, 'fragmented.mp4')
  await ffmpeg([
    ...['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25', '-f', 'lavfi', '-i', 'sine=f=440', '-t', '6'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '50', '-c:a', 'aac'],
    ...['-movflags', '+frag_keyframe+empty_moov+default_base_moof+delay_moov', path],
  ])
  file = await readFile(path)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

async function fragmentsOf(bytes: Buffer, pieceBytes = 65_536) {
  const [init, ...media] = await gather(readFragments(inPieces(bytes, pieceBytes)))
  return { init, media: media as FragmentPiece[] }
}

test.each([7, 1_000, 65_536, 10_000_000])(
  'a stream that comes in pieces of %i bytes is cut at the same places',
  async pieceBytes => {
    const { init, media } = await fragmentsOf(file, pieceBytes)
    expect(init?.kind).toBe('init')
    expect(
      media.map(({ startMs, durationMs, keyFrame, pictures }) => ({
        startMs,
        durationMs,
        keyFrame,
        pictures,
      })),
    ).toEqual([0, 2000, 4000].map(startMs => ({ startMs, durationMs: 2000, keyFrame: true, pictures: 50 })))
  },
)

test('init piece and fragments put together are the stream without its trailer', async () => {
  const { init, media } = await fragmentsOf(file)
  const joined = Buffer.concat([init?.bytes ?? Buffer.alloc(0), ...media.map(({ bytes }) => bytes)])
  expect(joined.equals(file.subarray(0, joined.length))).toBe(true)
  expect(file.toString('latin1', joined.length + 4, joined.length + 8)).toBe('mfra')
})

test('a fragment that was cut off is left out', async () => {
  const { media } = await fragmentsOf(file)
  const beforeLast = file.length - (media[2]?.bytes.length ?? 0)
  const cut = await fragmentsOf(file.subarray(0, beforeLast))
  expect(cut.media.map(({ startMs }) => startMs)).toEqual([0, 2000])
})

test('of a file whose writer was killed at any byte the whole fragments are read', async () => {
  const { init, media } = await fragmentsOf(file)
  if (init === undefined) throw new Error('an init piece was expected')
  const written = Buffer.concat(media.map(({ bytes }) => bytes))
  const ends = [0, 1, 2, 3].map(count =>
    media.slice(0, count).reduce((sum, { bytes }) => sum + bytes.length, 0),
  )
  for (let cutBytes = 0; cutBytes <= written.length; cutBytes += 997) {
    const whole = readWholeFragments(written.subarray(0, cutBytes), init.bytes)
    const count = ends.filter(end => end > 0 && end <= cutBytes).length
    expect(whole.bytes.length).toBe(ends[count])
    expect(whole).toMatchObject({ startMs: 0, pictures: 50 * count })
    expect(Math.abs(whole.durationMs - 2000 * count)).toBeLessThan(25)
  }
})

test('what a crash left behind the last whole fragment is not read', async () => {
  const { init, media } = await fragmentsOf(file)
  const [first, second] = media
  if (init === undefined || first === undefined || second === undefined) throw new Error('media was expected')
  const broken = Buffer.from(second.bytes)
  broken.fill(0xff, 60, 400)
  for (const rest of [Buffer.alloc(4096), Buffer.alloc(4096, 'nonsense'), broken]) {
    const whole = readWholeFragments(Buffer.concat([first.bytes, rest]), init.bytes)
    expect(whole.bytes.equals(first.bytes)).toBe(true)
  }
  expect(() => readWholeFragments(first.bytes, Buffer.alloc(100))).toThrow('no moov box')
})

test('a moved fragment says its new time for picture and sound', async () => {
  const { init, media } = await fragmentsOf(file)
  const [, second] = media
  if (second === undefined || init === undefined) throw new Error('two fragments were expected')
  const startsMs = ({ runs }: FragmentPiece) =>
    runs.map(({ startUnits, track }) => (startUnits * 1000) / track.timescale)
  const before = startsMs(second)
  moveFragment(second, () => 60_000)
  const again = await fragmentsOf(Buffer.concat([init.bytes, second.bytes]))
  const moved = again.media[0]
  if (moved === undefined) throw new Error('one fragment was expected')
  expect(moved.startMs).toBeCloseTo(62_000, 3)
  expect(startsMs(moved)).toEqual(before.map(startMs => expect.closeTo(startMs + 60_000, 3)))
})

test('bytes that are no MP4 are refused', async () => {
  const nonsense = Buffer.alloc(1_000, 'nonsense')
  await expect(fragmentsOf(nonsense)).rejects.toMatchObject({ reason: 'box-too-large' })
})

test('a fragment without its init piece is refused', async () => {
  const { media } = await fragmentsOf(file)
  await expect(fragmentsOf(media[0]?.bytes ?? Buffer.alloc(0))).rejects.toMatchObject({
    reason: 'media-before-init',
  })
})
