import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { findRecording } from '../db/recordings.ts'
import { recordings } from '../db/schema.ts'
import { openTestGoogle, type TestGoogle } from '../google/test-google.ts'
import { createLog } from '../log.ts'
import { type ObjectStore, startObjectStore } from '../sandbox/s3.ts'
import { createStore, type Store } from '../storage/s3.ts'
import { type CoverageStage, holdConference, ORGANIZER, openCoverageStage } from './coverage-for-tests.ts'
import { type ImportDeps, importNative } from './import-native.ts'

// Google's Drive, a real bucket and real tables.

const MIB = 1024 * 1024
const log = createLog('silent')
let stage: CoverageStage
let bucket: ObjectStore
let dir: string

beforeAll(async () => {
  stage = await openCoverageStage()
  dir = await mkdtemp(join(tmpdir(), 'testigo-native-'))
  bucket = await startObjectStore({ dir, bucket: 'testigo' })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await bucket?.stop()
  await rm(dir, { recursive: true, force: true })
})

type Native = TestGoogle['sandbox']['state']['conferences'][number]['recordings'][number]

async function openImport(sizeBytes = 1000) {
  const google = await openTestGoogle({}, { settings: { timeoutMs: 2000 } })
  const config = readConfig({
    TESTIGO_DATA_DIR: join(google.folder, 'data'),
    TESTIGO_S3_ENDPOINT: bucket.endpoint,
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
  })
  const store: Store = createStore(config.storage, log)
  onTestFinished(() => store.close())
  const meeting = await stage.meeting()
  const conference = holdConference(google, stage, meeting, { 'Ana Torres': [[0, 30]] })
  const { db } = stage.database
  await db
    .update(recordings)
    .set({ conferences: [conference.name] })
    .where(eq(recordings.id, meeting.recordingId))
  const deps: ImportDeps = {
    config,
    db,
    jobs: stage.jobs,
    google: google.google,
    store,
    clock: systemClock,
    log,
  }
  const workDir = join(google.folder, 'data', 'work', `native-${meeting.recordingId}`)

  /** Google records; the file's content is random. */
  const record = async (state: Native['state'] = 'FILE_GENERATED') => {
    const bytes = randomBytes(sizeBytes)
    const native: Native = {
      name: `${conference.name}/recordings/${randomUUID()}`,
      state,
      startTime: stage.at(1).toISOString(),
      endTime: stage.at(30).toISOString(),
      fileId: `1${randomUUID()}`,
    }
    conference.recordings.push(native)
    await putFile(google, native.fileId ?? '', bytes)
    return { native, bytes }
  }
  return {
    ...google,
    deps,
    workDir,
    meeting,
    record,
    run: (changed: Partial<ImportDeps> = {}, look = 0) =>
      importNative(
        { ...deps, ...changed },
        { recordingId: meeting.recordingId, look },
        new AbortController().signal,
      ),
    kept: async () => (await findRecording(db, meeting))?.recording.nativeRecordings ?? [],
    stored: async (key: string) => {
      const file = join(google.folder, 'back.mp4')
      await store.getToFile(key, file)
      return readFile(file)
    },
  }
}

async function putFile({ sandbox, folder }: TestGoogle, id: string, bytes: Buffer): Promise<void> {
  const path = join(folder, id)
  await writeFile(path, bytes)
  const digest = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
  const now = new Date().toISOString()
  sandbox.state.files.set(id, {
    id,
    name: 'abc-mnop-xyz.mp4',
    mimeType: 'video/mp4',
    parent: 'root',
    owner: ORGANIZER,
    createdTime: now,
    modifiedTime: now,
    trashed: false,
    appProperties: {},
    properties: {},
    permissions: [],
    madeByApp: false,
    content: {
      path,
      sizeBytes: bytes.length,
      checksums: {
        md5Checksum: digest('md5'),
        sha1Checksum: digest('sha1'),
        sha256Checksum: digest('sha256'),
      },
    },
  })
}

test("Google's own recordings are copied beside the video, byte for byte, once", async () => {
  const at = await openImport()
  const made = [await at.record(), await at.record()]
  expect(await at.run()).toBe(2)
  const kept = await at.kept()
  expect(kept.map(({ s3Key }) => s3Key.split('/').at(-1))).toEqual(['native-1.mp4', 'native-2.mp4'])
  for (const [index, { native, bytes }] of made.entries()) {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    expect(kept[index]).toMatchObject({
      name: native.name,
      driveFileId: native.fileId,
      sha256,
      driveSha256: sha256,
      sizeBytes: 1000,
      startedAt: native.startTime,
      endedAt: native.endTime,
    })
    expect((await at.stored(kept[index]?.s3Key ?? '')).equals(bytes)).toBe(true)
  }
  const asked = at.asked('files.get')
  expect(await at.run()).toBe(2)
  expect(await at.kept()).toEqual(kept)
  expect(at.asked('files.get')).toBe(asked)
  expect(await readdir(join(at.workDir, '..'))).toEqual([])
})

test('a recording that is still being made is looked for again, until a day has passed', async () => {
  const at = await openImport()
  const { native } = await at.record('ENDED')
  expect(await at.run()).toBe(0)
  const [next] = await stage.queued('import-native', at.meeting.recordingId)
  expect(next?.data).toEqual({ recordingId: at.meeting.recordingId, look: 1 })
  native.state = 'FILE_GENERATED'
  expect(await at.run({}, 1)).toBe(1)

  const slow = await openImport()
  await slow.record('ENDED')
  const tomorrow = { ...systemClock, now: () => stage.at(60 + 24 * 60).getTime() }
  await slow.run({ clock: tomorrow })
  expect(await stage.queued('import-native', slow.meeting.recordingId)).toEqual([])
})

test('a download that breaks goes on where it stopped, also in another run', async () => {
  const at = await openImport(20 * MIB)
  const { bytes } = await at.record()
  // The first piece of 8 MiB comes whole; of the second one, no try does.
  const whole = at.google.downloads
  let pieces = 0
  const breaking: ImportDeps['google']['downloads'] = {
    ...whole,
    read: async function* (...args) {
      for await (const piece of whole.read(...args)) {
        pieces += 1
        if (pieces === 2) throw new Error('the machine died')
        yield piece
      }
    },
  }
  const google = { records: at.google.records, downloads: breaking }
  await expect(at.run({ google })).rejects.toThrow('the machine died')
  const [left = ''] = await readdir(at.workDir)
  expect((await stat(join(at.workDir, left))).size).toBe(8 * MIB)
  const asked = at.asked('files.get')
  at.sandbox.faults.add({ kind: 'cutDownload', storedBytes: MIB })
  expect(await at.run()).toBe(1)
  // What Drive says of the file, the piece that was cut, and the two that were missing.
  expect(at.asked('files.get') - asked).toBe(4)
  expect((await at.stored((await at.kept())[0]?.s3Key ?? '')).equals(bytes)).toBe(true)
})

test('what is not what Drive has is thrown away, and fetched whole the next time', async () => {
  const at = await openImport()
  const { native, bytes } = await at.record()
  const file = at.sandbox.state.files.get(native.fileId ?? '')
  await writeFile(file?.content?.path ?? '', randomBytes(1000))
  await expect(at.run()).rejects.toMatchObject({ code: 'native_recording_damaged' })
  expect(await at.kept()).toEqual([])
  await writeFile(file?.content?.path ?? '', bytes)
  expect(await at.run()).toBe(1)
})

test('a file that somebody deleted stops none of the others', async () => {
  const at = await openImport()
  const { native } = await at.record()
  await at.record()
  at.sandbox.state.files.delete(native.fileId ?? '')
  expect(await at.run()).toBe(1)
  expect((await at.kept()).map(({ s3Key }) => s3Key.split('/').at(-1))).toEqual(['native-1.mp4'])
})

test('a meeting of which Google recorded nothing leaves nothing to do', async () => {
  const at = await openImport()
  expect(await at.run()).toBe(0)
  expect(await stage.queued('import-native', at.meeting.recordingId)).toEqual([])
})
