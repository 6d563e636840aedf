import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { closeAttempt } from '../../db/attempts.ts'
import { type OpenJobs, openJobs } from '../../db/jobs.ts'
import { findRecording, moveRecording } from '../../db/recordings.ts'
import { type FaultProxy, startFaultProxy } from '../../sandbox/fault-proxy.ts'
import { joinSegments } from '../capture/join-segments.ts'
import { makeCapture, segmentsOf } from '../capture/media-for-tests.ts'
import { probeMedia } from '../capture/probe-media.ts'
import type { Segment } from '../capture/segmenter.ts'
import type { FeedOrder } from './feed-spool-for-tests.ts'
import { type TakenLeftovers, takeLeftovers } from './leftovers.ts'
import type { SegmentOwner } from './segment-queue.ts'
import { openSpool } from './spool.ts'
import { openWorld, rememberingLog } from './spool-for-tests.ts'

const CAPTURE_SECONDS = 11
const STARTED_AT = Date.parse('2026-03-02T15:00:00Z')

let world: Awaited<ReturnType<typeof openWorld<FaultProxy>>>
let jobs: OpenJobs
let capture: string
let segments: Segment[]
let owner: SegmentOwner
let workDir: string
const children: ChildProcess[] = []

beforeAll(async () => {
  world = await openWorld(startFaultProxy)
  jobs = await openJobs(world.databaseUrl, () => undefined)
  capture = await makeCapture(world.dir, { seconds: CAPTURE_SECONDS })
  segments = await segmentsOf(capture, 2)
})
afterAll(async () => {
  await jobs?.close(0)
  await world?.close()
})
beforeEach(async () => {
  owner = await world.beginAttempt()
  workDir = join(world.workRoot, owner.attemptId)
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await world.s3.set('pass')
})

type Changes = Partial<Parameters<typeof takeLeftovers>[0]>
const take = (changes: Changes = {}): Promise<TakenLeftovers> =>
  takeLeftovers({ ...world.deps(owner.attemptId), workRoot: world.workRoot, jobs, ...changes })
const folders = async () => await readdir(world.workRoot)
const numbers = async () => (await world.rows(owner.attemptId)).map(({ number }) => number)
const recording = async () => (await findRecording(world.db, { recordingId: owner.recordingId }))?.recording
const finishJobs = async () =>
  await world.db.execute(
    sql`select id from pgboss.job where name = 'finish-recording' and singleton_key = ${owner.recordingId} and state < 'active'`,
  )

/** A process that spools the capture, until all of it but the end of the last segment has come. */
async function spooling(): Promise<{ child: ChildProcess; handedOverMs: () => number }> {
  const order: FeedOrder = {
    databaseUrl: world.wiredDatabaseUrl,
    s3Url: world.s3.url,
    workDir,
    capture,
    startedAtMs: STARTED_AT,
    owner,
  }
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'feed-spool-for-tests.ts'), JSON.stringify(order)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  children.push(child)
  let handedOverMs = 0
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', line => {
    handedOverMs = Math.max(handedOverMs, (JSON.parse(line) as { endMs: number }).endMs)
  })
  await vi.waitFor(() => expect(handedOverMs).toBeGreaterThan(10_000), { timeout: 15_000, interval: 20 })
  return { child, handedOverMs: () => handedOverMs }
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** A spool that was given up with everything still on the disk. */
async function leaveBehind(): Promise<void> {
  await world.s3.set('refuse')
  const spool = openSpool(world.deps(owner.attemptId), owner)
  for (const segment of segments) await spool.take(segment)
  await expect(spool.drained(1)).rejects.toThrow()
  await world.s3.set('pass')
}

/** The attempt is over and its video was made. */
async function publish(): Promise<void> {
  await world.db.transaction(async tx => {
    await closeAttempt(tx, owner.attemptId, { ending: 'recorder_died', at: new Date() })
    await moveRecording(tx, owner.recordingId, 'finishing', { actor: 'test', ending: 'recorder_died' })
    await moveRecording(tx, owner.recordingId, 'partial', { actor: 'test' })
  })
}

test('of a killed recording everything it had handed over is stored, up to the last fragment, at its time', async () => {
  await world.s3.set('refuse')
  const { child, handedOverMs } = await spooling()
  expect(await take()).toEqual({ folders: 0, segments: 0 })
  await kill(child)
  await world.s3.set('pass')
  const taken = await take()
  const rows = await world.rows(owner.attemptId)
  expect(taken).toEqual({ folders: 1, segments: rows.length })
  expect(rows.map(({ number }) => number)).toEqual(rows.map((_, index) => index))
  const last = rows.at(-1)
  expect((last?.startMs ?? 0) + (last?.durationMs ?? 0)).toBeGreaterThanOrEqual(handedOverMs() - 1)
  for (const row of rows.slice(1)) expect(row.startedAt.getTime()).toBe(STARTED_AT + row.startMs)
  expect(await folders()).toEqual([])

  const paths: string[] = []
  for (const { s3Key, number } of rows) {
    paths.push(join(world.dir, `left-${number}`))
    await writeFile(paths.at(-1) as string, await world.bytesIn(s3Key))
  }
  await joinSegments([{ init: paths[0] as string, media: paths.slice(1) }], join(world.dir, 'left.mp4'))
  const { durationMs } = await probeMedia(join(world.dir, 'left.mp4'))
  expect(durationMs).toBeGreaterThanOrEqual(handedOverMs() - 50)
})

test('a process that died between the bucket and the database leaves rows to be written, no bytes', async () => {
  await world.database.set('refuse')
  const { child } = await spooling()
  const stored = async () => (await readdir(workDir)).filter(name => /^\d+\.part$/.test(name)).length === 0
  await vi.waitFor(async () => expect(await stored()).toBe(true), { timeout: 10_000 })
  await kill(child)
  await world.database.set('pass')
  // Only what was still open has to go up.
  await world.s3.set('pass')
  const before = world.s3.connections()
  await take()
  expect(world.s3.connections() - before).toBeLessThanOrEqual(1)
  expect((await numbers()).length).toBeGreaterThan(5)
  expect(await folders()).toEqual([])
})

test('a recording that was final is opened again, once, with a job to finish it', async () => {
  await leaveBehind()
  await publish()
  expect(await take()).toEqual({ folders: 1, segments: segments.length })
  expect((await recording())?.status).toBe('finishing')
  expect(await finishJobs()).toHaveLength(1)
  expect(await take()).toEqual({ folders: 0, segments: 0 })
})

test('segments that have their rows already open nothing again', async () => {
  await leaveBehind()
  await take()
  await publish()
  await leaveBehind()
  expect(await take()).toEqual({ folders: 1, segments: 0 })
  expect((await recording())?.status).toBe('partial')
  expect(await finishJobs()).toHaveLength(0)
})

test('a recording that still goes on gets its rows and nothing else', async () => {
  await leaveBehind()
  await take()
  expect(await numbers()).toHaveLength(segments.length)
  expect((await recording())?.status).toBe('joining')
  expect(await finishJobs()).toHaveLength(0)
})

test('two who look at the same time share the work: every folder is taken by one of them', async () => {
  await leaveBehind()
  const [one, other] = await Promise.all([take(), take()])
  expect(one.segments + other.segments).toBe(segments.length)
  expect(one.folders + other.folders).toBe(1)
  expect(await numbers()).toHaveLength(segments.length)
})

test('a taker that was killed is followed by the next one', async () => {
  await leaveBehind()
  const dead = spawn('true')
  await once(dead, 'exit')
  const text = JSON.parse(await readFile(join(workDir, 'owner.json'), 'utf8')) as object
  await writeFile(join(workDir, 'taker.json'), JSON.stringify({ ...text, pid: dead.pid, released: false }))
  expect(await take()).toEqual({ folders: 1, segments: segments.length })
})

test('an owner whose pid belongs to another process by now is dead', async () => {
  await leaveBehind()
  const text = await readFile(join(workDir, 'owner.json'), 'utf8')
  const alive = { ...(JSON.parse(text) as { startTicks: number }), released: false }
  await writeFile(join(workDir, 'owner.json'), JSON.stringify(alive))
  expect(await take()).toEqual({ folders: 0, segments: 0 })
  await writeFile(join(workDir, 'owner.json'), JSON.stringify({ ...alive, startTicks: alive.startTicks - 1 }))
  expect(await take({ isOwnChild: pid => pid === process.pid })).toEqual({ folders: 0, segments: 0 })
  expect(await take()).toEqual({ folders: 1, segments: segments.length })
})

test('while the bucket is away the folder stays; the next look takes up where the last one stopped', async () => {
  await leaveBehind()
  await world.s3.set('hang')
  expect(await take({ folderLimitMs: 500 })).toEqual({ folders: 0, segments: 0 })
  expect(await folders()).toEqual([owner.attemptId])
  await world.s3.set('pass')
  expect(await take()).toEqual({ folders: 1, segments: segments.length })
})

test('of a segment that the machine did not finish writing the whole fragments are stored', async () => {
  await leaveBehind()
  const cut = segments[2] as Segment
  await truncate(join(workDir, '00002.part'), cut.bytes.length - 1)
  await truncate(join(workDir, '00003.part'), 10)
  await truncate(join(workDir, '00004.json'), 0)
  await take()
  const rows = await world.rows(owner.attemptId)
  expect(rows.map(({ number }) => number)).toEqual(
    segments.map(({ number }) => number).filter(number => number !== 3),
  )
  const { sha256, startMs } = segments[4] as Segment
  expect(rows.find(({ number }) => number === 4)).toMatchObject({ sha256, startMs: Math.round(startMs) })
  const [row] = rows.filter(({ number }) => number === 2)
  expect(row?.sizeBytes).toBeLessThan(cut.bytes.length)
  expect(row?.durationMs).toBeGreaterThan(1000)
  expect((await world.bytesIn(row?.s3Key ?? '')).equals(cut.bytes.subarray(0, row?.sizeBytes))).toBe(true)
})

test('a folder in which nothing is left to save goes, with the browser profile in it', async () => {
  await leaveBehind()
  await take()
  await using spool = openSpool(world.deps(owner.attemptId), owner)
  await mkdir(join(workDir, 'profile', 'Default'), { recursive: true })
  await writeFile(join(workDir, 'profile', 'Default', 'Cookies'), 'x')
  expect(await take()).toEqual({ folders: 0, segments: 0 })
  await spool[Symbol.asyncDispose]()
  expect(await take()).toEqual({ folders: 1, segments: 0 })
  expect(await folders()).toEqual([])
})

test('a folder whose owner is not written down is somebody’s as long as the attempt lives', async () => {
  await leaveBehind()
  await rm(join(workDir, 'owner.json'))
  expect(await take()).toEqual({ folders: 0, segments: 0 })
  await publish()
  expect(await take()).toEqual({ folders: 1, segments: segments.length })
})

test('segments of an attempt that this database does not know stay, and are spoken of once', async () => {
  const log = rememberingLog()
  owner = { ...owner, attemptId: randomUUID() }
  workDir = join(world.workRoot, owner.attemptId)
  await leaveBehind()
  for (const _ of [1, 2, 3]) expect(await take({ log })).toEqual({ folders: 0, segments: 0 })
  expect(log.lines).toEqual([{ level: 'warn', message: expect.stringContaining('does not know') }])
  expect((await readdir(workDir)).filter(name => name.endsWith('.part'))).toHaveLength(segments.length)
})
