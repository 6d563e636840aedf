import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { addAbortSignal, type Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { readStorageFault } from './fault.ts'
import { waitBefore } from './patience.ts'

interface ObjectName {
  Bucket: string
  Key: string
}

/**
 * Downloads an object beside its destination and renames it when it is whole; a broken connection is taken up where it
 * broke, and `If-Match` makes sure that it is still the same object.
 * @returns the size in bytes
 */
export async function downloadTo(
  client: S3Client,
  object: ObjectName,
  path: string,
  signal: AbortSignal,
): Promise<number> {
  const part = `${path}.part`
  try {
    const sizeBytes = await fetchInto(client, object, part, signal)
    await rename(part, path)
    return sizeBytes
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

async function fetchInto(
  client: S3Client,
  object: ObjectName,
  part: string,
  signal: AbortSignal,
): Promise<number> {
  await using file = await open(part, 'w')
  let haveBytes = 0
  let whole: { sizeBytes: number; etag: string | undefined } | undefined
  for (let retries = 0; whole === undefined || haveBytes < whole.sizeBytes; ) {
    try {
      const rest = haveBytes > 0 && { IfMatch: whole?.etag, Range: `bytes=${haveBytes}-` }
      const answer = await client.send(new GetObjectCommand({ ...object, ...rest }), { abortSignal: signal })
      whole ??= { sizeBytes: answer.ContentLength ?? 0, etag: answer.ETag }
      for await (const piece of addAbortSignal(signal, answer.Body as Readable) as AsyncIterable<Buffer>) {
        await writeAll(file, piece, haveBytes)
        haveBytes += piece.length
      }
    } catch (error) {
      if (signal.aborted || !readStorageFault(error, `get ${object.Key}`).retryable) throw error
      retries += 1
      await delay(waitBefore(retries), undefined, { signal })
    }
  }
  return haveBytes
}

async function writeAll(file: FileHandle, piece: Buffer, position: number): Promise<void> {
  for (let written = 0; written < piece.length; ) {
    const { bytesWritten } = await file.write(piece, written, piece.length - written, position + written)
    written += bytesWritten
  }
}
