import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../config.ts'
import { createLog, type Log } from '../log.ts'
import { startLockingStore } from '../sandbox/object-lock.ts'
import { type ObjectStore, startObjectStore } from '../sandbox/s3.ts'
import { ObjectsLocked } from './object-lock.ts'
import { createStore, type Store } from './s3.ts'

const DAY_MS = 86_400_000
const MEBIBYTE = 1024 * 1024
const video = { contentType: 'video/mp4', lock: true }
let dir: string
let behind: ObjectStore
let passedMs: number

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-lock-'))
  behind = await startObjectStore({ dir: join(dir, 's3'), bucket: 'testigo' })
})
afterAll(async () => {
  await behind?.stop()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(() => {
  passedMs = 0
})

function openStore(
  endpoint: string,
  settings: Record<string, string>,
  log: Log = createLog('silent'),
): Store {
  const { storage } = readConfig({
    ...{ TESTIGO_S3_ENDPOINT: endpoint, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' },
    ...settings,
  })
  const store = createStore({ ...storage, uploadTimeoutMs: 10_000 }, log)
  onTestFinished(() => store.close())
  return store
}

type LockRules = Parameters<typeof startLockingStore>[0]['objectLock']

async function open(
  objectLock: LockRules,
  settings: Record<string, string> = { TESTIGO_S3_LOCK_DAYS: '10' },
) {
  const log = keepingLog()
  const bucket = await startLockingStore({
    ...{ behind: behind.endpoint, bucket: 'testigo', objectLock, pageSize: 2 },
    now: () => Date.now() + passedMs,
  })
  onTestFinished(() => bucket.stop())
  return { bucket, log, store: openStore(bucket.endpoint, settings, log) }
}

/** A log that keeps its errors. */
function keepingLog(): Log & { errors: string[] } {
  const errors: string[] = []
  const nothing = () => undefined
  const log = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    child: () => log,
    errors,
    error: (_: object, message: string) => void errors.push(message),
  }
  return log
}

describe('in a bucket with Object Lock', () => {
  test.each(['COMPLIANCE', 'GOVERNANCE'])(
    'what is put as evidence stays, in mode %s, and removing it is refused by name',
    async mode => {
      const { store } = await open({}, { TESTIGO_S3_LOCK_DAYS: '10', TESTIGO_S3_LOCK_MODE: mode })
      const began = Date.now()
      await store.put('a/recording.mp4', Buffer.from('video'), video)
      const until = (await store.head('a/recording.mp4'))?.lockedUntil?.getTime() ?? 0
      // The header carries seconds.
      expect(until).toBeGreaterThan(began + 10 * DAY_MS - 1000)
      expect(until).toBeLessThanOrEqual(Date.now() + 10 * DAY_MS)

      const refused = await store.remove(['a/recording.mp4']).catch((caught: unknown) => caught)
      expect(refused).toBeInstanceOf(ObjectsLocked)
      expect(refused).toMatchObject({ code: 'locked', retryable: false, keys: ['a/recording.mp4'] })
      expect(String(refused)).toContain('a/recording.mp4 is locked by Object Lock')
      expect((await buffer(await store.get('a/recording.mp4'))).toString()).toBe('video')
    },
  )

  test('a large file that goes up in parts is locked as a whole', async () => {
    const { store } = await open({})
    const bytes = randomBytes(9 * MEBIBYTE)
    await writeFile(join(dir, 'in.mp4'), bytes)
    await store.put('big.mp4', { file: join(dir, 'in.mp4') }, video)
    expect(await store.head('big.mp4')).toMatchObject({
      sizeBytes: bytes.length,
      lockedUntil: expect.any(Date),
    })
    await expect(store.remove(['big.mp4'])).rejects.toMatchObject({ code: 'locked', keys: ['big.mp4'] })
    expect((await buffer(await store.get('big.mp4'))).equals(bytes)).toBe(true)
  })

  test('what is put without that word is not locked, and is removed for good, every version of it', async () => {
    const { store, bucket } = await open({})
    for (const words of ['one', 'two', 'three'])
      await store.put('a/note', Buffer.from(words), { contentType: 'text/plain' })
    await store.put('a/other', Buffer.from('x'), { contentType: 'text/plain' })
    expect(await store.head('a/note')).toMatchObject({ lockedUntil: undefined })
    await store.remove(['a/note', 'a/never-there'])
    expect(await store.head('a/note')).toBeUndefined()
    const versions = await (await fetch(`${bucket.endpoint}/testigo?versions&prefix=a/note`)).text()
    expect(versions).not.toContain('a/note')
    expect(await store.head('a/other')).toMatchObject({ sizeBytes: 1 })
  })

  test('of many, those that are not locked go, and those that stay are named', async () => {
    const { store } = await open({})
    for (const number of [1, 2, 3]) {
      await store.put(`r/keep-${number}`, Buffer.from('x'), video)
      await store.put(`r/go-${number}`, Buffer.from('x'), { contentType: 'video/mp4' })
    }
    const keys = [1, 2, 3].flatMap(number => [`r/keep-${number}`, `r/go-${number}`])
    await expect(store.remove(keys)).rejects.toMatchObject({
      code: 'locked',
      keys: ['r/keep-1', 'r/keep-2', 'r/keep-3'],
      message: expect.stringContaining('3 objects (r/keep-1 …) are locked'),
    })
    expect(await names(store, 'r/')).toEqual(['r/keep-1', 'r/keep-2', 'r/keep-3'])
  })

  test.each([
    ['on', true],
    ['off', false],
  ])(
    'a segment is locked where segments are kept: with TESTIGO_KEEP_SEGMENTS %s, %s',
    async (keep, locked) => {
      const { store } = await open({}, { TESTIGO_S3_LOCK_DAYS: '10', TESTIGO_KEEP_SEGMENTS: keep })
      await store.put(`s/${keep}`, Buffer.from('x'), { contentType: 'video/mp4', lock: 'if_kept' })
      expect((await store.head(`s/${keep}`))?.lockedUntil !== undefined).toBe(locked)
    },
  )

  test('after its date it goes', async () => {
    const { store } = await open({})
    await store.put('old/recording.mp4', Buffer.from('video'), video)
    passedMs = 10 * DAY_MS + 1000
    await store.remove(['old/recording.mp4'])
    expect(await store.head('old/recording.mp4')).toBeUndefined()
  })

  test("without days of ours the bucket's own default holds", async () => {
    const { store, bucket } = await open({ byDefault: { mode: 'COMPLIANCE', days: 3 } }, {})
    await store.put('d/recording.mp4', Buffer.from('video'), video)
    const until = (await store.head('d/recording.mp4'))?.lockedUntil?.getTime() ?? 0
    expect(Math.abs(until - Date.now() - 3 * DAY_MS)).toBeLessThan(60_000)
    await expect(store.remove(['d/recording.mp4'])).rejects.toMatchObject({ code: 'locked' })
    expect(bucket.requests().filter(line => line.includes('object-lock'))).toHaveLength(1)
  })

  test('the bucket is asked once for many puts', async () => {
    const { store, bucket } = await open({})
    for (const number of [1, 2, 3]) await store.put(`n/${number}`, Buffer.from('x'), video)
    expect(bucket.requests().filter(line => line.includes('object-lock'))).toHaveLength(1)
  })
})

describe('in a bucket without Object Lock', () => {
  test('everything is put and removed as ever, and one line of the log says that nothing is locked', async () => {
    const { store, log } = await open(undefined)
    await store.put('p/1', Buffer.from('x'), video)
    await store.put('p/2', Buffer.from('x'), video)
    expect(await store.head('p/1')).toMatchObject({ sizeBytes: 1, lockedUntil: undefined })
    expect(log.errors).toEqual([expect.stringContaining('the bucket has no Object Lock')])
    await store.remove(['p/1', 'p/2'])
    expect(await names(store, 'p/')).toEqual([])
  })

  test('so it is with a store that does not know the question', async () => {
    const log = keepingLog()
    const store = openStore(behind.endpoint, { TESTIGO_S3_LOCK_DAYS: '10' }, log)
    await store.put('p/1', Buffer.from('x'), video)
    await store.remove(['p/1'])
    expect(await store.head('p/1')).toBeUndefined()
    expect(log.errors).toEqual([expect.stringContaining('the bucket has no Object Lock')])
  })

  test('nothing is asked where the settings ask for no lock', async () => {
    const { store, bucket, log } = await open(undefined, {})
    await store.put('q/1', Buffer.from('x'), video)
    expect(bucket.requests().some(line => line.includes('object-lock'))).toBe(false)
    expect(log.errors).toEqual([])
  })
})

test.each([
  [403, 'AccessDenied', 'allow s3:GetBucketObjectLockConfiguration'],
  [501, 'NotImplemented', 'the bucket has no Object Lock'],
])(
  'a store that answers the question with %i %s gets the object all the same, and the log says what to do',
  async (status, code, words) => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.method ?? '')
      request.resume()
      if (request.method === 'PUT') response.end()
      else response.writeHead(status).end(`<Error><Code>${code}</Code><Message>No</Message></Error>`)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const log = keepingLog()
    const { port } = server.address() as AddressInfo
    const store = openStore(`http://127.0.0.1:${port}`, { TESTIGO_S3_LOCK_DAYS: '10' }, log)
    await store.put('a', Buffer.from('x'), video)
    expect(asked).toEqual(['GET', 'PUT'])
    expect(log.errors).toEqual([expect.stringContaining(words)])
  },
)

async function names(store: Store, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list(prefix)) found.push(key)
  return found
}
