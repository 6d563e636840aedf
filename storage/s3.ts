import { createHash } from 'node:crypto'
import { addAbortSignal, type Readable } from 'node:stream'
import {
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
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { downloadTo } from './download.ts'
import { StorageFault } from './fault.ts'
import { openObjectLock, type Retention, removalRefused } from './object-lock.ts'
import { once, untilAborted, withinWallClock } from './patience.ts'
import { uploadFile, wrongBytes } from './upload.ts'

interface PutOptions {
  contentType: string
  /** SHA-256 in hex, kept with the object as metadata. Of a buffer it is worked out here when absent. */
  sha256?: string
  /**
   * Evidence: kept from everybody for TESTIGO_S3_LOCK_DAYS where the bucket has Object Lock. `if_kept`, for a segment:
   * only where the settings keep segments.
   */
  lock?: boolean | 'if_kept'
  /** Of a buffer: one single try of at most this long, for a caller who tries again himself. */
  tryMs?: number
  signal?: AbortSignal
}

export interface StoredObject {
  key: string
  sizeBytes: number
}

interface ObjectHead extends StoredObject {
  contentType: string | undefined
  sha256: string | undefined
  /** Until then Object Lock keeps it. */
  lockedUntil: Date | undefined
}

/** Where recordings are put: one bucket of S3 or something that speaks like it. All of it throws {@link StorageFault}. */
export interface Store {
  /** Puts an object, from memory or from a file, in parts where it is large; the bytes are checked on arrival. */
  put(key: string, body: Buffer | { file: string }, options: PutOptions): Promise<StoredObject>
  /**
   * Opens an object for reading; the reader owns the stream and its end. The bytes are checked against what the store
   * says of them, unless the reader says that it does so itself (`proven`).
   */
  get(key: string, signal?: AbortSignal, options?: { proven: boolean }): Promise<Readable>
  /** Brings an object into a file that is complete when it appears; goes on where a broken download stopped. */
  getToFile(key: string, path: string, signal?: AbortSignal): Promise<StoredObject>
  /** `undefined` when there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>
  /** Objects whose names begin with `prefix`, in the order of their names. */
  list(prefix: string): AsyncIterable<StoredObject>
  /**
   * Removes objects, for good also where the bucket keeps versions by Object Lock; names that are not there are no fault.
   * @throws {ObjectsLocked} when some are locked; the others are gone then
   */
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
  /** One try of one request, until its answer begins. */
  tryMs: number
  /** One try of what takes longer: a part, or the joining of all parts. Also how long a download may stand still. */
  longTryMs: number
  /** One request that carries no body of ours, its retries included. */
  requestMs: number
}

const DEFAULT_LIMITS: StoreLimits = { connectMs: 5000, tryMs: 20_000, longTryMs: 120_000, requestMs: 60_000 }
const REMOVE_AT_ONCE = 1000

/** Opens the store of the settings. Nothing is asked before the first call. */
export function createStore(
  settings: Config['storage'],
  log: Log,
  limits: StoreLimits = DEFAULT_LIMITS,
): Store {
  const { bucket: Bucket, uploadTimeoutMs } = settings
  const patient: S3ClientConfig = {
    ...connection(settings, settings.endpoint),
    retryStrategy: untilAborted(log.child({ part: 'storage' })),
    requestHandler: {
      connectionTimeout: limits.connectMs,
      requestTimeout: limits.tryMs,
      throwOnRequestTimeout: true,
      socketTimeout: limits.longTryMs,
    },
  }
  const client = new S3Client(patient)
  const clientOfProof = new S3Client({ ...patient, responseChecksumValidation: 'WHEN_REQUIRED' })
  const clientOfOneTry = new S3Client({ ...patient, retryStrategy: once })
  // Links are signed for the address that their reader uses, which may not be ours.
  const signer = new S3Client({
    ...connection(settings, settings.publicEndpoint),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const requestMs = Math.min(limits.requestMs, uploadTimeoutMs)
  const objectLock = openObjectLock(client, Bucket, settings, { requestMs, log })

  const putBuffer = async (
    key: string,
    body: Buffer,
    options: PutOptions,
    retention: Retention,
    signal: AbortSignal,
  ) => {
    const digest = createHash('sha256').update(body).digest()
    if (options.sha256 !== undefined && options.sha256 !== digest.toString('hex')) throw wrongBytes(key)
    const command = new PutObjectCommand({
      Bucket,
      Key: key,
      Body: body,
      ContentType: options.contentType,
      ChecksumSHA256: digest.toString('base64'),
      Metadata: { sha256: digest.toString('hex') },
      ...retention,
    })
    if (options.tryMs === undefined) await client.send(command, { abortSignal: signal })
    else await clientOfOneTry.send(command, { abortSignal: signal, requestTimeout: options.tryMs })
    return { key, sizeBytes: body.length }
  }

  return {
    put: (key, body, options) =>
      withinWallClock(`put ${key}`, options.tryMs ?? uploadTimeoutMs, options.signal, async signal => {
        const lock = options.lock === 'if_kept' ? settings.keepSegments : options.lock
        const retention = lock ? await objectLock.retention(new Date(), signal) : {}
        if (Buffer.isBuffer(body)) return putBuffer(key, body, options, retention, signal)
        const { contentType, sha256 } = options
        const upload = { Bucket, Key: key, file: body.file, contentType, sha256, retention }
        return { key, sizeBytes: await uploadFile(client, upload, limits, signal) }
      }),

    get: async (key, signal, { proven } = { proven: false }) => {
      // The wall clock is for the answer to begin; how long the reader takes is the reader's matter.
      const request = new AbortController()
      const body = await withinWallClock(`get ${key}`, requestMs, signal, async limit => {
        const stop = () => request.abort(limit.reason)
        limit.addEventListener('abort', stop, { once: true })
        try {
          const command = new GetObjectCommand({ Bucket, Key: key })
          const asked = proven ? clientOfProof : client
          return (await asked.send(command, { abortSignal: request.signal })).Body as Readable
        } finally {
          limit.removeEventListener('abort', stop)
        }
      })
      return signal ? addAbortSignal(signal, body) : body
    },

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
          const lockedUntil = found.ObjectLockRetainUntilDate
          return { key, sizeBytes, contentType, sha256: Metadata?.sha256, lockedUntil }
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
      if (keys.length > 0 && (await objectLock.isOn()) === true) return objectLock.removeVersions(keys)
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
        if (refused) throw removalRefused(refused)
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
      clientOfProof.destroy()
      clientOfOneTry.destroy()
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
