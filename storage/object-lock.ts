import {
  DeleteObjectsCommand,
  GetObjectLockConfigurationCommand,
  ListObjectVersionsCommand,
  type ObjectIdentifier,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { Log } from '../log.ts'
import { StorageFault } from './fault.ts'
import { withinWallClock } from './patience.ts'

/** How long objects are kept from everybody, where the bucket can do that. */
export interface LockSettings {
  /** 0: nothing is asked for; a default of the bucket's own still holds. */
  lockDays: number
  lockMode: 'COMPLIANCE' | 'GOVERNANCE'
}

/** Parameters of a put that lock what is put. */
export interface Retention {
  ObjectLockMode?: LockSettings['lockMode']
  ObjectLockRetainUntilDate?: Date
}

/** Objects that Object Lock keeps were to be removed; all others of the same call are gone. */
export class ObjectsLocked extends StorageFault {
  /** Names of those that stay. */
  readonly keys: readonly string[]

  constructor(keys: readonly string[]) {
    super(
      { code: 'locked', retryable: false, reason: 'object_locked' },
      `S3: ${keys.length === 1 ? `${keys[0]} is` : `${keys.length} objects (${keys[0]} …) are`} locked by Object Lock and cannot be removed before the date up to which they are kept`,
    )
    this.name = 'ObjectsLocked'
    this.keys = keys
  }
}

const ASKED_AGAIN_AFTER_MS = 10 * 60_000
const DAY_MS = 86_400_000
const REMOVE_AT_ONCE = 1000

/** Until when something put now is kept. */
function retentionFrom({ lockDays, lockMode }: LockSettings, now: Date): Retention {
  return {
    ObjectLockMode: lockMode,
    ObjectLockRetainUntilDate: new Date(now.getTime() + lockDays * DAY_MS),
  }
}

export interface ObjectLock {
  /** Has the bucket Object Lock? Asked at most every ten minutes. `unknown`: we may not ask. */
  isOn(signal?: AbortSignal): Promise<boolean | 'unknown'>
  /** What to add to a put. Nothing where the settings ask for nothing or the bucket cannot do it, which is logged. */
  retention(now: Date, signal: AbortSignal): Promise<Retention>
  /**
   * Removes every version of these objects: in such a bucket a plain delete only hides them, locked ones too, and keeps
   * all their bytes (Amazon S3 User Guide, "Object Lock considerations": delete markers).
   * @throws {ObjectsLocked} after removing all that may be removed
   */
  removeVersions(keys: readonly string[]): Promise<void>
}

/** @param requestMs limit of one request, its retries included */
export function openObjectLock(
  client: S3Client,
  Bucket: string,
  settings: LockSettings,
  { requestMs, log }: { requestMs: number; log: Log },
): ObjectLock {
  let known: { on: boolean | 'unknown'; untilMs: number } | undefined

  const ask = async (signal: AbortSignal | undefined): Promise<boolean | 'unknown'> => {
    try {
      const answer = await withinWallClock('ask for Object Lock', requestMs, signal, abortSignal =>
        client.send(new GetObjectLockConfigurationCommand({ Bucket }), { abortSignal }),
      )
      return answer.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled'
    } catch (error) {
      if (!(error instanceof StorageFault)) throw error
      // ObjectLockConfigurationNotFoundError (404) of AWS; stores that do not know the question say so otherwise.
      if (error.code === 'not_found' || error.code === 'invalid') return false
      if (error.code === 'forbidden') return 'unknown'
      throw error
    }
  }
  const isOn = async (signal?: AbortSignal) => {
    if (known && performance.now() < known.untilMs) return known.on
    const on = await ask(signal)
    known = { on, untilMs: performance.now() + ASKED_AGAIN_AFTER_MS }
    if (on !== true && settings.lockDays > 0)
      log.error(
        { bucket: Bucket, lockDays: settings.lockDays },
        on === 'unknown'
          ? 'TESTIGO_S3_LOCK_DAYS is set, but we may not ask the bucket for Object Lock: allow s3:GetBucketObjectLockConfiguration; until then nothing is locked'
          : 'TESTIGO_S3_LOCK_DAYS is set, but the bucket has no Object Lock: nothing is locked',
      )
    return on
  }

  return {
    isOn,
    retention: async (now, signal) =>
      settings.lockDays > 0 && (await isOn(signal)) === true ? retentionFrom(settings, now) : {},
    removeVersions: async keys => {
      const locked = new Set<string>()
      for (const [prefix, own] of byPrefix(keys)) {
        const versions: ObjectIdentifier[] = []
        for await (const version of listVersions(prefix))
          if (own.has(version.Key ?? '')) versions.push(version)
        for (let at = 0; at < versions.length; at += REMOVE_AT_ONCE)
          for (const key of await removeSome(versions.slice(at, at + REMOVE_AT_ONCE))) locked.add(key)
      }
      if (locked.size > 0) throw new ObjectsLocked([...locked])
    },
  }

  async function* listVersions(Prefix: string): AsyncGenerator<ObjectIdentifier> {
    let from: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {}
    do {
      const command = new ListObjectVersionsCommand({ Bucket, Prefix, ...from })
      const page = await withinWallClock(
        `list the versions of ${Prefix}`,
        requestMs,
        undefined,
        abortSignal => client.send(command, { abortSignal }),
      )
      for (const { Key, VersionId } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])])
        if (Key) yield { Key, VersionId }
      from = page.IsTruncated
        ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
        : {}
    } while (from.KeyMarker !== undefined)
  }

  /** @returns names of what is locked */
  async function removeSome(Objects: ObjectIdentifier[]): Promise<string[]> {
    const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } })
    const answer = await withinWallClock(
      `remove ${Objects.length} versions`,
      requestMs,
      undefined,
      abortSignal => client.send(command, { abortSignal }),
    )
    return (answer.Errors ?? []).map(refused => {
      if (isLockRefusal(refused)) return refused.Key ?? ''
      throw removalRefused(refused)
    })
  }
}

interface Refusal {
  Key?: string | undefined
  Code?: string | undefined
  Message?: string | undefined
}

// AWS: AccessDenied, "Access Denied because object protected by object lock."; MinIO: "Object is WORM protected …".
function isLockRefusal({ Code, Message }: Refusal): boolean {
  return (Code === 'AccessDenied' || Code === 'InvalidRequest') && /object lock|worm/i.test(Message ?? '')
}

/** One object of many could not be removed. */
export function removalRefused({ Key, Code }: Refusal): StorageFault {
  return new StorageFault(
    {
      code: Code === 'AccessDenied' ? 'forbidden' : 'unavailable',
      retryable: Code !== 'AccessDenied',
      reason: Code,
    },
    `S3: remove ${Key} failed: ${Code}`,
  )
}

/** Names by the folder they lie in; a name alone in its folder stands for itself. */
function byPrefix(keys: readonly string[]): Map<string, Set<string>> {
  const folders = Map.groupBy(keys, key => key.slice(0, key.lastIndexOf('/') + 1))
  return new Map(
    [...folders].map(([folder, own]) => [own.length === 1 ? (own[0] ?? folder) : folder, new Set(own)]),
  )
}
