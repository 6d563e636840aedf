import type { FileHandle } from 'node:fs/promises'
import type { drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import type { Clock } from '../clock.ts'
import type { Call, CallGoogle, CallOptions } from './call.ts'
import type { DriveCall } from './drive-folders.ts'
import { GoogleFault, isFault } from './fault.ts'
import { backoffMs } from './retry.ts'

/** Drive takes chunks of a multiple of 256 KiB; bigger is faster (google-apis.md §4.2). */
const CHUNK_UNIT_BYTES = 256 * 1024
export const DEFAULT_CHUNK_BYTES = 32 * CHUNK_UNIT_BYTES
const CHUNK_TIMEOUT_MS = 120_000
/** Tries without a single byte stored before the upload counts as unavailable. */
const MAX_IDLE_TRIES = 12
const LONGEST_WAIT_SECONDS = 60

/** The session is not usable any more: another one has to be opened, with the same file id. */
export class SessionLost extends Error {
  override readonly name = 'SessionLost'
}

export interface SendOptions {
  file: FileHandle
  sizeBytes: number
  chunkBytes: number
  /** Ask first how much is there: the session was opened earlier. */
  resume: boolean
  onProgress?: ((progress: { sentBytes: number; totalBytes: number }) => void) | undefined
}

type Progress = { done: true } | { done: false; storedBytes: number }

/**
 * Opens an upload session for a new file: metadata now, bytes later (google-apis.md §4.2).
 * The URI is a secret: whoever has it can write the file.
 * @throws {GoogleFault} `conflict` when the file with this id exists already
 */
export async function openSession(
  call: CallGoogle,
  about: DriveCall,
  metadata: drive_v3.Schema$File,
  sizeBytes: number,
): Promise<string> {
  // The file's id makes this repeatable: a session that never gets bytes leaves nothing behind.
  const answer = await call(about('files.create', { idempotent: true }), options =>
    options.auth.request<unknown>({
      ...bare(options),
      url: `${options.rootUrl}upload/drive/v3/files?uploadType=resumable&supportsAllDrives=true`,
      method: 'POST',
      data: metadata,
      headers: {
        'content-type': 'application/json; charset=UTF-8',
        'x-upload-content-type': metadata.mimeType ?? 'application/octet-stream',
        'x-upload-content-length': String(sizeBytes),
      },
    }),
  )
  const sessionUri = answer.headers.get('location')
  if (sessionUri) return sessionUri
  throw new GoogleFault(
    { service: 'drive', code: 'unavailable', reason: 'no_session' },
    'Drive opened an upload without saying where to send the bytes.',
  )
}

/**
 * Sends the file into a session, from where Drive says it stands, chunk by chunk, with one chunk in memory. Whatever
 * interrupts a chunk, Drive is asked what it kept and the upload goes on from there.
 * @throws {SessionLost} when the session is over: open another one
 * @throws {GoogleFault} when Drive refuses, or stores nothing for too long
 */
export async function sendFile(
  deps: { call: CallGoogle; clock: Clock },
  about: DriveCall,
  sessionUri: string,
  options: SendOptions,
): Promise<void> {
  const { file, sizeBytes, chunkBytes, onProgress } = options
  const { call, clock } = deps
  const put = (range: string, data?: Buffer, more: Partial<Call> = {}) =>
    putRange(call, about('files.upload', more), sessionUri, range, data)
  const askStatus = () => put(`bytes */${sizeBytes}`)

  let progress: Progress = options.resume ? await askStatus() : { done: false, storedBytes: 0 }
  let idleTries = 0
  while (!progress.done) {
    const { storedBytes } = progress
    onProgress?.({ sentBytes: storedBytes, totalBytes: sizeBytes })
    const chunk = await readChunk(file, storedBytes, Math.min(chunkBytes, sizeBytes - storedBytes))
    const range = `bytes ${storedBytes}-${storedBytes + chunk.length - 1}/${sizeBytes}`
    let interrupted: GoogleFault | undefined
    try {
      // Not repeated blindly: after a failure Drive may hold part of the chunk.
      progress = await put(range, chunk, {
        retries: 0,
        timeoutMs: CHUNK_TIMEOUT_MS,
        tryTimeoutMs: CHUNK_TIMEOUT_MS,
      })
    } catch (error) {
      if (!passesSoon(error)) throw error
      interrupted = error
      progress = { done: false, storedBytes }
    }
    if (progress.done || progress.storedBytes > storedBytes) {
      idleTries = 0
      continue
    }
    idleTries += 1
    if (idleTries > MAX_IDLE_TRIES) throw interrupted ?? stuck(storedBytes, sizeBytes)
    const { retryAfterSeconds } = interrupted ?? {}
    const waitMs = retryAfterSeconds === undefined ? backoffMs(idleTries - 1) : retryAfterSeconds * 1000
    await clock.sleep(waitMs, about('files.upload').signal)
    progress = await askStatus()
    if (progress.done || progress.storedBytes > storedBytes) idleTries = 0
  }
  onProgress?.({ sentBytes: sizeBytes, totalBytes: sizeBytes })
}

async function putRange(
  call: CallGoogle,
  about: Call,
  sessionUri: string,
  range: string,
  data?: Buffer,
): Promise<Progress> {
  try {
    const answer = await call(about, options =>
      options.auth.request<unknown>({
        ...bare(options),
        url: sessionUri,
        method: 'PUT',
        headers: { 'content-range': range },
        ...(data && { data }),
        validateStatus: status => status === 308 || (status >= 200 && status < 300),
      }),
    )
    return answer.status === 308
      ? { done: false, storedBytes: storedBytesIn(answer.headers) }
      : { done: true }
  } catch (error) {
    // Google: on any 4xx start again with a new session, rate limits apart (google-apis.md §4.2). Refusals that a new
    // session would only meet again are the caller's.
    if (error instanceof GoogleFault && ['not_found', 'gone', 'invalid'].includes(error.code))
      throw new SessionLost()
    throw error
  }
}

/** Trouble that is worth waiting for inside one upload; a limit of hours is the caller's to come back for. */
function passesSoon(error: unknown): error is GoogleFault {
  return (
    (isFault(error, 'unavailable') || isFault(error, 'rate_limited')) &&
    (error.retryAfterSeconds ?? 0) <= LONGEST_WAIT_SECONDS
  )
}

/** `Range: bytes=0-k` names the last byte kept; without it nothing was. */
function storedBytesIn(headers: Headers): number {
  const last = /^bytes=0-(\d+)$/.exec(headers.get('range') ?? '')?.[1]
  return last === undefined ? 0 : Number(last) + 1
}

async function readChunk(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const chunk = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(chunk, filled, length - filled, position + filled)
    if (bytesRead === 0)
      throw new GoogleFault(
        { service: 'drive', code: 'invalid', reason: 'file_changed' },
        'The file became shorter while it was uploaded.',
      )
    filled += bytesRead
  }
  return chunk
}

function stuck(storedBytes: number, sizeBytes: number): GoogleFault {
  return new GoogleFault(
    { service: 'drive', code: 'unavailable', reason: 'no_progress' },
    `Drive keeps storing nothing: ${storedBytes} of ${sizeBytes} bytes are there.`,
  )
}

/** The options without what only googleapis' own methods understand. */
/** The options without what only googleapis itself takes. */
export function bare(options: CallOptions): Omit<CallOptions, 'auth' | 'rootUrl'> {
  const { auth: _auth, rootUrl: _rootUrl, ...rest } = options
  return rest
}
