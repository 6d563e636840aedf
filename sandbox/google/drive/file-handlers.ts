import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { GoogleError } from '../errors.ts'
import type { Answer, Call, Handlers } from '../world.ts'
import { fileOf, type StoredFile, viewFile } from './file.ts'
import { draftFile, newFileId } from './file-creation.ts'
import { applyMetadata } from './file-metadata.ts'

/** The methods of Drive v3 on single files and folders. */
export const fileHandlers: Handlers = {
  'drive.files.generateIds': generateIds,
  'drive.files.create': createFile,
  'drive.files.get': getFile,
  'drive.files.update': call => {
    const file = applyMetadata(call, fileOf(call, 'writer'))
    return { json: viewFile(call, file) }
  },
  'drive.files.delete': deleteFile,
}

function generateIds(call: Call): Answer {
  const count = typeof call.parameters.count === 'number' ? call.parameters.count : 10
  const ids = Array.from({ length: count }, newFileId)
  for (const id of ids) call.world.state.generatedIds.add(id)
  return { json: { kind: 'drive#generatedIds', space: 'drive', ids } }
}

/** A folder, or a file without content. */
function createFile(call: Call): Answer {
  const file = draftFile(call, false)
  call.world.state.files.set(file.id, file)
  return { json: viewFile(call, file) }
}

function getFile(call: Call): Answer {
  const file = fileOf(call, 'reader')
  if (call.parameters.alt !== 'media') return { json: viewFile(call, file) }
  if (!file.content)
    throw new GoogleError(
      403,
      'Only files with binary content can be downloaded. Use Export with Docs Editors files.',
      {
        reason: 'fileNotDownloadable',
        location: { type: 'parameter', name: 'alt' },
      },
    )
  const answer = sendContent(file, file.content, call.request)
  const fault = call.world.faults.take(['cutDownload'], 'drive', 'drive.files.get')
  return fault && answer.stream
    ? { ...answer, stream: brokenOff(file.content.path, fault.storedBytes) }
    : answer
}

/** The promised length stands in the head already: whoever reads sees the connection break. */
function brokenOff(path: string, afterBytes: number): NonNullable<Answer['stream']> {
  return async response => {
    if (afterBytes > 0)
      await pipeline(createReadStream(path, { end: afterBytes - 1 }), response, { end: false })
    response.destroy()
  }
}

async function deleteFile(call: Call): Promise<Answer> {
  const file = fileOf(call, 'writer')
  const { files } = call.world.state
  const doomed = [file]
  for (const one of doomed) {
    doomed.push(...[...files.values()].filter(child => child.parent === one.id))
    files.delete(one.id)
    if (one.content) await rm(one.content.path, { force: true })
  }
  return { status: 204 }
}

/** The bytes of a file, whole or the `Range` asked for: 206, or 416 when it lies outside. */
export function sendContent(
  file: StoredFile,
  content: NonNullable<StoredFile['content']>,
  request: IncomingMessage,
): Answer {
  const { sizeBytes, path } = content
  const found = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '')
  const headers = { 'content-type': file.mimeType, 'accept-ranges': 'bytes' }
  const [first = '', last = ''] = found?.slice(1) ?? []
  if (!found || (first === '' && last === '')) {
    return {
      headers: { ...headers, 'content-length': String(sizeBytes) },
      stream: response => pipeline(createReadStream(path), response),
    }
  }
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
  if (start > end)
    return {
      status: 416,
      headers: { 'content-range': `bytes */${sizeBytes}` },
      text: 'Request range not satisfiable',
    }
  return {
    status: 206,
    headers: {
      ...headers,
      'content-length': String(end - start + 1),
      'content-range': `bytes ${start}-${end}/${sizeBytes}`,
    },
    stream: response => pipeline(createReadStream(path, { start, end }), response),
  }
}
