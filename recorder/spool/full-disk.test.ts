import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, rmdir, statfs, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../../sandbox/fault-proxy.ts'
import { joinSegments } from '../capture/join-segments.ts'
import { makeCapture, segmentsOf } from '../capture/media-for-tests.ts'
import { probeMedia } from '../capture/probe-media.ts'
import type { Segment } from '../capture/segmenter.ts'
import type { SegmentOwner } from './segment-queue.ts'
import { openSpool } from './spool.ts'
import { HASTY, openWorld } from './spool-for-tests.ts'

const SECONDS = 30

let world: Awaited<ReturnType<typeof openWorld<FaultProxy>>>
let taken: Segment[]
let owner: SegmentOwner

beforeAll(async () => {
  world = await openWorld(startFaultProxy)
  taken = await segmentsOf(await makeCapture(world.dir, { seconds: SECONDS, width: 640, height: 360 }), 2)
})
afterAll(async () => {
  await world?.close()
})
beforeEach(async () => {
  owner = await world.beginAttempt()
})
afterEach(async () => {
  await world.s3.set('pass')
})

const mediaBytes = () => taken.reduce((sum, { bytes }) => sum + bytes.length, 0)
const numbers = async () => (await world.rows(owner.attemptId)).map(({ number }) => number)

/** Whatever was thinned, the film is as long as the call. */
async function expectWholeCall(): Promise<void> {
  expect(await numbers()).toEqual(taken.map(({ number }) => number))
  const paths: string[] = []
  for (const row of await world.rows(owner.attemptId)) {
    paths.push(join(world.dir, `${owner.attemptId}-${row.number}`))
    await writeFile(paths.at(-1) as string, await world.bytesIn(row.s3Key))
  }
  const film = join(world.dir, `${owner.attemptId}.mp4`)
  await joinSegments([{ init: paths[0] as string, media: paths.slice(1) }], film)
  const { durationMs } = await probeMedia(film)
  expect(Math.abs(durationMs - SECONDS * 1000)).toBeLessThan(100)
}

test('where the disk has no room the oldest that wait make it', async () => {
  const workDir = join(world.workRoot, owner.attemptId)
  await using spool = openSpool(world.deps(owner.attemptId), owner)
  await world.s3.set('refuse')
  // A draft that leads to /dev/full is refused as a full disk refuses it; the next one is not.
  await symlink('/dev/full', join(workDir, '00007.part.tmp'))
  for (const segment of taken) await spool.take(segment)
  expect(spool.state().thinned).toBeGreaterThan(0)
  const parts = (await readdir(workDir)).filter(name => name.endsWith('.part'))
  expect(parts).toHaveLength(taken.length)
  await world.s3.set('pass')
  await spool.drained(10_000)
  await expectWholeCall()
})

test('a segment that the disk refuses waits in memory, and goes to the disk when it can', async () => {
  const workDir = join(world.workRoot, owner.attemptId)
  await using spool = openSpool(world.deps(owner.attemptId), owner)
  await world.s3.set('refuse')
  const inTheWay = join(workDir, '00003.part.tmp')
  await mkdir(inTheWay)
  for (const segment of taken.slice(0, 5)) await spool.take(segment)
  const isThere = async () => (await readdir(workDir)).includes('00003.part')
  expect(await isThere()).toBe(false)
  expect(spool.state()).toMatchObject({ waiting: 5, lost: 0 })
  await rmdir(inTheWay)
  await spool.take(taken[5] as Segment)
  expect(await isThere()).toBe(true)
  await mkdir(join(workDir, '00006.part.tmp'))
  for (const segment of taken.slice(6)) await spool.take(segment)
  await world.s3.set('pass')
  await spool.drained(10_000)
  await expectWholeCall()
})

test('memory has a bound too: what it has no room for is said to be lost, and what it holds is stored', async () => {
  const workDir = join(world.dir, 'in-the-way', owner.attemptId)
  await writeFile(join(world.dir, 'in-the-way'), '')
  const patience = { ...HASTY, uploadTryMs: () => 15_000 }
  await using spool = openSpool(world.deps(owner.attemptId, { workDir, patience }), owner)
  await world.s3.set('refuse')
  const bytes = Buffer.alloc(9 * 1024 * 1024)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await spool.take(taken[0] as Segment)
  for (let number = 1; number <= 15; number++)
    await spool.take({ ...(taken[1] as Segment), number, bytes, sha256 })
  expect(spool.state()).toMatchObject({ waiting: 15, lost: 1 })
  await world.s3.set('pass')
  await spool.drained(15_000)
  expect(await numbers()).toEqual(Array.from({ length: 15 }, (_, number) => number))
})

test('segments in memory that cannot be stored in time are said to be lost, when no disk takes them', async () => {
  await using spool = openSpool(world.deps(owner.attemptId), owner)
  await world.s3.set('refuse')
  await mkdir(join(world.workRoot, owner.attemptId, '00001.part.tmp'))
  for (const segment of taken.slice(0, 3)) await spool.take(segment)
  await expect(spool.drained(10)).rejects.toThrow()
  expect(spool.state()).toMatchObject({ waiting: 3, lost: 1 })
})

test('an owner’s folder that cannot be made at all keeps nothing from being stored', async () => {
  const workDir = join(world.dir, 'a-file-in-the-way', owner.attemptId)
  await writeFile(join(world.dir, 'a-file-in-the-way'), '')
  await using spool = openSpool(world.deps(owner.attemptId, { workDir }), owner)
  for (const { number, bytes, startMs, durationMs, wallClockStartMs } of taken)
    spool.fragment({ segment: number, bytes, startMs, durationMs, wallClockStartMs })
  for (const segment of taken) await spool.take(segment)
  await spool.drained(10_000)
  await expectWholeCall()
  expect(spool.state()).toMatchObject({ lost: 0, thinned: 0 })
})

/** A real file system of its own, in the mount namespace of a process that ends with the test. */
const MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && echo mounted && exec sleep 600'
const mountable = [
  ['unshare', '-m'],
  ['unshare', '-rm'],
].find(
  ([command, flag]) =>
    spawnSync(command as string, [flag as string, 'sh', '-c', 'mount -t tmpfs none /mnt'], { timeout: 5000 })
      .status === 0,
)

async function smallDisk(sizeBytes: number): Promise<{ dir: string; stop(): void }> {
  const point = join(world.dir, `disk-${owner.attemptId}`)
  await mkdir(point)
  const [command, flag] = mountable as [string, string]
  const child = spawn(command, [flag, 'sh', '-c', MOUNT, 'sh', String(sizeBytes), point], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(5000) })
  return { dir: `/proc/${child.pid}/root${point}`, stop: () => child.kill('SIGKILL') }
}

// Where no file system may be mounted, what can be refused is tested above.
if (mountable)
  test('on a full disk the oldest are thinned, the rest waits in memory, and no second of the call is lost', async () => {
    const disk = await smallDisk(Math.round(mediaBytes() * 0.25))
    try {
      const workDir = join(disk.dir, owner.attemptId)
      await using spool = openSpool(world.deps(owner.attemptId, { workDir }), owner)
      await world.s3.set('refuse')
      for (const segment of taken) {
        const { number, bytes, startMs, durationMs, wallClockStartMs } = segment
        spool.fragment({ segment: number, bytes, startMs, durationMs, wallClockStartMs })
        await spool.take(segment)
      }
      const { bavail, bsize } = await statfs(disk.dir)
      expect(bavail * bsize).toBeLessThan(mediaBytes() * 0.15)
      const state = spool.state()
      // Some are in memory: there are fewer files than segments.
      expect((await readdir(workDir)).filter(name => name.endsWith('.part')).length).toBeLessThan(
        taken.length,
      )
      expect(state).toMatchObject({ waiting: taken.length, lost: 0 })
      expect(state.thinned).toBeGreaterThan(0)
      await world.s3.set('pass')
      await spool.drained(20_000)
      await expectWholeCall()
      const rows = await world.rows(owner.attemptId)
      expect(rows.filter(row => row.thinned)).toHaveLength(state.thinned)
      expect((await readdir(workDir)).filter(name => /^\d/.test(name))).toEqual([])
    } finally {
      disk.stop()
    }
  })
