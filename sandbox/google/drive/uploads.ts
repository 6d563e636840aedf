import { randomUUID } from 'node:crypto'
import { rename } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import path from 'node:path'
import { GoogleError } from '../errors.ts'
import { selectFields } from '../partial-answer.ts'
import { type Answer, type Call, textParameter, type World } from '../world.ts'
import { contentPath, fileOf, folderType, type StoredFile, viewFile } from './file.ts'
import { checkNewId, draftFile } from './file-creation.ts'
import { applyMetadata } from './file-metadata.ts'
import { chunkUnitBytes, StoredBytes, type UploadSession } from './upload-session.ts'

const sessionLifeMs = 7 * 24 * 3600_000

/** `POST|PATCH /upload/drive/v3/files…?uploadType=resumable`: opens a session and names its address. */
export function startUpload(call: Call): Answer {
  const { world, request } = call
  if (call.parameters.uploadType !== 'resumable')
    throw new GoogleError(
      501,
      `The sandbox plays uploadType=resumable only, not ${call.parameters.uploadType}`,
    )
  const replaces = request.method === 'PATCH'
  const file = replaces ? applyMetadata(call, structuredClone(fileOf(call, 'writer'))) : draftFile(call, true)
  if (file.mimeType === folderType)
    throw new GoogleError(400, 'A folder cannot have content.', { reason: 'invalidContentType' })
  const { 'x-upload-content-length': length, 'x-upload-content-type': type } = request.headers
  if (typeof type === 'string' && !call.body.mimeType) file.mimeType = type
  const id = `AHmUC${randomUUID().replaceAll('-', '')}`
  world.state.uploads.set(id, {
    id,
    caller: call.caller,
    file,
    replaces,
    fields: textParameter(call, 'fields'),
    declaredSizeBytes: typeof length === 'string' ? Number(length) : undefined,
    storage: new StoredBytes(path.join(world.driveDir, `${id}.part`)),
    startedMs: world.nowMs(),
    finished: false,
    turn: Promise.resolve(),
  })
  const location = new URL(call.url)
  location.searchParams.set('upload_id', id)
  return {
    status: 200,
    headers: { location: location.href, 'x-guploader-uploadid': id, 'content-length': '0' },
  }
}

/** A `PUT` (or `DELETE`) to a session's address: bytes, the last bytes, or a question how far it is (§4.2). */
export async function continueUpload(world: World, request: IncomingMessage, url: URL): Promise<Answer> {
  const session = world.state.uploads.get(url.searchParams.get('upload_id') ?? '')
  if (!session || world.nowMs() - session.startedMs > sessionLifeMs) return { status: 404, text: 'Not Found' }
  if (request.method === 'DELETE') {
    world.state.uploads.delete(session.id)
    return { status: 499, text: 'Client Closed Request' }
  }
  // One request at a time: a client may ask again before its lost request has been put away.
  const turn = session.turn.then(() => takeRequest(world, session, request, url))
  session.turn = turn.then(
    () => undefined,
    () => undefined,
  )
  return turn
}

async function takeRequest(
  world: World,
  session: UploadSession,
  request: IncomingMessage,
  url: URL,
): Promise<Answer> {
  if (session.finished) return finishedAnswer(world, session, request, url)
  const range = readRange(request, session)
  if (range.kind === 'bytes') {
    const problem = await store(world, request, session, range)
    if (problem) return { status: 400, text: problem }
  }
  const totalBytes = range.totalBytes ?? session.declaredSizeBytes
  if (totalBytes !== undefined && session.storage.sizeBytes >= totalBytes) {
    await finish(world, session, request, url)
    return finishedAnswer(world, session, request, url)
  }
  return progress(session)
}

interface ByteRange {
  kind: 'bytes' | 'question'
  startBytes: number
  /** Length of the body, when the request tells. */
  lengthBytes: number | undefined
  totalBytes: number | undefined
}

function readRange(request: IncomingMessage, session: UploadSession): ByteRange {
  const length = request.headers['content-length']
  const lengthBytes = length === undefined ? undefined : Number(length)
  const header = request.headers['content-range']
  if (header === undefined)
    return { kind: 'bytes', startBytes: 0, lengthBytes, totalBytes: lengthBytes ?? session.declaredSizeBytes }
  const found = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(header)
  const total = found?.[3]
  const totalBytes = total === undefined || total === '*' ? undefined : Number(total)
  const [first, last] = [Number(found?.[1]), Number(found?.[2])]
  const isQuestion = found?.[1] === undefined
  const inOrder = isQuestion || (last >= first && (totalBytes === undefined || last < totalBytes))
  const rightLength = isQuestion || lengthBytes === undefined || lengthBytes === last - first + 1
  if (!found || !inOrder || !rightLength)
    throw new GoogleError(400, `Failed to parse Content-Range header: ${header}`, { reason: 'badContent' })
  return isQuestion
    ? { kind: 'question', startBytes: 0, lengthBytes, totalBytes }
    : { kind: 'bytes', startBytes: first, lengthBytes: last - first + 1, totalBytes }
}

/** Takes in the bytes of one request; returns what Google would complain about. */
async function store(
  world: World,
  request: IncomingMessage,
  session: UploadSession,
  range: ByteRange,
): Promise<string | undefined> {
  const { storage } = session
  const { startBytes, lengthBytes, totalBytes } = range
  const declared = session.declaredSizeBytes
  if (declared !== undefined && totalBytes !== undefined && declared !== totalBytes)
    return `Invalid request. The total size ${totalBytes} differs from the declared size ${declared}.`
  if (startBytes > storage.sizeBytes)
    return `Invalid request. According to the Content-Range header, the upload offset is ${startBytes} byte(s), which exceeds already uploaded size of ${storage.sizeBytes} byte(s).`
  const isLast =
    totalBytes === undefined ? lengthBytes === undefined : startBytes + (lengthBytes ?? 0) >= totalBytes
  if (!isLast && (lengthBytes ?? 0) % chunkUnitBytes !== 0)
    return `Invalid request. The number of bytes uploaded is required to be equal or greater than ${chunkUnitBytes}, except for the final request (it's recommended to be the exact multiple of ${chunkUnitBytes}). The received request contained ${lengthBytes} bytes, which does not meet this requirement.`
  const partial = world.faults.take(['partialStore'], 'driveUpload', 'drive.upload.put')
  const { arrivedBytes, whole } = await storage.append(request, {
    skipBytes: storage.sizeBytes - startBytes,
    limitBytes: partial ? partial.storedBytes : Number.POSITIVE_INFINITY,
    keepTail: isLast && !partial,
  })
  if (whole && range.totalBytes === undefined && lengthBytes === undefined)
    range.totalBytes = startBytes + arrivedBytes
  return undefined
}

async function finish(
  world: World,
  session: UploadSession,
  request: IncomingMessage,
  url: URL,
): Promise<void> {
  const call: Call = { world, caller: session.caller, parameters: {}, body: {}, request, url }
  const { file, storage } = session
  // Another upload may have used the id since this session began.
  if (!session.replaces && world.state.files.has(file.id)) checkNewId(call, file.id)
  const target = contentPath(world, file.id)
  if (storage.sizeBytes === 0)
    await storage.append(emptyBody(), { skipBytes: 0, limitBytes: 0, keepTail: false })
  await rename(storage.path, target)
  const now = new Date(world.nowMs()).toISOString()
  const stored: StoredFile = {
    ...file,
    modifiedTime: now,
    content: { path: target, sizeBytes: storage.sizeBytes, checksums: storage.checksums() },
  }
  world.state.files.set(file.id, stored)
  session.finished = true
}

async function* emptyBodyPieces(): AsyncGenerator<Buffer> {}

function emptyBody(): Parameters<StoredBytes['append']>[0] {
  return emptyBodyPieces() as unknown as Parameters<StoredBytes['append']>[0]
}

function finishedAnswer(world: World, session: UploadSession, request: IncomingMessage, url: URL): Answer {
  const call: Call = { world, caller: session.caller, parameters: {}, body: {}, request, url }
  const stored = world.state.files.get(session.file.id)
  if (!stored) return { status: 404, text: 'Not Found' }
  const fields = session.fields ?? 'kind,id,name,mimeType'
  return { status: 200, json: selectFields(viewFile(call, stored), fields) as object }
}

/** 308 with the last byte that is kept; without `Range` when nothing is. */
function progress(session: UploadSession): Answer {
  const { sizeBytes } = session.storage
  const headers: Record<string, string> = { 'x-guploader-uploadid': session.id, 'content-length': '0' }
  if (sizeBytes > 0) headers.range = `bytes=0-${sizeBytes - 1}`
  return { status: 308, headers }
}
