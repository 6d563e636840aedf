import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ffmpeg } from './media-for-tests.ts'
import { isMoovFirst, listTopLevelBoxes } from './mp4-layout.ts'
import { probeMedia } from './probe-media.ts'

let dir: string
let plain: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-probe-'))
  plain = join(dir, 'plain.mp4')
  await ffmpeg([
    ...['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25', '-f', 'lavfi', '-i', 'sine=f=440:r=48000', '-t', '3'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac', plain],
  ])
})
afterAll(() => rm(dir, { recursive: true, force: true }))

test('a file tells its codecs, size, rate and length', async () => {
  const facts = await probeMedia(plain)
  expect(facts.video).toMatchObject({
    codec: 'h264',
    width: 320,
    height: 180,
    fps: 25,
    pictures: 75,
    durationMs: 3_000,
  })
  expect(facts.audio).toMatchObject({ codec: 'aac', sampleRate: 48_000, channels: 1 })
  expect(facts.durationMs).toBeCloseTo(3_000, -2)
})

test('an index at the end is told from one at the beginning', async () => {
  const first = join(dir, 'first.mp4')
  await ffmpeg(['-i', plain, '-c', 'copy', '-movflags', '+faststart', first])
  expect((await probeMedia(plain)).moovFirst).toBe(false)
  expect((await probeMedia(first)).moovFirst).toBe(true)
})

test('fragments are told from a plain file', async () => {
  const fragmented = join(dir, 'fragmented.mp4')
  await ffmpeg(['-i', plain, '-c', 'copy', '-movflags', '+frag_keyframe+empty_moov', fragmented])
  expect(await probeMedia(fragmented)).toMatchObject({ fragmented: true, moovFirst: true })
  expect(await probeMedia(plain)).toMatchObject({ fragmented: false })
})

test('the boxes of a file are listed to its last byte', async () => {
  const boxes = await listTopLevelBoxes(plain)
  expect(boxes.map(({ type }) => type)).toEqual(['ftyp', 'free', 'mdat', 'moov'])
  expect(isMoovFirst(boxes)).toBe(false)
})

test('a text is refused as no media', async () => {
  const text = join(dir, 'text.mp4')
  await writeFile(text, 'this is a text')
  await expect(probeMedia(text)).rejects.toMatchObject({ name: 'UnreadableMedia', reason: 'not-media' })
})

test('a file that is not there is refused as such', async () => {
  await expect(probeMedia(join(dir, 'nothing.mp4'))).rejects.toThrow('No such file')
})
