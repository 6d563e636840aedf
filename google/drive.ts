import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { drive, type drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { type Call, type CallGoogle, timedOut } from './call.ts'
import { createFolders, type DriveCall } from './drive-folders.ts'
import { DEFAULT_CHUNK_BYTES, openSession, SessionLost, sendFile } from './drive-session.ts'
import { GoogleFault, isFault } from './fault.ts'

/** What must be kept to go on with an upload on any machine. The URI is a secret and good for a week. */
export interface UploadState {
  fileId: string
  sessionUri: string
}

export interface DriveUpload {
  /** Path of the file on this machine. */
  file: string
  name: string
  folderId: string
  mimeType: string
  /** Up to 124 bytes each, key and value together (google-apis.md §4.4). */
  appProperties: Record<string, string>
  /** What an earlier, unfinished upload of this file handed to `persist`. */
  state?: UploadState | undefined
  /** Awaited before the first byte is sent; `null` when the kept state is worthless and must be forgotten. */
  persist(state: UploadState | null): Promise<void>
  signal?: AbortSignal
  /** Wall clock of the whole upload. */
  timeoutMs: number
  onProgress?(progress: { sentBytes: number; totalBytes: number }): void
  /** Size of a chunk, a multiple of 256 KiB; 8 MiB when absent. It is also the memory an upload takes. */
  chunkBytes?: number
}

interface StoredInDrive {
  fileId: string
  /** The link a person opens. */
  webViewLink: string
}

/** What Testigo asks of Google Drive, as the user who owns or may write the archive. Throws {@link GoogleFault}. */
export interface Drive {
  /**
   * Uploads a file once, resuming where an earlier try stopped, and compares size and checksum afterwards.
   * @throws {GoogleFault} `storage_quota`, `not_found` for the folder, `invalid` with reason `checksum_mismatch`, …
   */
  upload(upload: DriveUpload): Promise<StoredInDrive>
  /** The id of the folder `year/month` below `rootId`, made where missing. `timeZone` decides the month. */
  ensureMonthFolder(rootId: string, date: Date, timeZone?: string): Promise<string>
}

type DriveSettings = Pick<Config['google'], 'driveUser'>

// Uploading into a folder that a person made needs the whole scope (google-apis.md §4.9).
const SCOPES = ['https://www.googleapis.com/auth/drive']
const FIELDS = 'id,size,md5Checksum,sha256Checksum,webViewLink,trashed'
const MAX_SESSIONS = 5

export function createDrive(deps: {
  call: CallGoogle
  settings: DriveSettings
  log: Log
  clock: Clock
}): Drive {
  const { call, settings, log, clock } = deps
  const { files } = drive('v3')

  const caller = (signal: AbortSignal | undefined) => {
    const { driveUser } = settings
    if (driveUser === undefined)
      throw new GoogleFault(
        { service: 'drive', code: 'misconfigured', reason: 'no_drive_user' },
        'No user uploads to Drive. Set TESTIGO_GOOGLE_DRIVE_USER or TESTIGO_GOOGLE_ORGANIZER to a Workspace user.',
      )
    return (method: string, more: Partial<Call> = {}): Call => ({
      service: 'drive',
      method,
      subject: driveUser,
      scopes: SCOPES,
      signal,
      ...more,
    })
  }

  const nextFileId = async (about: DriveCall): Promise<string> => {
    const answer = await call(about('files.generateIds'), options =>
      files.generateIds({ count: 1, space: 'drive', type: 'files' }, options),
    )
    const [id] = answer.data.ids ?? []
    if (id) return id
    throw new GoogleFault(
      { service: 'drive', code: 'unavailable', reason: 'no_id' },
      'Drive handed out no file id.',
    )
  }

  const read = async (about: DriveCall, fileId: string): Promise<drive_v3.Schema$File> =>
    (
      await call(about('files.get'), options =>
        files.get({ fileId, supportsAllDrives: true, fields: FIELDS }, options),
      )
    ).data

  const folders = createFolders(call, nextFileId)

  /** Sends the bytes, opening sessions as needed; the file's id stays the same, so there is one file at most. */
  const send = async (upload: DriveUpload, about: DriveCall): Promise<string> => {
    await using file = await open(upload.file, 'r')
    const { size: sizeBytes } = await file.stat()
    if (sizeBytes === 0)
      throw new GoogleFault(
        { service: 'drive', code: 'invalid', reason: 'empty_file' },
        `There is nothing to upload: ${upload.name} is empty.`,
      )
    const fileId = upload.state?.fileId ?? (await nextFileId(about))
    let sessionUri = upload.state?.sessionUri
    const { name, folderId, mimeType, appProperties, onProgress, chunkBytes = DEFAULT_CHUNK_BYTES } = upload
    for (let sessions = 1; ; sessions++) {
      try {
        const resume = sessionUri !== undefined
        if (sessionUri === undefined) {
          const metadata = { id: fileId, name, parents: [folderId], mimeType, appProperties }
          sessionUri = await openSession(call, about, metadata, sizeBytes)
          await upload.persist({ fileId, sessionUri })
        }
        await sendFile({ call, clock }, about, sessionUri, {
          file,
          sizeBytes,
          chunkBytes,
          resume,
          onProgress,
        })
        return fileId
      } catch (error) {
        // Another try of ours got through: the file is there.
        if (isFault(error, 'conflict')) return fileId
        if (!(error instanceof SessionLost)) throw error
        if (sessions >= MAX_SESSIONS)
          throw new GoogleFault(
            { service: 'drive', code: 'unavailable', reason: 'sessions_lost' },
            `Drive gave up ${sessions} uploads of ${name} in a row.`,
          )
        log.warn({ fileId, sessions }, 'Drive no longer knows the upload; opening another session')
        sessionUri = undefined
      }
    }
  }

  /** A file that differs from the recording must not look like one; failing to remove it changes nothing else. */
  const discard = async (about: DriveCall, fileId: string): Promise<void> => {
    try {
      await call(about('files.update', { idempotent: true }), options =>
        files.update({ fileId, supportsAllDrives: true, requestBody: { trashed: true } }, options),
      )
    } catch (error) {
      log.warn({ error, fileId }, 'a damaged upload could not be moved to the bin of Drive')
    }
  }

  const verify = async (upload: DriveUpload, about: DriveCall, fileId: string): Promise<StoredInDrive> => {
    const stored = await read(about, fileId)
    const local = await fingerprint(upload, stored.sha256Checksum ? 'sha256' : 'md5')
    const remote = stored.sha256Checksum ?? stored.md5Checksum
    if (!stored.trashed && remote === local.digest && Number(stored.size) === local.sizeBytes)
      return { fileId, webViewLink: stored.webViewLink ?? `https://drive.google.com/file/d/${fileId}/view` }
    await upload.persist(null)
    if (!stored.trashed) await discard(about, fileId)
    throw new GoogleFault(
      {
        service: 'drive',
        code: 'invalid',
        reason: stored.trashed ? 'file_trashed' : 'checksum_mismatch',
        retryable: true,
      },
      stored.trashed
        ? `Somebody moved the file ${fileId} to Drive's bin while it was uploaded.`
        : `What Drive stored as ${fileId} differs from ${upload.name}: ${stored.size} bytes there, ${local.sizeBytes} here.`,
    )
  }

  return {
    upload: async upload => {
      const limit = AbortSignal.timeout(upload.timeoutMs)
      const about = caller(upload.signal ? AbortSignal.any([limit, upload.signal]) : limit)
      try {
        return await verify(upload, about, await send(upload, about))
      } catch (error) {
        upload.signal?.throwIfAborted()
        throw limit.aborted && !(error instanceof GoogleFault)
          ? timedOut('drive', `upload of ${upload.name}`, upload.timeoutMs)
          : error
      }
    },

    ensureMonthFolder: async (rootId, date, timeZone = 'UTC') =>
      folders.ensureMonth(caller(undefined), rootId, monthOf(date, timeZone)),
  }
}

async function fingerprint(upload: DriveUpload, algorithm: 'sha256' | 'md5') {
  const hash = createHash(algorithm)
  let sizeBytes = 0
  for await (const piece of createReadStream(upload.file) as AsyncIterable<Buffer>) {
    hash.update(piece)
    sizeBytes += piece.length
  }
  return { digest: hash.digest('hex'), sizeBytes }
}

function monthOf(date: Date, timeZone: string): { year: string; month: string } {
  const parts = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit' }).formatToParts(
    date,
  )
  const part = (type: 'year' | 'month') => parts.find(one => one.type === type)?.value ?? ''
  return { year: part('year'), month: part('month') }
}
