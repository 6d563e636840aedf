import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type LockingStore, startLockingStore } from './object-lock.ts'
import { type ObjectStore, startObjectStore } from './s3.ts'

// The stand-in, by Amazon's own client: what it refuses and what it lets through is what Amazon documents.

const DAY_MS = 86_400_000
const Bucket = 'testigo'
let dir: string
let behind: ObjectStore
let store: LockingStore
let client: S3Client
let nowMs: number

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-lock-'))
  behind = await startObjectStore({ dir, bucket: Bucket })
  await open({})
})
afterEach(async () => {
  client.destroy()
  await store.stop()
  await behind.stop()
  await rm(dir, { recursive: true })
})

async function open(objectLock: Parameters<typeof startLockingStore>[0]['objectLock']) {
  await store?.stop()
  nowMs = Date.now()
  store = await startLockingStore({ behind: behind.endpoint, bucket: Bucket, objectLock, now: () => nowMs })
  client = new S3Client({
    ...{ endpoint: store.endpoint, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 },
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  })
}
const put = (Key: string, Body: string, more: Partial<PutObjectCommandInput> = {}) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))
const inDays = (days: number) => new Date(nowMs + days * DAY_MS)
const locked = (mode: 'COMPLIANCE' | 'GOVERNANCE', days = 1) => ({
  ObjectLockMode: mode,
  ObjectLockRetainUntilDate: inDays(days),
})
const read = async (Key: string, VersionId?: string) =>
  (await client.send(new GetObjectCommand({ Bucket, Key, VersionId }))).Body?.transformToString()
const remove = (Key: string, VersionId?: string, BypassGovernanceRetention?: boolean) =>
  client.send(new DeleteObjectCommand({ Bucket, Key, VersionId, BypassGovernanceRetention }))

test('a delete without a version hides the object; its versions are there and can be read by their ids', async () => {
  const first = await put('a/1', 'one')
  const second = await put('a/1', 'two')
  expect(await read('a/1')).toBe('two')
  expect(await remove('a/1')).toMatchObject({ DeleteMarker: true })
  await expect(read('a/1')).rejects.toMatchObject({ name: 'NoSuchKey' })
  expect(await read('a/1', first.VersionId)).toBe('one')
  expect((await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'a/' }))).Contents).toBeUndefined()
  const listed = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'a/' }))
  expect(listed.Versions?.map(({ VersionId }) => VersionId)).toEqual([second.VersionId, first.VersionId])
  expect(listed.DeleteMarkers).toMatchObject([{ Key: 'a/1', IsLatest: true }])
  await remove('a/1', listed.DeleteMarkers?.[0]?.VersionId)
  expect(await read('a/1')).toBe('two')
})

test.each([
  ['COMPLIANCE', false, true],
  ['COMPLIANCE', true, true],
  ['GOVERNANCE', false, true],
  ['GOVERNANCE', true, false],
] as const)(
  'a version in mode %s, bypass asked %s, is refused to be removed: %s',
  async (mode, bypass, refused) => {
    const { VersionId } = await put('a', 'evidence', locked(mode))
    expect(await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }))).toMatchObject(locked(mode))
    const removal = remove('a', VersionId, bypass)
    if (refused)
      await expect(removal).rejects.toMatchObject({
        name: 'AccessDenied',
        message: 'Access Denied because object protected by object lock.',
        $metadata: { httpStatusCode: 403 },
      })
    else expect(await removal).toMatchObject({ VersionId })
  },
)

test('many at once: each locked one is an error of its own, the others go', async () => {
  const keep = await put('a', 'evidence', locked('COMPLIANCE'))
  const go = await put('b', 'rest')
  const Objects = [
    { Key: 'a', VersionId: keep.VersionId },
    { Key: 'b', VersionId: go.VersionId },
  ]
  const answer = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
  expect(answer.Errors).toMatchObject([{ Key: 'a', Code: 'AccessDenied' }])
  await expect(read('b')).rejects.toMatchObject({ name: 'NoSuchKey' })
})

test('after its date a version goes like any other', async () => {
  const { VersionId } = await put('a', 'evidence', locked('COMPLIANCE', 1))
  nowMs += DAY_MS + 1
  expect(await remove('a', VersionId)).toMatchObject({ VersionId })
})

test.each([
  ['a mode without a date', { ObjectLockMode: 'GOVERNANCE' }, 'InvalidArgument', 'must both be supplied'],
  [
    'a date that has passed',
    { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date(0) },
    'InvalidArgument',
    'must be in the future',
  ],
] as const)('%s is refused', async (_name, more, name, message) => {
  await expect(put('a', 'x', more)).rejects.toMatchObject({ name, message: expect.stringContaining(message) })
})

test("the bucket's default locks what asks for nothing", async () => {
  await open({ byDefault: { mode: 'GOVERNANCE', days: 3 } })
  await put('a', 'x')
  const answer = await client.send(new GetObjectLockConfigurationCommand({ Bucket }))
  expect(answer.ObjectLockConfiguration).toMatchObject({
    ObjectLockEnabled: 'Enabled',
    Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 3 } },
  })
  expect(await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }))).toMatchObject({
    ObjectLockRetainUntilDate: inDays(3),
  })
})

test('a bucket without Object Lock says so, and refuses to lock', async () => {
  await open(undefined)
  await expect(client.send(new GetObjectLockConfigurationCommand({ Bucket }))).rejects.toMatchObject({
    name: 'ObjectLockConfigurationNotFoundError',
    $metadata: { httpStatusCode: 404 },
  })
  await expect(put('a', 'x', locked('COMPLIANCE'))).rejects.toMatchObject({
    name: 'InvalidRequest',
    message: 'Bucket is missing ObjectLockConfiguration',
  })
})
