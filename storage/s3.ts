import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { downloadTo } from './download.ts'
import { StorageFault } from './fault.ts'
import { untilAborted, withinWallClock } from './patience.ts'

export interface PutOptions {
  contentType: string
  /** SHA-256 in hex, kept with the object as metadata. Of a buffer it is worked out here when absent. */
  sha256?: string
  signal?: AbortSignal
}

export interface StoredObject {
  key: string
  sizeBytes: number
}

/** Where recordings are put: one bucket of S3 or something that speaks like it. All of it throws {@link StorageFault}. */
export interface Store {
  /** Puts an object, from memory or from a file, in parts where it is large; the bytes are checked on arrival. */
  put(key: string, body: Buffer | { file: string }, options: PutOptions): Promise<StoredObject>
  /** Opens an object for reading; the reader owns the stream and its end. */
  get(key: string, signal?: AbortSignal): Promise<Readable>
  /** Brings an object into a file that is complete when it appears; goes on where a broken download stopped. */
  getToFile(key: string, path: string, signal?: AbortSignal): Promise<StoredObject>
  /** `undefined` when there is no such object. */
  head(
    key: string,
  ): Promise<(StoredObject & { contentType: string | undefined; sha256: string | undefined }) | undefined>
  /** Objects whose names begin with `prefix`, in the order of their names. */
  list(prefix: string): AsyncIterable<StoredObject>
  /** Removes objects; names that are not there are no fault. */
  remove(keys: readonly string[]): Promise<void>
  /** A link that downloads the object under `filename` for `seconds` (the settings' when absent). A secret. */
  link(key: string, options: { filename: string; seconds?: number }): Promise<string>
  /** Makes the bucket where it is missing: for the demo and for tests. */
  ensureBucket(): Promise<void>
  /** Closes the connections that are kept open. */
  close(): void
}

/** How long single steps may take. */
export interface StoreLimits {
  /** A connection to be made. */
  connectMs: number
  /** One try of one request, until its answer begins; also how long a download may stand still. */
  tryMs: number
  /** One request that carries no large body, its retries included. */
  requestMs: number
}

const DEFAULT_LIMITS: StoreLimits = { connectMs: 5000, tryMs: 60_000, requestMs: 90_000 }
const PART_BYTES = 8 * 1024 * 1024
const PARTS_AT_ONCE = 2
const MAX_PARTS = 10_000
const REMOVE_AT_ONCE = 1000
const CLEAN_UP_MS = 10_000

/** Opens the store of the settings. Nothing is asked before the first call. */
export function createStore(
  settings: Config['storage'],
  log: Log,
  limits: StoreLimits = DEFAULT_LIMITS,
): Store {
  const { bucket: Bucket, uploadTimeoutMs } = settings
  const client = new S3Client({
    ...connection(settings, settings.endpoint),
    retryStrategy: untilAborted(log.child({ part: 'storage' })),
    requestHandler: {
      connectionTimeout: limits.connectMs,
      requestTimeout: limits.tryMs,
      throwOnRequestTimeout: true,
      socketTimeout: limits.tryMs,
    },
  })
  // Links are signed for the address that their reader uses, which may not be ours.
  const signer = new S3Client({
    ...connection(settings, settings.publicEndpoint),
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const requestMs = Math.min(limits.requestMs, uploadTimeoutMs)

  const putBuffer = async (key: string, body: Buffer, options: PutOptions, signal: AbortSignal) => {
    const digest = createHash('sha256').update(body).digest()
    if (options.sha256 !== undefined && options.sha256 !== digest.toString('hex'))
      throw new StorageFault(
        { code: 'checksum_mismatch', retryable: false },
        `S3: put ${key} was given bytes that do not have the SHA-256 they should have`,
      )
    const command = new PutObjectCommand({
      Bucket,
      Key: key,
      Body: body,
      ContentType: options.contentType,
      ChecksumSHA256: digest.toString('base64'),
      Metadata: { sha256: digest.toString('hex') },
    })
    await client.send(command, { abortSignal: signal })
    return { key, sizeBytes: body.length }
  }

  const putFile = async (key: string, file: string, options: PutOptions, signal: AbortSignal) => {
    const { size: sizeBytes } = await stat(file)
    const body = createReadStream(file)
    try {
      const upload = new Upload({
        client: boundTo(client, signal),
        queueSize: PARTS_AT_ONCE,
        partSize: Math.max(PART_BYTES, Math.ceil(sizeBytes / MAX_PARTS)),
        params: {
          Bucket,
          Key: key,
          Body: body,
          ContentType: options.contentType,
          ChecksumAlgorithm: 'SHA256',
          ...(options.sha256 !== undefined && { Metadata: { sha256: options.sha256 } }),
        },
      })
      await upload.done()
    } finally {
      body.destroy()
    }
    const { ContentLength } = await client.send(new HeadObjectCommand({ Bucket, Key: key }), {
      abortSignal: signal,
    })
    if (ContentLength === sizeBytes) return { key, sizeBytes }
    throw new StorageFault(
      { code: 'checksum_mismatch', retryable: true },
      `S3: put ${key} left ${ContentLength} bytes of ${sizeBytes}`,
    )
  }

  return {
    put: (key, body, options) =>
      withinWallClock(`put ${key}`, uploadTimeoutMs, options.signal, signal =>
        Buffer.isBuffer(body)
          ? putBuffer(key, body, options, signal)
          : putFile(key, body.file, options, signal),
      ),

    get: (key, signal) =>
      withinWallClock(`get ${key}`, requestMs, signal, async abortSignal => {
        const answer = await client.send(new GetObjectCommand({ Bucket, Key: key }), { abortSignal })
        return answer.Body as Readable
      }),

    getToFile: (key, path, signal) =>
      withinWallClock(`get ${key}`, uploadTimeoutMs, signal, async abortSignal => ({
        key,
        sizeBytes: await downloadTo(client, { Bucket, Key: key }, path, abortSignal),
      })),

    head: async key => {
      try {
        return await withinWallClock(`head ${key}`, requestMs, undefined, async abortSignal => {
          const found = await client.send(new HeadObjectCommand({ Bucket, Key: key }), { abortSignal })
          const { ContentLength: sizeBytes = 0, ContentType: contentType, Metadata } = found
          return { key, sizeBytes, contentType, sha256: Metadata?.sha256 }
        })
      } catch (error) {
        if (error instanceof StorageFault && error.code === 'not_found') return undefined
        throw error
      }
    },

    list: async function* (prefix) {
      let ContinuationToken: string | undefined
      do {
        const command = new ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken })
        const page = await withinWallClock(`list ${prefix}`, requestMs, undefined, abortSignal =>
          client.send(command, { abortSignal }),
        )
        for (const { Key, Size } of page.Contents ?? []) if (Key) yield { key: Key, sizeBytes: Size ?? 0 }
        ContinuationToken = page.NextContinuationToken
      } while (ContinuationToken !== undefined)
    },

    remove: async keys => {
      for (let at = 0; at < keys.length; at += REMOVE_AT_ONCE) {
        const Objects = keys.slice(at, at + REMOVE_AT_ONCE).map(Key => ({ Key }))
        const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } })
        const answer = await withinWallClock(
          `remove ${Objects.length} objects`,
          requestMs,
          undefined,
          abortSignal => client.send(command, { abortSignal }),
        )
        const [refused] = answer.Errors ?? []
        if (refused)
          throw new StorageFault(
            {
              code: refused.Code === 'AccessDenied' ? 'forbidden' : 'unavailable',
              retryable: refused.Code !== 'AccessDenied',
              reason: refused.Code,
            },
            `S3: remove ${refused.Key} failed: ${refused.Code}`,
          )
      }
    },

    link: async (key, { filename, seconds = settings.linkSeconds }) =>
      getSignedUrl(
        signer,
        new GetObjectCommand({ Bucket, Key: key, ResponseContentDisposition: attachment(filename) }),
        { expiresIn: seconds },
      ),

    ensureBucket: () =>
      withinWallClock(`make bucket ${Bucket}`, requestMs, undefined, async abortSignal => {
        try {
          await client.send(new HeadBucketCommand({ Bucket }), { abortSignal })
          return
        } catch (error) {
          if (!isNamed(error, 'NotFound', 'NoSuchBucket')) throw error
        }
        try {
          await client.send(new CreateBucketCommand({ Bucket }), { abortSignal })
        } catch (error) {
          // Another process was quicker.
          if (!isNamed(error, 'BucketAlreadyOwnedByYou', 'BucketAlreadyExists')) throw error
        }
      }),

    close: () => {
      client.destroy()
      signer.destroy()
    },
  }
}

function connection(settings: Config['storage'], endpoint: string | undefined): S3ClientConfig {
  const { region, accessKeyId, secretAccessKey, sessionToken } = settings
  return {
    region,
    // Stores other than AWS have no host name for each bucket.
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(accessKeyId !== undefined &&
      secretAccessKey !== undefined && {
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
      }),
  }
}

/**
 * The client with a signal on every request: `Upload` puts none on its own, so that its retries would outlive it. What
 * it does to clean up after a failure gets a limit of its own.
 */
function boundTo(client: S3Client, abortSignal: AbortSignal): S3Client {
  const send = (command: Parameters<S3Client['send']>[0]) =>
    client.send(command, {
      abortSignal:
        command instanceof AbortMultipartUploadCommand ? AbortSignal.timeout(CLEAN_UP_MS) : abortSignal,
    })
  return Object.create(client, { send: { value: send } }) as S3Client
}

/** The header that names a download, for old and new browsers (RFC 6266). */
function attachment(filename: string): string {
  const ascii = filename
    .normalize('NFKD')
    .replace(/[^\x20-\x7e]/g, '')
    .replace(/["\\]/g, "'")
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encodeURIComponent(filename).replace(/['()*]/g, mark => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)}`
}

function isNamed(error: unknown, ...names: string[]): boolean {
  return (
    error instanceof Error &&
    (names.includes(error.name) || (error instanceof StorageFault && names.includes(error.reason ?? '')))
  )
}
