import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../config.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import { openTestDatabase } from '../db/test-database.ts'
import { createLog } from '../log.ts'
import { canonicalManifest } from '../recorder/manifest.ts'
import { type ObjectStore, startObjectStore } from '../sandbox/s3.ts'
import { createStore, type Store } from '../storage/s3.ts'
import type { Finding } from './verify/findings.ts'
import { makeProvenRecording, type ProvenRecording } from './verify/recording-for-tests.ts'

const SCRIPT = fileURLToPath(new URL('verify.ts', import.meta.url))
let dir: string
let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let bucket: ObjectStore
let store: Store
let proven: ProvenRecording
let env: Record<string, string>

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-verify-'))
  server = await openTestDatabase()
  database = openDatabase(server.url)
  bucket = await startObjectStore({ dir: join(dir, 's3'), bucket: 'testigo' })
  env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: server.url,
    TESTIGO_S3_ENDPOINT: bucket.endpoint,
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
  }
  store = createStore(readConfig(env).storage, createLog('silent'))
  proven = await makeProvenRecording(database.db, store)
})
afterAll(async () => {
  store?.close()
  await bucket?.stop()
  await database?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

interface Run {
  code: number
  stdout: string
  stderr: string
}

// Not the kind of child that blocks: the bucket lives in this process.
function verify(args: string[], changes: Record<string, string> = {}): Promise<Run> {
  return new Promise(resolve => {
    const options = { env: { ...env, ...changes }, timeout: 15_000, maxBuffer: 16 * 1024 * 1024 }
    execFile(process.execPath, [SCRIPT, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}
async function findings(...args: string[]) {
  const run = await verify([...args, '--json'])
  const answer = JSON.parse(run.stdout) as { verdict: string; findings: Finding[] }
  return { ...answer, code: run.code, bad: answer.findings.filter(({ state }) => state !== 'ok') }
}
async function keep(name: string, bytes: Buffer): Promise<string> {
  const file = join(dir, name)
  await writeFile(file, bytes)
  return file
}

describe('a recording of which everything is as it should be', () => {
  test('is proven by its id, in words', async () => {
    const { code, stdout } = await verify([proven.recordingId])
    expect(stdout).toMatch(/^ok .* manifest: It has the SHA-256 of the database's row/m)
    expect(stdout).toMatch(/^ok .* audit log: Row 1 of .* names this manifest's SHA-256/m)
    expect(stdout).toMatch(/^ok .* audit log: 1 row in one unbroken chain/m)
    expect(stdout).toMatch(/^ok .* timeline: 16\.000 s without a hole/m)
    expect(stdout).toMatch(/^ok .* rows: .* 2 attempts and 6 segments/m)
    expect(stdout).toMatch(/^ok .* file: .*recording\.mp4 is there: 50000 bytes/m)
    expect(stdout).toMatch(/^ok .* segment: 6 of them: size and SHA-256 as in the manifest\.$/m)
    expect(stdout).toMatch(/Everything holds\.\n$/)
    expect(code).toBe(0)
  })

  test("is proven by its meeting's id, by a manifest file and with a copy of the video, as one JSON object", async () => {
    const manifest = await keep('manifest.json', canonicalManifest(proven.manifest))
    const video = await keep('copy.mp4', proven.video)
    expect(await findings(proven.meetingId)).toMatchObject({ code: 0, verdict: 'holds', bad: [] })
    const answer = await findings(manifest, '--video', video)
    expect(answer).toMatchObject({ code: 0, verdict: 'holds', bad: [] })
    expect(answer.findings.filter(({ what }) => what === 'segment')).toHaveLength(6)
    expect(answer.findings.at(-1)?.sentence).toContain(`copy.mp4 is ${proven.videoKey}`)
  })
})

test('a video that is another one is found out, and named', async () => {
  const other = await makeProvenRecording(database.db, store)
  await store.put(other.videoKey, Buffer.alloc(other.video.length, 1), { contentType: 'video/mp4' })
  const { code, stdout } = await verify([other.recordingId])
  expect(stdout).toMatch(
    /^DIFFERENT .* file: .*recording\.mp4 has SHA-256 [0-9a-f]{64} instead of [0-9a-f]{64}\.$/m,
  )
  expect(stdout).toMatch(/It does not hold\.\n$/)
  expect(code).toBe(1)
})

describe('without database and bucket', () => {
  const nowhere = {
    DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
    TESTIGO_S3_ENDPOINT: 'http://127.0.0.1:9',
  }
  let manifest: string
  beforeEach(async () => {
    manifest = await keep('manifest.json', canonicalManifest(proven.manifest))
  })

  test('a manifest and a copy of the video prove each other, and what was not looked at is said', async () => {
    const video = await keep('copy.mp4', proven.video)
    const { code, stdout } = await verify([manifest, '--offline', '--video', video], nowhere)
    expect(stdout).toMatch(/^ok .* file: .*copy\.mp4 is /m)
    expect(stdout).toMatch(/^ok .* timeline: /m)
    expect(stdout).toMatch(/^not checked .* segment: 6 of them/m)
    expect(stdout).toMatch(/^not checked .* audit log: The database was not asked\.$/m)
    expect(stdout).toMatch(/not everything was checked\.\n$/)
    expect(code).toBe(3)
  })

  test('another video is found out', async () => {
    const video = await keep('other.mp4', Buffer.from('another video'))
    const { code, stdout } = await verify([manifest, '--offline', '--video', video], nowhere)
    expect(stdout).toMatch(/^DIFFERENT .* file: .*other\.mp4 has 13 bytes instead of 50000\.$/m)
    expect(code).toBe(1)
  })

  test('the database that is away is named, with what to do', async () => {
    const { code, stdout, stderr } = await verify([manifest], nowhere)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Set DATABASE_URL, or check a manifest file with --offline.')
    expect(stderr).not.toMatch(/\n\s+at /)
  })
})

test.each([
  [[], 'Name one recording or one manifest file.'],
  [['no-such-file.json'], 'no-such-file.json is no id, and cannot be read'],
  [['11111111-1111-4111-8111-111111111111'], 'There is no recording and no meeting 11111111'],
  [['11111111-1111-4111-8111-111111111111', '--offline'], '--offline needs a manifest file'],
  [['11111111-1111-4111-8111-111111111111', '--video', 'gone.mp4'], 'gone.mp4 cannot be read'],
  [[SCRIPT], 'is not JSON'],
  [['--quickly'], '--quickly'],
])('%j is refused with what to do', async (args, words) => {
  const { code, stdout, stderr } = await verify(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(words)
  expect(stderr).not.toMatch(/\n\s+at /)
})
