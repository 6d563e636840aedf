import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  HeadObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { StorageFault } from './fault.ts'
import type { Retention } from './object-lock.ts'

export interface FileUpload {
  Bucket: string
  Key: string
  /** Path of the file on this machine. */
  file: string
  contentType: string
  /** SHA-256 in hex that the file must have. */
  sha256: string | undefined
  /** Empty where the object is not to be locked. */
  retention: Retention
}

interface TryLimits {
  tryMs: number
  longTryMs: number
}

/** The least that S3 takes; larger ones are only more memory. */
const PART_BYTES = 5 * 1024 * 1024
/** Few large pieces: each is hashed, and joined to a part. */
const READ_BYTES = 1024 * 1024
const PARTS_AT_ONCE = 2
const MAX_PARTS = 10_000
const CLEAN_UP_MS = 10_000

/**
 * Puts a file, in parts where it is large, each with its SHA-256 for the store to check; then compares the size there
 * and the SHA-256 of what was read here.
 * @returns the size in bytes
 */
export async function uploadFile(
  client: S3Client,
  upload: FileUpload,
  limits: TryLimits,
  signal: AbortSignal,
): Promise<number> {
  const { Bucket, Key, file, contentType, sha256, retention } = upload
  const { size: sizeBytes } = await stat(file)
  const hash = createHash('sha256')
  const body = Readable.from(hashed(createReadStream(file, { highWaterMark: READ_BYTES }), hash))
  try {
    await new Upload({
      client: boundTo(client, signal, limits),
      queueSize: PARTS_AT_ONCE,
      partSize: Math.max(PART_BYTES, Math.ceil(sizeBytes / MAX_PARTS)),
      params: {
        Bucket,
        Key,
        Body: body,
        ContentType: contentType,
        ChecksumAlgorithm: 'SHA256',
        ...(sha256 !== undefined && { Metadata: { sha256 } }),
        ...retention,
      },
    }).done()
  } catch (error) {
    // The answer to joining the parts was lost, and asking again finds them joined: the size will tell.
    if (!(error instanceof Error && error.name === 'NoSuchUpload')) throw error
  } finally {
    body.destroy()
  }
  if (sha256 !== undefined && sha256 !== hash.digest('hex')) throw wrongBytes(Key)
  const { ContentLength } = await client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal: signal })
  if (ContentLength === sizeBytes) return sizeBytes
  throw new StorageFault(
    { code: 'checksum_mismatch', retryable: true, reason: 'wrong_size' },
    `S3: put ${Key} left ${ContentLength} bytes of ${sizeBytes}`,
  )
}

/** The bytes given are not the ones that were promised: putting them again changes nothing. */
export function wrongBytes(key: string): StorageFault {
  return new StorageFault(
    { code: 'checksum_mismatch', retryable: false, reason: 'wrong_sha256' },
    `S3: put ${key} was given bytes that do not have the SHA-256 they should have`,
  )
}

/**
 * The client with a signal on every request: `Upload` puts none on its own, so that its retries would outlive it. What
 * it does to clean up after a failure gets a limit of its own.
 */
function boundTo(client: S3Client, abortSignal: AbortSignal, limits: TryLimits): S3Client {
  const send = (command: Parameters<S3Client['send']>[0]) => {
    const isLong = command instanceof UploadPartCommand || command instanceof CompleteMultipartUploadCommand
    return client.send(command, {
      requestTimeout: isLong ? limits.longTryMs : limits.tryMs,
      abortSignal:
        command instanceof AbortMultipartUploadCommand ? AbortSignal.timeout(CLEAN_UP_MS) : abortSignal,
    })
  }
  return Object.create(client, { send: { value: send } }) as S3Client
}

async function* hashed(source: Readable, hash: Hash): AsyncGenerator<Buffer> {
  for await (const piece of source as AsyncIterable<Buffer>) {
    hash.update(piece)
    yield piece
  }
}
