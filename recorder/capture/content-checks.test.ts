import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkContent } from './content-checks.ts'
import { joinSegments } from './join-segments.ts'
import { ffmpeg, makeCapture, pieceOf, type SampleSettings, segmentsOf } from './media-for-tests.ts'

const expected = { expectedDurationMs: 12_000, lobbyMs: 0 }
let dir: string
let good: string

async function finished(name: string, settings: Partial<SampleSettings> = {}): Promise<string> {
  const [init, ...media] = await segmentsOf(await makeCapture(dir, { seconds: 12, ...settings }))
  if (init === undefined) throw new Error('an init piece was expected')
  const file = join(dir, name)
  await joinSegments([{ init: pieceOf(init), media: media.map(pieceOf) }], file)
  return file
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-checks-'))
  good = await finished('good.mp4')
})
afterAll(() => rm(dir, { recursive: true, force: true }))

test('a recording as it should be passes, with every check held', async () => {
  const checks = await checkContent(good, expected)
  expect(checks.passed).toBe(true)
  expect(checks).toMatchObject({
    duration: { ok: true },
    decodable: { ok: true },
    black: { ok: true, blackMs: 0 },
  })
  expect(checks.silent).toMatchObject({ ok: true, silentMs: 0 })
  expect(checks.silent.maxVolumeDb).toBeGreaterThan(-40)
})

test('a recording shorter than its segments is found', async () => {
  const checks = await checkContent(good, { ...expected, expectedDurationMs: 15_000 })
  expect(checks.passed).toBe(false)
  expect(checks.duration).toMatchObject({
    ok: false,
    sentence: 'it lasts 12.0 s, its segments add up to 15.0 s',
  })
})

test('a black picture is found, and that the sound is good is told', async () => {
  const checks = await checkContent(await finished('black.mp4', { picture: 'color=black' }), expected)
  expect(checks.passed).toBe(false)
  expect(checks.black.ok).toBe(false)
  expect(checks.black.blackMs).toBeGreaterThan(9_000)
  expect(checks.silent.ok).toBe(true)
})

test("Meet's dark empty page is not black", async () => {
  const checks = await checkContent(await finished('dark.mp4', { picture: 'color=0x202124' }), expected)
  expect(checks.black).toMatchObject({ ok: true, blackMs: 0 })
  expect(checks.frozen).toMatchObject({ ok: true, longestStillMs: expect.closeTo(12_000, -2) })
})

test('silence from end to end is found', async () => {
  const checks = await checkContent(await finished('silent.mp4', { sound: 'anullsrc=r=44100' }), expected)
  expect(checks.passed).toBe(false)
  expect(checks.silent.ok).toBe(false)
  expect(checks.silent.silentMs).toBeGreaterThan(11_500)
})

test('a call in which somebody speaks once is not silent', async () => {
  const sound = "aevalsrc='if(between(t,5,6),0.2*sin(2*PI*300*t),0)':s=44100"
  const checks = await checkContent(await finished('quiet.mp4', { sound }), expected)
  expect(checks.silent.ok).toBe(true)
  expect(checks.silent.silentMs).toBeGreaterThan(8_000)
})

test('a recording of the lobby alone is found', async () => {
  const checks = await checkContent(good, { ...expected, lobbyMs: 12_000 })
  expect(checks.passed).toBe(false)
  expect(checks.lobby).toMatchObject({ ok: false, sentence: '12.0 s were outside the call' })
})

test('a file that was cut off is found', async () => {
  const cut = join(dir, 'cut.mp4')
  const bytes = await readFile(good)
  await writeFile(cut, bytes.subarray(0, bytes.length * 0.7))
  const checks = await checkContent(cut, expected)
  expect(checks.decodable).toMatchObject({ ok: false, sentence: expect.stringContaining('cut off') })
})

test('a damaged picture is found', async () => {
  const damaged = join(dir, 'damaged.mp4')
  await writeFile(damaged, await readFile(good))
  await using file = await open(damaged, 'r+')
  const { size } = await file.stat()
  await file.write(Buffer.alloc(Math.floor(size / 2), 0xff), 0, Math.floor(size / 2), Math.floor(size / 4))
  const checks = await checkContent(damaged, expected)
  expect(checks.decodable).toMatchObject({ ok: false, sentence: expect.stringContaining('does not decode') })
})

test('pictures a tick apart in an otherwise quiet call are no damage', async () => {
  const file = join(dir, 'bunched.mp4')
  const stamps = "settb=1/16000,setpts='if(eq(N,1),9600,if(eq(N,2),9601,(N+1)*3200))'"
  await ffmpeg([
    ...['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=5:d=12', '-f', 'lavfi', '-i', 'sine=f=440:d=12'],
    ...['-vf', `select='not(eq(n,3))',${stamps}`, '-fps_mode', 'passthrough', '-enc_time_base:v', '1/16000'],
    ...['-c:v', 'libx264', '-g', '1', '-c:a', 'aac', '-video_track_timescale', '16000', file],
  ])
  expect((await checkContent(file, expected)).decodable).toMatchObject({ ok: true })
})

test('a file without sound is found', async () => {
  const mute = join(dir, 'mute.mp4')
  await ffmpeg(['-i', good, '-an', '-c', 'copy', mute])
  const checks = await checkContent(mute, expected)
  expect(checks.decodable).toMatchObject({ ok: false, sentence: 'there is no sound track' })
  expect(checks.silent).toMatchObject({ ok: false, maxVolumeDb: null })
})

test('a file that is no media fails its checks instead of throwing', async () => {
  const text = join(dir, 'text.mp4')
  await writeFile(text, 'this is a text')
  expect((await checkContent(text, expected)).passed).toBe(false)
})
