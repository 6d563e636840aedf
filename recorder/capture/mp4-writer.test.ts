import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runChild } from './child-process.ts'
import { type FragmentPiece, type InitPiece, moveFragment, readFragments } from './fragments.ts'
import { decode, ffmpeg, gather } from './media-for-tests.ts'
import { movieIndex } from './movie-index.ts'
import { createMp4 } from './mp4-writer.ts'
import { probeMedia } from './probe-media.ts'
import { readSampleTables } from './sample-tables.ts'
import { TrackIndex } from './track-index.ts'

let dir: string
let source: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-writer-'))
  source = join(dir, 'source.mp4')
  // B-frames, so that decoding and showing have different orders; the sound has its priming cut off by an edit list.
  await ffmpeg([
    ...['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=30', '-f', 'lavfi', '-i', 'sine=f=500:r=48000', '-t', '6'],
    ...[
      '-c:v',
      'libx264',
      '-preset',
      'veryfast',
      '-bf',
      '2',
      '-g',
      '30',
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'aac',
    ],
    ...['-movflags', '+frag_keyframe+default_base_moof+delay_moov', source],
  ])
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function pieces(): Promise<{ init: InitPiece; fragments: FragmentPiece[] }> {
  const [init, ...fragments] = await gather(readFragments(Readable.from([await readFile(source)])))
  if (init?.kind !== 'init') throw new Error('an init piece was expected')
  return { init, fragments: fragments as FragmentPiece[] }
}

async function written(
  name: string,
  expectedMs?: number,
  byMs = 0,
  take?: (at: number) => boolean,
): Promise<string> {
  const { init, fragments } = await pieces()
  const file = join(dir, name)
  await using writer = await createMp4(file, init, expectedMs)
  for (const [at, fragment] of fragments.entries())
    if (take?.(at) ?? true) await writer.write(fragment, () => byMs)
  await writer.finish([])
  return file
}

/** What a player is given: of every packet its track, times, size, flags and a hash. */
async function packets(file: string): Promise<string[]> {
  const entries = 'packet=stream_index,pts_time,dts_time,size,flags,data_hash'
  const args = ['-v', 'error', '-show_data_hash', 'md5', '-show_entries', entries, '-of', 'csv=p=0', file]
  const { stdout } = await runChild('ffprobe', args, { name: 'ffprobe', timeoutMs: 20_000 })
  return stdout.trim().split('\n').sort()
}

/** The same fragments as ffmpeg makes a file of them. */
async function byFfmpeg(name: string, byMs: number): Promise<string> {
  const { init, fragments } = await pieces()
  for (const fragment of fragments) moveFragment(fragment, () => byMs)
  const moved = join(dir, `moved-${name}`)
  await writeFile(moved, Buffer.concat([init.bytes, ...fragments.map(({ bytes }) => bytes)]))
  const file = join(dir, name)
  await ffmpeg(['-copyts', '-i', moved, '-c', 'copy', '-movflags', '+faststart', '-f', 'mp4', file])
  return file
}

test('a player is given the same packets at the same times as of the file that ffmpeg makes', async () => {
  const ours = await written('ours.mp4', 6_000)
  const theirs = await byFfmpeg('theirs.mp4', 0)
  expect(await packets(ours)).toEqual(await packets(theirs))
  expect(await decode(ours)).toEqual(await decode(theirs))
  expect(await probeMedia(ours)).toMatchObject({ moovFirst: true, fragmented: false })
})

test('tracks that begin later do so by an empty edit, as those of ffmpeg', async () => {
  const [ours, theirs] = [await written('later.mp4', 6_000, 1_500), await byFfmpeg('later-theirs.mp4', 1_500)]
  const times = (lines: string[]) => lines.map(line => line.split(',').slice(0, 3).map(Number))
  const [our, their] = [times(await packets(ours)), times(await packets(theirs))]
  expect(our).toHaveLength(their.length)
  for (const [index, values] of our.entries())
    for (const [column, value] of values.entries()) expect(value).toBeCloseTo(their[index]?.[column] ?? -1, 2)
})

test('an index with too little room moves the media, and the file is the same to a player', async () => {
  const [roomy, tight] = [await written('roomy.mp4', 60_000), await written('tight.mp4', 0)]
  expect(await packets(tight)).toEqual(await packets(roomy))
  expect(await probeMedia(tight)).toMatchObject({ moovFirst: true })
  expect((await decode(tight)).complaints).toBe('')
})

test('a file of over 4 GiB, or of over a day, names its places and times in 64 bits', async () => {
  const { init, fragments } = await pieces()
  const indexes = init.tracks.map(track => new TrackIndex(track))
  const hours = 20
  const atBytes = 5 * 2 ** 30
  for (const index of indexes) {
    const run = fragments[0]?.runs.find(({ track }) => track.id === index.track.id)
    if (run === undefined) throw new Error('a fragment of both tracks was expected')
    index.add(run, 0, [{ atBytes: 48, samples: run.samples.length }])
    for (const times of [1, 2])
      index.add(run, times * hours * 3600 * index.track.timescale, [{ atBytes, samples: run.samples.length }])
  }
  const file = join(dir, 'index-alone.mp4')
  await writeFile(file, movieIndex(init.bytes, indexes, [], 1000))
  for (const table of await readSampleTables(file)) {
    expect(table.durationMs).toBeGreaterThan(2 * hours * 3_600_000)
    expect(table.offsetBytes(0)).toBe(1048)
    expect(table.offsetBytes(table.samples / 3)).toBe(atBytes + 1000)
  }
  const [video] = await readSampleTables(file)
  expect(video?.keySamples()).toHaveLength(3)
})

test('the picture before missing fragments stands until the next one', async () => {
  const whole = await readSampleTables(await written('whole.mp4'))
  const holed = await readSampleTables(await written('holed.mp4', 6_000, 0, at => at % 3 !== 1))
  expect(holed).toHaveLength(2)
  for (const [index, table] of holed.entries()) {
    expect(table.samples).toBeLessThan(whole[index]?.samples ?? 0)
    expect(Math.abs(table.durationMs - (whole[index]?.durationMs ?? 0))).toBeLessThan(50)
  }
})
