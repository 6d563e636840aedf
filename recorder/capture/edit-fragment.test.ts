import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runChild } from './child-process.ts'
import { thinFragments, truncateFragment } from './edit-fragment.ts'
import { type FragmentPiece, splitFragments, tracksOf } from './fragments.ts'
import { joinSegments } from './join-segments.ts'
import { decode, makeCapture, segmentsOf } from './media-for-tests.ts'
import { probeMedia } from './probe-media.ts'

let dir: string
let init: Buffer
let media: Buffer[]

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-edit-'))
  const [first, ...rest] = await segmentsOf(await makeCapture(dir, { seconds: 9 }))
  init = first?.bytes ?? Buffer.alloc(0)
  media = rest.map(({ bytes }) => bytes)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

function fragments(bytes: Buffer): FragmentPiece[] {
  return splitFragments(bytes, tracksOf(init)).pieces
}

async function fileOf(name: string, pieces: readonly Buffer[]): Promise<string> {
  const file = join(dir, name)
  await writeFile(file, Buffer.concat([init, ...pieces]))
  return file
}

/** One line per packet: time, duration, size and hash of its data. */
async function packets(file: string, stream: 'v' | 'a'): Promise<string[]> {
  const args = ['-v', 'error', '-i', file, '-map', `0:${stream}:0`, '-c', 'copy', '-f', 'framehash', '-']
  const { stdout } = await runChild('ffmpeg', args, { name: 'ffmpeg (hash)', timeoutMs: 30_000 })
  return stdout.split('\n').filter(line => /^\d/.test(line))
}

test('a thinned segment keeps its key frames, each standing still until the next, and its whole sound', async () => {
  const thinned = media.map(bytes => thinFragments(bytes, init))
  const before = await fileOf('full.mp4', media)
  const after = await fileOf('thin.mp4', thinned)
  const { complaints, hashes } = await decode(after)
  expect(complaints).toBe('')
  expect(new Set(hashes).size).toBe(5)
  expect(hashes.length).toBeGreaterThanOrEqual(240 + 1)
  expect(await packets(after, 'a')).toEqual(await packets(before, 'a'))
  const [full, thin] = await Promise.all([probeMedia(before), probeMedia(after)])
  expect(Math.abs(thin.durationMs - full.durationMs)).toBeLessThan(1)
  expect(await packets(after, 'v')).toHaveLength(5)
  expect(Buffer.concat(thinned).length).toBeLessThan(Buffer.concat(media).length / 5)
})

test('a thinned segment covers the same time as before, and thinning it again changes nothing', () => {
  for (const bytes of media) {
    const thinned = thinFragments(bytes, init)
    const video = (of: Buffer) =>
      fragments(of).flatMap(({ runs }) => runs.filter(({ track }) => track.kind === 'video'))
    const last = video(bytes).at(-1)
    const runs = video(thinned)
    expect(runs[0]?.startUnits).toBe(video(bytes)[0]?.startUnits)
    for (const [index, run] of runs.entries()) {
      const end = runs[index + 1]?.startUnits ?? (last?.startUnits ?? 0) + (last?.durationUnits ?? 0)
      expect(run.startUnits + run.durationUnits).toBe(end)
    }
    expect(thinFragments(thinned, init).equals(thinned)).toBe(true)
  }
})

test('full and thinned segments join into one file of the whole length', async () => {
  const [first, second, third] = media
  if (!first || !second || !third) throw new Error('three segments were expected')
  const paths = await Promise.all(
    [init, first, thinFragments(second, init), third].map(async (bytes, number) => {
      const path = join(dir, `mixed-${number}`)
      await writeFile(path, bytes)
      return path
    }),
  )
  const file = join(dir, 'mixed.mp4')
  await joinSegments([{ init: paths[0] ?? '', media: paths.slice(1) }], file)
  const facts = await probeMedia(file)
  expect(facts.durationMs).toBeCloseTo(9_000, -2)
  expect(facts.video?.pictures).toBe(120 + 2 + 30)
  expect((await decode(file)).complaints).toBe('')
})

test.each([
  [3_000, 90],
  [3_001, 91],
  [3_250, 98],
  [3_999, 120],
])('a segment truncated at %i ms holds the %i pictures shown before', async (atMs, pictures) => {
  const kept = fragments(media[0] ?? Buffer.alloc(0)).flatMap(piece => truncateFragment(piece, atMs) ?? [])
  const file = await fileOf(
    `until-${atMs}.mp4`,
    kept.map(({ bytes }) => bytes),
  )
  expect(await packets(file, 'v')).toHaveLength(pictures)
  expect(kept.at(-1)?.startMs ?? 0).toBeLessThan(atMs)
  const pictureEnds = kept
    .filter(({ pictures: count }) => count > 0)
    .map(({ startMs, durationMs }) => startMs + durationMs)
  expect(Math.max(...pictureEnds)).toBeCloseTo(atMs, 1)
  const sound = await packets(file, 'a')
  expect(sound).toEqual(
    (await packets(await fileOf('first.mp4', media.slice(0, 1)), 'a')).slice(0, sound.length),
  )
  // The packet that sounds at the cut is the last one; one packet is 21.3 ms.
  expect(sound.length).toBe(Math.ceil((atMs + 1024 / 48) / (1024 / 48)))
  expect((await decode(file)).complaints).toBe('')
})

test('a fragment before the cut stays as it is, one behind it goes', () => {
  const [first, second] = fragments(media[0] ?? Buffer.alloc(0))
  if (!first || !second) throw new Error('two fragments were expected')
  expect(truncateFragment(first, 10_000)).toBe(first)
  expect(truncateFragment(second, 400)).toBeNull()
})
