import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openTestGoogle, type TestGoogle } from './test-google.ts'

const organizer = 'agenda@clinica.example'
const fileId = '1nativeRecording'

/** A file of the organizer's own Drive. */
async function openFile(sizeBytes: number) {
  const google = await openTestGoogle()
  const bytes = randomBytes(sizeBytes)
  const path = join(google.folder, 'native.mp4')
  await writeFile(path, bytes)
  const digest = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
  const now = new Date().toISOString()
  google.sandbox.state.files.set(fileId, {
    id: fileId,
    name: 'native.mp4',
    mimeType: 'video/mp4',
    parent: 'root',
    owner: organizer,
    createdTime: now,
    modifiedTime: now,
    trashed: false,
    appProperties: {},
    properties: {},
    permissions: [],
    madeByApp: false,
    content: {
      path,
      sizeBytes,
      checksums: {
        md5Checksum: digest('md5'),
        sha1Checksum: digest('sha1'),
        sha256Checksum: digest('sha256'),
      },
    },
  })
  return { ...google, bytes, downloads: google.google.downloads }
}

async function readAll(
  at: TestGoogle,
  options: { fromBytes?: number; sizeBytes: number; pieceBytes?: number },
) {
  const pieces: Buffer[] = []
  for await (const piece of at.google.downloads.read(organizer, fileId, { fromBytes: 0, ...options }))
    pieces.push(piece)
  return pieces
}

test('a file is described with its size and checksums', async () => {
  const { downloads, bytes } = await openFile(1000)
  expect(await downloads.describe(organizer, fileId)).toEqual({
    sizeBytes: 1000,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    md5: createHash('md5').update(bytes).digest('hex'),
    mimeType: 'video/mp4',
  })
})

test('a file is read in pieces that are never larger than asked for', async () => {
  const at = await openFile(100_001)
  const pieces = await readAll(at, { sizeBytes: 100_001, pieceBytes: 30_000 })
  expect(pieces.map(piece => piece.length)).toEqual([30_000, 30_000, 30_000, 10_001])
  expect(Buffer.concat(pieces).equals(at.bytes)).toBe(true)
})

test('reading goes on in the middle of a file', async () => {
  const at = await openFile(50_000)
  const pieces = await readAll(at, { fromBytes: 12_345, sizeBytes: 50_000 })
  expect(Buffer.concat(pieces).equals(at.bytes.subarray(12_345))).toBe(true)
})

test('a connection cut in the middle of a piece costs that piece only', async () => {
  const at = await openFile(90_000)
  at.sandbox.faults.add({ kind: 'cutDownload', storedBytes: 17_000 })
  const pieces = await readAll(at, { sizeBytes: 90_000, pieceBytes: 30_000 })
  expect(Buffer.concat(pieces).equals(at.bytes)).toBe(true)
  expect(at.asked('files.get')).toBe(4)
})

test('a file that is shorter than it said is a fault, not a shorter file', async () => {
  const at = await openFile(1000)
  await expect(readAll(at, { sizeBytes: 2000 })).rejects.toMatchObject({ reason: 'wrong_range' })
})

test('a file that is gone, and one that another user may not see, are not found', async () => {
  const { downloads } = await openFile(10)
  await expect(downloads.describe(organizer, '1other')).rejects.toMatchObject({ code: 'not_found' })
  await expect(downloads.describe('archivo@clinica.example', fileId)).rejects.toMatchObject({
    code: 'not_found',
  })
})
