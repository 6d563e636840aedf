// What Object Lock is: versions of objects, and which of them may be removed. By Amazon's documents, no HTTP in here.

export type LockMode = 'COMPLIANCE' | 'GOVERNANCE'

export interface Lock {
  mode: LockMode
  untilMs: number
}

export interface Version {
  key: string
  versionId: string
  /** A delete marker: what a delete without a version leaves. */
  marker: boolean
  sizeBytes: number
  atMs: number
  lock: Lock | undefined
}

/** A refusal as S3 words it. */
export class Refusal extends Error {
  readonly httpStatus: number
  readonly code: string
  constructor(httpStatus: number, code: string, message: string) {
    super(message)
    this.httpStatus = httpStatus
    this.code = code
  }
}

export interface LockRules {
  /** `undefined`: the bucket has no Object Lock. */
  objectLock: { byDefault?: { mode: LockMode; days: number } } | undefined
  now: () => number
}

const DAY_MS = 86_400_000

/** Keeps the versions of one bucket. */
export function openVersions({ objectLock, now }: LockRules) {
  /** Oldest first, in the order in which they were made. */
  const versions: Version[] = []
  let made = 0

  const nextId = () => `v${String(++made).padStart(6, '0')}`
  const add = (version: Omit<Version, 'atMs'>) => {
    versions.push({ ...version, atMs: now() })
    return version.versionId
  }
  const latest = (key: string) => versions.findLast(version => version.key === key)
  const find = (key: string, versionId: string | undefined) =>
    versionId === undefined
      ? latest(key)
      : versions.find(version => version.key === key && version.versionId === versionId)

  /** The lock that a put asks for by its headers, or the bucket's default. */
  const readLock = (header: (name: string) => string | undefined): Lock | undefined => {
    const mode = header('x-amz-object-lock-mode')
    const until = header('x-amz-object-lock-retain-until-date')
    if (mode === undefined && until === undefined) {
      const byDefault = objectLock?.byDefault
      return byDefault && { mode: byDefault.mode, untilMs: now() + byDefault.days * DAY_MS }
    }
    if (!objectLock) throw new Refusal(400, 'InvalidRequest', 'Bucket is missing ObjectLockConfiguration')
    if (mode === undefined || until === undefined)
      throw new Refusal(
        400,
        'InvalidArgument',
        'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
      )
    if (mode !== 'COMPLIANCE' && mode !== 'GOVERNANCE')
      throw new Refusal(400, 'InvalidArgument', 'Unknown wormMode directive.')
    const untilMs = Date.parse(until)
    if (!(untilMs > now()))
      throw new Refusal(400, 'InvalidArgument', 'The retain until date must be in the future!')
    return { mode, untilMs }
  }

  /** @returns what was removed, for its bytes to be removed too; nothing for what was not there */
  const remove = (key: string, versionId: string, bypassGovernance: boolean): Version | undefined => {
    const version = find(key, versionId)
    if (!version) return undefined
    const { lock } = version
    const held = lock && lock.untilMs > now() && !(lock.mode === 'GOVERNANCE' && bypassGovernance)
    if (held) throw new Refusal(403, 'AccessDenied', 'Access Denied because object protected by object lock.')
    versions.splice(versions.indexOf(version), 1)
    return version
  }

  return {
    add,
    find,
    readLock,
    remove,
    nextId,
    hide: (key: string) => add({ key, versionId: nextId(), marker: true, sizeBytes: 0, lock: undefined }),
    /** Newest version of each name that is no delete marker, in the order of names. */
    current: (prefix: string): Version[] =>
      [...new Set(versions.map(({ key }) => key))]
        .filter(key => key.startsWith(prefix))
        .sort()
        .flatMap(key => latest(key) ?? [])
        .filter(({ marker }) => !marker),
    /** In the order of names, newest first. */
    all: (prefix: string): (Version & { isLatest: boolean })[] =>
      versions
        .filter(({ key }) => key.startsWith(prefix))
        .map(version => ({ ...version, isLatest: latest(version.key) === version }))
        .sort((a, b) => (a.key === b.key ? (a.versionId < b.versionId ? 1 : -1) : a.key < b.key ? -1 : 1)),
  }
}
