import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type FaultMode, type FaultProxy, startFaultProxy } from '../../sandbox/fault-proxy.ts'
import { readWholeFragments } from '../capture/fragments.ts'
import { joinSegments } from '../capture/join-segments.ts'
import { makeCapture, segmentsOf } from '../capture/media-for-tests.ts'
import { probeMedia } from '../capture/probe-media.ts'
import type { Segment } from '../capture/segmenter.ts'
import { openSpool } from './spool.ts'
import { openWorld, rememberingLog, storeAt } from './spool-for-tests.ts'
import { somethingWaits } from './work-folder.ts'

let world: Awaited<ReturnType<typeof openWorld<FaultProxy>>>
let taken: Segment[]
let init: Segment

beforeAll(async () => {
  world = await openWorld(startFaultProxy)
  taken = await segmentsOf(await makeCapture(world.dir, { seconds: 16 }), 2)
  init = taken[0] as Segment
  expect(taken.length).toBeGreaterThan(7)
})
afterAll(async () => {
  await world?.close()
})
afterEach(async () => {
  await world.s3.set('pass')
  await world.database.set('pass')
})

const until = (what: () => unknown) => vi.waitFor(what, { timeout: 10_000, interval: 20 })
const files = async (attemptId: string) =>
  (await readdir(join(world.workRoot, attemptId))).filter(name => /^\d/.test(name)).sort()

/** Rows stand in the order of recording and say what is in the bucket, byte for byte. */
async function expectStored(attemptId: string, segments: readonly Segment[] = taken): Promise<void> {
  const rows = await world.rows(attemptId)
  expect(rows.map(({ number }) => number)).toEqual(segments.map(({ number }) => number))
  for (const [at, row] of rows.entries()) {
    const segment = segments[at] as Segment
    expect(row).toMatchObject({
      sha256: segment.sha256,
      sizeBytes: segment.bytes.length,
      durationMs: Math.round(segment.durationMs),
      thinned: false,
    })
    expect((await world.bytesIn(row.s3Key)).equals(segment.bytes)).toBe(true)
  }
}

test('segments go to the bucket and get rows in order, and nothing stays on the disk', async () => {
  const owner = await world.beginAttempt()
  await using spool = openSpool(world.deps(owner.attemptId), owner)
  for (const segment of taken) await spool.take(segment)
  await spool.drained(10_000)
  await expectStored(owner.attemptId)
  expect(await files(owner.attemptId)).toEqual([])
  expect(await somethingWaits(join(world.workRoot, owner.attemptId))).toBe(false)
  expect(spool.state()).toEqual({
    waiting: 0,
    waitingBytes: 0,
    thinned: 0,
    lost: 0,
    lastStored: taken.length - 1,
    oldestWaitingMs: 0,
  })
})

test('a fragment is on the disk when the call returns, and the closed segment is those same bytes', async () => {
  const owner = await world.beginAttempt()
  await world.s3.set('refuse')
  await using spool = openSpool(world.deps(owner.attemptId), owner)
  await spool.take(init)
  const segment = taken[1] as Segment
  const { number, bytes, startMs, durationMs, wallClockStartMs } = segment
  const half = readWholeFragments(bytes.subarray(0, bytes.length - 1), init.bytes).bytes.length
  const at = { segment: number, startMs, durationMs, wallClockStartMs }
  spool.fragment({ ...at, bytes: bytes.subarray(0, half) })
  const open = join(world.workRoot, owner.attemptId, '00001.open')
  expect((await readFile(open)).equals(bytes.subarray(0, half))).toBe(true)
  spool.fragment({ ...at, bytes: bytes.subarray(half) })
  const { ino } = await stat(open)
  await spool.take(segment)
  // Renamed, not written a second time.
  const part = await stat(join(world.workRoot, owner.attemptId, '00001.part'))
  expect([part.ino, part.size]).toEqual([ino, bytes.length])
  await world.s3.set('pass')
  await spool.drained(10_000)
  await expectStored(owner.attemptId, [init, segment])
})

const faults: [string, FaultMode][] = [
  ['refuses connections', 'refuse'],
  ['accepts and never answers', 'hang'],
  ['answers 503', 'http-503'],
  ['cuts every upload', { cutAfterBytes: 20_000 }],
]
test.each(faults)(
  'while the bucket %s, taking goes on; afterwards everything is there in order',
  async (_, mode) => {
    const owner = await world.beginAttempt()
    await using spool = openSpool(world.deps(owner.attemptId), owner)
    const [first, second, ...rest] = taken as [Segment, Segment, ...Segment[]]
    await spool.take(first)
    await spool.take(second)
    await until(() => expect(spool.state().lastStored).toBe(1))
    await world.s3.set(mode)
    for (const segment of rest) await spool.take(segment)
    if (mode !== 'refuse') await until(() => expect(world.s3.connections()).toBeGreaterThan(4))
    await until(() => expect(spool.state().oldestWaitingMs).toBeGreaterThan(300))
    expect(spool.state()).toMatchObject({ waiting: rest.length, lastStored: 1 })
    const waiting = (await files(owner.attemptId)).filter(name => name.endsWith('.part'))
    expect(waiting).toHaveLength(rest.length)
    await world.s3.set('pass')
    await spool.drained(10_000)
    await expectStored(owner.attemptId)
  },
)

test.each(['refuse', 'hang'] as const)(
  'while the database is away (%s), bytes go up and leave the disk; their rows follow in order',
  async mode => {
    const owner = await world.beginAttempt()
    await using spool = openSpool(world.deps(owner.attemptId), owner)
    await world.database.set(mode)
    for (const segment of taken) await spool.take(segment)
    await until(() => expect(spool.state()).toMatchObject({ waiting: taken.length, waitingBytes: 0 }))
    await until(async () =>
      expect(await files(owner.attemptId)).toEqual(taken.map((_, number) => `0000${number}.json`)),
    )
    expect(await world.rows(owner.attemptId)).toEqual([])
    await world.database.set('pass')
    await spool.drained(15_000)
    await expectStored(owner.attemptId)
  },
)

test('a bucket that is not there is said to be an error once, and waited for', async () => {
  const owner = await world.beginAttempt()
  const log = rememberingLog()
  const store = storeAt(world.s3.url, 'made-later')
  await using spool = openSpool(world.deps(owner.attemptId, { store, log }), owner)
  for (const segment of taken) await spool.take(segment)
  await until(() => expect(world.s3.connections()).toBeGreaterThan(0))
  await until(() => expect(spool.state().oldestWaitingMs).toBeGreaterThan(500))
  expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1)
  await store.ensureBucket()
  await spool.drained(10_000)
  expect(await world.rows(owner.attemptId)).toHaveLength(taken.length)
  store.close()
})

test('when too many wait, the oldest give up their pictures but the key frames, and no second of the call', async () => {
  const owner = await world.beginAttempt()
  await world.s3.set('refuse')
  const media = taken.slice(1)
  const all = media.reduce((sum, { bytes }) => sum + bytes.length, 0)
  await using spool = openSpool(world.deps(owner.attemptId, { boundBytes: all * 0.7 }), owner)
  for (const segment of taken) await spool.take(segment)
  await until(() => expect(spool.state().waitingBytes).toBeLessThan(all * 0.7))
  await world.s3.set('pass')
  await spool.drained(10_000)
  const rows = await world.rows(owner.attemptId)
  expect(rows.map(({ number }) => number)).toEqual(taken.map(({ number }) => number))
  const thinned = rows.filter(row => row.thinned).map(({ number }) => number)
  expect(thinned.length).toBe(spool.state().thinned)
  expect(thinned.length).toBeGreaterThan(0)
  // The newest stay whole.
  expect(thinned).not.toContain(taken.at(-1)?.number)
  expect(thinned).not.toContain(0)
  await expectWholeCall(owner.attemptId)
})

/** What is in the bucket joins to a film as long as the call, with all its sound. */
async function expectWholeCall(attemptId: string): Promise<void> {
  const paths: string[] = []
  for (const row of await world.rows(attemptId)) {
    const bytes = await world.bytesIn(row.s3Key)
    expect(bytes.length).toBe(row.sizeBytes)
    paths.push(join(world.dir, `${attemptId}-${row.number}`))
    await writeFile(paths.at(-1) as string, bytes)
  }
  const film = join(world.dir, `${attemptId}.mp4`)
  await joinSegments([{ init: paths[0] as string, media: paths.slice(1) }], film)
  const { durationMs } = await probeMedia(film)
  expect(Math.abs(durationMs - 16_000)).toBeLessThan(100)
}

test('what could not be stored within the limit stays on the disk, and the wait ends', async () => {
  const owner = await world.beginAttempt()
  await world.s3.set('hang')
  await using spool = openSpool(world.deps(owner.attemptId), owner)
  for (const segment of taken) await spool.take(segment)
  const began = performance.now()
  await expect(spool.drained(400)).rejects.toMatchObject({ code: 'timed_out' })
  expect(performance.now() - began).toBeLessThan(3000)
  expect((await files(owner.attemptId)).filter(name => name.endsWith('.part'))).toHaveLength(taken.length)
  expect(await somethingWaits(join(world.workRoot, owner.attemptId))).toBe(true)
})
