import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { type FauxqsServer, startFauxqs } from 'fauxqs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { StorageFault } from './fault.ts'
import { createStore, type Store, type StoredObject, type StoreLimits } from './s3.ts'

const log = createLog('silent')
const MEBIBYTE = 1024 * 1024
let server: FauxqsServer
let proxy: Proxy
let folder: string
let store: Store

beforeAll(async () => {
  server = await startFauxqs({ port: 0, host: '127.0.0.1', logger: false })
})
afterAll(async () => {
  await server.stop()
})
beforeEach(async () => {
  proxy = await startProxy(server.port)
  folder = await mkdtemp(join(tmpdir(), 'testigo-s3-'))
  store = open()
  await store.ensureBucket()
})
afterEach(async () => {
  store.close()
  server.emptyBucket('testigo')
  await proxy.stop()
  await rm(folder, { recursive: true })
})

function open(changes: { uploadTimeoutMs?: number; limits?: StoreLimits; bucket?: string } = {}): Store {
  const { storage } = readConfig({ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' })
  const endpoint = `http://127.0.0.1:${proxy.port}`
  const opened = createStore(
    {
      ...storage,
      bucket: changes.bucket ?? 'testigo',
      endpoint,
      publicEndpoint: `http://127.0.0.1:${server.port}`,
      uploadTimeoutMs: changes.uploadTimeoutMs ?? 15_000,
    },
    log,
    changes.limits ?? { connectMs: 500, tryMs: 500, longTryMs: 1000, requestMs: 10_000 },
  )
  return opened
}

test('an object from memory comes back as it was, with its type, size and SHA-256', async () => {
  const bytes = randomBytes(1000)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  expect(await store.put('a/seg-00001.m4s', bytes, { contentType: 'video/mp4', sha256 })).toEqual({
    key: 'a/seg-00001.m4s',
    sizeBytes: 1000,
  })
  expect(await store.head('a/seg-00001.m4s')).toEqual({
    key: 'a/seg-00001.m4s',
    sizeBytes: 1000,
    contentType: 'video/mp4',
    sha256,
  })
  expect(await buffer(await store.get('a/seg-00001.m4s'))).toEqual(bytes)
})

test('bytes that do not have the SHA-256 they should have are not put', async () => {
  await expect(
    store.put('a', Buffer.from('x'), { contentType: 'video/mp4', sha256: '0'.repeat(64) }),
  ).rejects.toMatchObject({ code: 'checksum_mismatch' })
  expect(await store.head('a')).toBeUndefined()
})

test('a file that does not have the SHA-256 it should have is a fault, not a stored recording', async () => {
  await writeFile(join(folder, 'in.mp4'), 'x')
  await expect(
    store.put('a', { file: join(folder, 'in.mp4') }, { contentType: 'video/mp4', sha256: '0'.repeat(64) }),
  ).rejects.toMatchObject({ code: 'checksum_mismatch', retryable: false })
})

test('a large file whose last answer is lost counts as put, since it is there', async () => {
  const bytes = randomBytes(9 * MEBIBYTE)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(folder, 'in.mp4'), bytes)
  proxy.loseAnswerTo(/POST \S+uploadId=/)
  await store.put('big.mp4', { file: join(folder, 'in.mp4') }, { contentType: 'video/mp4', sha256 })
  expect(proxy.answersLost()).toBe(1)
  expect(await store.head('big.mp4')).toMatchObject({ sizeBytes: bytes.length, sha256 })
})

test('a reader may take longer over an object than the store has to begin its answer', async () => {
  const hasty = open({ limits: { connectMs: 500, tryMs: 500, longTryMs: 5000, requestMs: 300 } })
  onTestFinished(() => hasty.close())
  const bytes = randomBytes(6 * MEBIBYTE)
  await store.put('a', bytes, { contentType: 'video/mp4' })
  const began = performance.now()
  const pieces: Buffer[] = []
  for await (const piece of (await hasty.get('a')) as AsyncIterable<Buffer>) {
    pieces.push(piece)
    // Read slowly until past the limit, then as fast as it comes.
    if (performance.now() - began < 600) await delay(50)
  }
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
  expect(performance.now() - began).toBeGreaterThan(300)
})

test('a large file goes up in parts and comes back into a file that is the same', async () => {
  const bytes = randomBytes(20 * MEBIBYTE + 17)
  await writeFile(join(folder, 'in.mp4'), bytes)
  await store.put('big.mp4', { file: join(folder, 'in.mp4') }, { contentType: 'video/mp4' })
  expect(await store.getToFile('big.mp4', join(folder, 'out.mp4'))).toEqual({
    key: 'big.mp4',
    sizeBytes: bytes.length,
  })
  expect((await readFile(join(folder, 'out.mp4'))).equals(bytes)).toBe(true)
  // On a busy machine a part may be sent twice.
  const parts = proxy.requestLines().flatMap(line => /partNumber=\d+/.exec(line) ?? [])
  expect([...new Set(parts)].sort()).toEqual([1, 2, 3, 4, 5].map(part => `partNumber=${part}`))
})

test('a download that breaks in the middle goes on where it broke', async () => {
  const bytes = randomBytes(6 * MEBIBYTE)
  await store.put('big.mp4', bytes, { contentType: 'video/mp4' })
  proxy.cutAfterDownloading(2 * MEBIBYTE)
  await store.getToFile('big.mp4', join(folder, 'out.mp4'))
  expect((await readFile(join(folder, 'out.mp4'))).equals(bytes)).toBe(true)
  expect(proxy.rangesAsked()).toHaveLength(1)
  expect(await readdir(folder)).toEqual(['out.mp4'])
})

test('a file that is missing here, or an object missing there, leaves nothing behind', async () => {
  await expect(store.getToFile('none', join(folder, 'out.mp4'))).rejects.toMatchObject({
    code: 'not_found',
    retryable: false,
  })
  await expect(store.put('a', { file: join(folder, 'none') }, { contentType: 'video/mp4' })).rejects.toThrow(
    'ENOENT',
  )
  expect(await readdir(folder)).toEqual([])
})

test('names are listed in order over many pages and removed in one go', async () => {
  const names = Array.from({ length: 1005 }, (_, at) => `list/${String(at).padStart(5, '0')}`)
  for (const name of names) await store.put(name, Buffer.from('x'), { contentType: 'text/plain' })
  await store.put('other', Buffer.from('x'), { contentType: 'text/plain' })
  expect((await listed('list/')).map(({ key }) => key)).toEqual(names)
  await store.remove([...names, 'never-there'])
  expect(await listed('')).toEqual([{ key: 'other', sizeBytes: 1 }])
})

test('a link downloads without any key, under the name asked for, from the public address', async () => {
  await store.put('a.mp4', Buffer.from('video'), { contentType: 'video/mp4' })
  const link = await store.link('a.mp4', { filename: 'Reunión “1”.mp4', seconds: 60 })
  expect(new URL(link).port).toBe(String(server.port))
  expect(new URL(link).searchParams.get('X-Amz-Expires')).toBe('60')
  expect(new URL(link).searchParams.get('response-content-disposition')).toBe(
    `attachment; filename="Reunion 1.mp4"; filename*=UTF-8''Reuni%C3%B3n%20%E2%80%9C1%E2%80%9D.mp4`,
  )
  const answer = await fetch(link)
  expect(answer.status).toBe(200)
  expect(await answer.text()).toBe('video')
})

test('a store that refuses connections for a while gets the object as soon as it is back', async () => {
  await proxy.stop()
  const put = store.put('a', Buffer.from('x'), { contentType: 'text/plain' })
  // Refusals are met before the store comes back on the same port.
  await expect(connecting(proxy.port)).rejects.toThrow('ECONNREFUSED')
  proxy = await startProxy(server.port, proxy.port)
  await put
  expect(await store.head('a')).toMatchObject({ sizeBytes: 1 })
})

test('a store that swallows requests without an answer is asked again after the limit of one try', async () => {
  proxy.swallow(2)
  await store.put('a', Buffer.from('x'), { contentType: 'text/plain' })
  expect(proxy.swallowed()).toBe(2)
  expect(await store.head('a')).toMatchObject({ sizeBytes: 1 })
})

test('a store that never answers ends in a timeout at the wall clock, from memory and from a file', async () => {
  proxy.swallow(Number.POSITIVE_INFINITY)
  const hasty = open({ uploadTimeoutMs: 1200 })
  onTestFinished(() => hasty.close())
  await writeFile(join(folder, 'in.mp4'), randomBytes(9 * MEBIBYTE))
  for (const body of [Buffer.from('x'), { file: join(folder, 'in.mp4') }]) {
    const began = performance.now()
    const error = await hasty.put('a', body, { contentType: 'video/mp4' }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(StorageFault)
    expect(error).toMatchObject({ code: 'timeout', retryable: true })
    expect(performance.now() - began).toBeLessThan(4000)
  }
})

test('a put of one single try fails at the first refusal, and at its own limit when nobody answers', async () => {
  const once = { contentType: 'text/plain', tryMs: 700 }
  proxy.swallow(Number.POSITIVE_INFINITY)
  const began = performance.now()
  await expect(store.put('a', Buffer.from('x'), once)).rejects.toMatchObject({ code: 'timeout' })
  expect(performance.now() - began).toBeLessThan(3000)
  expect(proxy.swallowed()).toBe(1)
  await proxy.stop()
  await expect(store.put('a', Buffer.from('x'), once)).rejects.toMatchObject({ reason: 'ECONNREFUSED' })
  proxy = await startProxy(server.port, proxy.port)
  await store.put('a', Buffer.from('x'), once)
})

test('an upload that its caller aborts ends with the caller’s own reason', async () => {
  proxy.swallow(Number.POSITIVE_INFINITY)
  const stop = new AbortController()
  const put = store.put('a', Buffer.from('x'), { contentType: 'text/plain', signal: stop.signal })
  stop.abort(new Error('the recorder stops'))
  await expect(put).rejects.toThrow('the recorder stops')
})

test('a bucket that does not exist is a setting to change, and is not waited for', async () => {
  const lost = open({ bucket: 'no-such-bucket' })
  onTestFinished(() => lost.close())
  const error = await lost
    .put('a', Buffer.from('x'), { contentType: 'text/plain' })
    .catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'misconfigured', retryable: false })
  expect(String(error)).toContain('TESTIGO_S3_BUCKET')
})

test('making the bucket twice is making it once', async () => {
  const again = open({ bucket: 'fresh' })
  onTestFinished(() => again.close())
  await again.ensureBucket()
  await again.ensureBucket()
  await again.put('a', Buffer.from('x'), { contentType: 'text/plain' })
  expect(await again.head('a')).toMatchObject({ sizeBytes: 1 })
})

async function listed(prefix: string): Promise<StoredObject[]> {
  const found: StoredObject[] = []
  for await (const one of store.list(prefix)) found.push(one)
  return found
}

interface Proxy {
  port: number
  requestLines(): string[]
  rangesAsked(): string[]
  /** Closes the next connection that has brought this many bytes down. */
  cutAfterDownloading(bytes: number): void
  /** Hands the next request that looks like this on, and closes the connection instead of answering. */
  loseAnswerTo(request: RegExp): void
  answersLost(): number
  /** Takes the next `count` connections and never answers. */
  swallow(count: number): void
  swallowed(): number
  stop(): Promise<void>
}

/** A wire to the store that can be cut. Each request gets a connection of its own. */
async function startProxy(targetPort: number, port = 0): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let sent = ''
  let cutBytes: number | undefined
  let toSwallow = 0
  let swallowed = 0
  let toLose: RegExp | undefined
  let lost = 0
  const wire = createServer(client => {
    sockets.add(client)
    client.on('error', () => client.destroy())
    client.on('close', () => sockets.delete(client))
    if (toSwallow > 0) {
      toSwallow--
      swallowed++
      client.resume()
      return
    }
    const upstream = connect(targetPort, '127.0.0.1')
    upstream.on('error', () => client.destroy())
    let down = 0
    let loses = false
    client.on('data', (data: Buffer) => {
      const text = data.toString('latin1')
      sent += text
      if (toLose?.test(text)) {
        toLose = undefined
        loses = true
      }
      upstream.write(data)
    })
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    upstream.on('data', (data: Buffer) => {
      down += data.length
      if (loses) {
        lost++
        client.destroy()
        return
      }
      client.write(data)
      if (cutBytes === undefined || down < cutBytes) return
      cutBytes = undefined
      client.destroySoon()
      upstream.destroy()
    })
  })
  await new Promise<void>(resolve => wire.listen(port, '127.0.0.1', resolve))
  return {
    port: (wire.address() as AddressInfo).port,
    requestLines: () => sent.match(/(?:GET|PUT|POST) \/\S+ HTTP\/1\.1/g) ?? [],
    rangesAsked: () => sent.match(/^range: bytes=\d+-/gim) ?? [],
    cutAfterDownloading: bytes => {
      cutBytes = bytes
    },
    loseAnswerTo: request => {
      toLose = request
    },
    answersLost: () => lost,
    swallow: count => {
      toSwallow = count
      // Connections kept open would get around it.
      for (const socket of sockets) socket.destroy()
    },
    swallowed: () => swallowed,
    stop: async () => {
      const closed = new Promise<void>(resolve => wire.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function connecting(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
