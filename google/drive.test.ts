import { createHash, randomBytes } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import type { DriveUpload, UploadState } from './drive.ts'
import { hurriedClock, openTestGoogle, type TestGoogle } from './test-google.ts'

const MEBIBYTE = 1024 * 1024
const SHARED = {
  id: '0AArchivo',
  name: 'Archivo',
  members: { 'archivo@clinica.example': 'fileOrganizer' as const },
}

/** Google with a shared drive, a file of a little over three chunks, and what `persist` was told. */
async function openArchive(changes: Parameters<typeof openTestGoogle>[1] = {}) {
  const at = await openTestGoogle({ sharedDrives: [SHARED] }, changes)
  const bytes = randomBytes(3 * MEBIBYTE + 333)
  const file = join(at.folder, 'recording.mp4')
  await writeFile(file, bytes)
  const kept: (UploadState | null)[] = []
  const upload: DriveUpload = {
    file,
    name: 'Junta 2026-12-01.mp4',
    folderId: SHARED.id,
    mimeType: 'video/mp4',
    appProperties: { testigoRecordingId: 'r1' },
    persist: async state => {
      kept.push(state)
    },
    timeoutMs: 30_000,
    chunkBytes: MEBIBYTE,
  }
  return { at, bytes, upload, kept }
}

function storedFile(at: TestGoogle, fileId: string) {
  const stored = at.sandbox.state.files.get(fileId)
  if (!stored?.content) throw new Error(`no content of ${fileId}`)
  return { ...stored, content: stored.content }
}

/** The one file made must be the local one to the byte. */
async function expectWhole(at: TestGoogle, fileId: string, bytes: Buffer): Promise<void> {
  const { content } = storedFile(at, fileId)
  expect((await readFile(content.path)).equals(bytes)).toBe(true)
  expect([...at.sandbox.state.files.values()].filter(file => file.content)).toHaveLength(1)
}

test('a file goes to the shared drive chunk by chunk, with its name and marks, and its session kept before a byte is sent', async () => {
  const { at, bytes, upload, kept } = await openArchive()
  const seen: number[] = []
  let storedWhenKept = -1
  const done = await at.google.drive.upload({
    ...upload,
    persist: async state => {
      kept.push(state)
      storedWhenKept = [...at.sandbox.state.uploads.values()][0]?.storage.sizeBytes ?? -1
    },
    onProgress: ({ sentBytes }) => seen.push(sentBytes),
  })
  await expectWhole(at, done.fileId, bytes)
  expect(storedFile(at, done.fileId)).toMatchObject({
    name: 'Junta 2026-12-01.mp4',
    mimeType: 'video/mp4',
    driveId: SHARED.id,
    appProperties: { testigoRecordingId: 'r1' },
  })
  expect(done.webViewLink).toContain(done.fileId)
  expect(kept).toEqual([{ fileId: done.fileId, sessionUri: expect.stringContaining('upload_id=') }])
  expect(storedWhenKept).toBe(0)
  expect(seen).toEqual([0, MEBIBYTE, 2 * MEBIBYTE, 3 * MEBIBYTE, bytes.length])
})

test('an upload cut off in the middle is finished by another process from what was kept', async () => {
  const { at, bytes, upload, kept } = await openArchive()
  const stop = new AbortController()
  const first = at.google.drive.upload({
    ...upload,
    signal: stop.signal,
    onProgress: ({ sentBytes }) => {
      if (sentBytes === 2 * MEBIBYTE) stop.abort(new Error('the machine died'))
    },
  })
  await expect(first).rejects.toThrow('the machine died')
  const puts = at.asked('upload.put')
  const [state] = kept
  const seen: number[] = []
  const done = await at.another().drive.upload({
    ...upload,
    state: state ?? undefined,
    onProgress: ({ sentBytes }) => seen.push(sentBytes),
  })
  expect(done.fileId).toBe(state?.fileId)
  await expectWhole(at, done.fileId, bytes)
  expect(seen[0]).toBe(2 * MEBIBYTE)
  // One question and at most the two chunks that were missing: nothing is sent twice.
  expect(at.asked('upload.put') - puts).toBeLessThanOrEqual(3)
  expect(kept).toHaveLength(1)
})

test('an upload that was complete when the process died is recognised as complete', async () => {
  const { at, bytes, upload, kept } = await openArchive()
  const first = await at.google.drive.upload(upload)
  expect(await at.another().drive.upload({ ...upload, state: kept[0] ?? undefined })).toEqual(first)
  await expectWhole(at, first.fileId, bytes)
})

test.each([
  { what: 'a 500 on a chunk', fault: { kind: 'error', status: 500 } },
  { what: 'a 503 on a chunk', fault: { kind: 'error', status: 503 } },
  { what: 'a lost answer to a chunk', fault: { kind: 'cut' } },
  { what: 'a rate limit on a chunk', fault: { kind: 'error', status: 403, reason: 'userRateLimitExceeded' } },
  { what: 'a chunk stored in part', fault: { kind: 'partialStore', storedBytes: 300_000 } },
  { what: 'a chunk of which nothing is stored', fault: { kind: 'partialStore', storedBytes: 0 } },
  { what: 'a session that is over (404)', fault: { kind: 'error', status: 404 } },
  { what: 'a session that is over (410)', fault: { kind: 'error', status: 410 } },
] as const)('$what does not hurt the upload', async ({ fault }) => {
  const { at, bytes, upload } = await openArchive()
  at.sandbox.faults.add({ ...fault, service: 'driveUpload', method: 'upload.put' })
  const { fileId } = await at.google.drive.upload(upload)
  await expectWhole(at, fileId, bytes)
  expect(at.sandbox.faults.active).toEqual([])
})

test('a kept session that Drive has forgotten is replaced by another with the same file id', async () => {
  const { at, bytes, upload, kept } = await openArchive()
  at.sandbox.faults.add({ kind: 'down', service: 'driveUpload', method: 'upload.put' })
  await expect(at.google.drive.upload(upload)).rejects.toMatchObject({ code: 'unavailable', retryable: true })
  at.sandbox.faults.clear()
  at.sandbox.state.uploads.clear()
  const [state] = kept
  const done = await at.another().drive.upload({ ...upload, state: state ?? undefined })
  expect(done.fileId).toBe(state?.fileId)
  expect(kept).toEqual([
    state,
    { fileId: done.fileId, sessionUri: expect.not.stringMatching(state?.sessionUri ?? '') },
  ])
  await expectWhole(at, done.fileId, bytes)
})

test('a file id that is taken means the file is there already (409)', async () => {
  const { at, bytes, upload, kept } = await openArchive()
  const first = await at.google.drive.upload(upload)
  at.sandbox.state.uploads.clear()
  expect(await at.another().drive.upload({ ...upload, state: kept[0] ?? undefined })).toEqual(first)
  await expectWhole(at, first.fileId, bytes)
})

test('a file that Drive holds damaged is thrown away, its state forgotten, and the fault may be retried', async () => {
  const { at, upload, kept } = await openArchive()
  await at.google.drive.upload(upload)
  const [state] = kept
  const other = randomBytes((await stat(upload.file)).size)
  await writeFile(upload.file, other)
  await expect(at.google.drive.upload({ ...upload, state: state ?? undefined })).rejects.toMatchObject({
    code: 'invalid',
    reason: 'checksum_mismatch',
    retryable: true,
  })
  expect(kept.at(-1)).toBeNull()
  expect(at.sandbox.state.files.get(state?.fileId ?? '')?.trashed).toBe(true)
  const again = await at.google.drive.upload(upload)
  expect(storedFile(at, again.fileId).content.checksums.sha256Checksum).toBe(
    createHash('sha256').update(other).digest('hex'),
  )
})

test('a full Drive is a storage fault that no retry mends', async () => {
  const { at, upload } = await openArchive()
  at.sandbox.faults.add({
    kind: 'error',
    method: 'files.create',
    status: 403,
    reason: 'storageQuotaExceeded',
  })
  await expect(at.google.drive.upload(upload)).rejects.toMatchObject({
    service: 'drive',
    code: 'storage_quota',
    retryable: false,
  })
})

test('a daily limit met in the middle is handed on at once, with when to come back', async () => {
  const { clock, waitsMs } = hurriedClock()
  const { at, upload } = await openArchive({ clock })
  at.sandbox.faults.add({
    kind: 'error',
    service: 'driveUpload',
    method: 'upload.put',
    status: 403,
    reason: 'dailyLimitExceeded',
  })
  await expect(at.google.drive.upload(upload)).rejects.toMatchObject({
    code: 'quota',
    retryable: true,
    retryAfterSeconds: 3600,
  })
  expect(waitsMs).toEqual([])
})

test('a folder that cannot be seen is told as not found', async () => {
  const { at, upload } = await openArchive()
  await expect(at.google.drive.upload({ ...upload, folderId: 'nowhere' })).rejects.toMatchObject({
    code: 'not_found',
    retryable: false,
  })
})

test('a Drive that hangs ends the upload at its wall clock, and what was kept resumes it', async () => {
  const { at, bytes, upload, kept } = await openArchive({ clock: systemClock })
  at.sandbox.faults.add({ kind: 'hang', service: 'driveUpload', method: 'upload.put' })
  const fault = await at.google.drive.upload({ ...upload, timeoutMs: 700 }).catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: 'unavailable', reason: 'timeout', retryable: true })
  expect(String(fault)).not.toContain('upload_id')
  const done = await at.google.drive.upload({ ...upload, state: kept[0] ?? undefined })
  await expectWhole(at, done.fileId, bytes)
})

test('no fault of an upload tells the session’s address', async () => {
  const { at, upload } = await openArchive()
  at.sandbox.faults.add({ kind: 'down', service: 'driveUpload', method: 'upload.put' })
  const fault = await at.google.drive.upload(upload).catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: 'unavailable' })
  expect(JSON.stringify([fault, String(fault), (fault as Error).stack])).not.toContain('upload_id')
})

test('an empty file is refused', async () => {
  const { at, upload } = await openArchive()
  await writeFile(upload.file, '')
  await expect(at.google.drive.upload(upload)).rejects.toMatchObject({
    code: 'invalid',
    reason: 'empty_file',
  })
})

test('the month’s folder is made once, on a shared drive and in somebody’s own Drive', async () => {
  const { at } = await openArchive()
  const date = new Date('2026-03-05T12:00:00Z')
  for (const root of [SHARED.id, 'root']) {
    const month = await at.google.drive.ensureMonthFolder(root, date)
    const [sameProcess, sameMoment, otherProcess] = await Promise.all([
      at.google.drive.ensureMonthFolder(root, date),
      at.google.drive.ensureMonthFolder(root, date),
      at.another().drive.ensureMonthFolder(root, date),
    ])
    expect([sameProcess, sameMoment, otherProcess]).toEqual([month, month, month])
    const folder = at.sandbox.state.files.get(month)
    expect(folder?.name).toBe('03')
    expect(at.sandbox.state.files.get(folder?.parent ?? '')?.name).toBe('2026')
  }
  expect(at.sandbox.state.files.size).toBe(4)
})

test('a folder whose creation was answered to nobody is not made twice', async () => {
  const { at } = await openArchive()
  at.sandbox.faults.add({ kind: 'cut', method: 'files.create', count: 2 })
  await at.google.drive.ensureMonthFolder(SHARED.id, new Date('2026-03-05T12:00:00Z'))
  expect(at.sandbox.state.files.size).toBe(2)
})

test('the time zone decides the month', async () => {
  const { at } = await openArchive()
  const newYear = new Date('2027-01-01T03:00:00Z')
  const inBogota = await at.google.drive.ensureMonthFolder(SHARED.id, newYear, 'America/Bogota')
  expect(at.sandbox.state.files.get(inBogota)?.name).toBe('12')
})

test('without a user who uploads the fault says which setting to set', async () => {
  const { at, upload } = await openArchive({
    settings: { driveUser: undefined },
    clock: hurriedClock().clock,
  })
  const fault = await at.google.drive.upload(upload).catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: 'misconfigured' })
  expect(String(fault)).toContain('TESTIGO_GOOGLE_DRIVE_USER')
})
