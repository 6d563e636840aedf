import { randomBytes } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import type { Call } from '../world.ts'
import {
  fileNotFound,
  folderType,
  hasRole,
  rootFolderId,
  type StoredFile,
  supportsAllDrives,
} from './file.ts'

export function newFileId(): string {
  return `1${randomBytes(24).toString('base64url')}`
}

/**
 * Checks the metadata of a file to be made and returns the file, not yet in the state. Errors: 409 on a used id,
 * 400 on an id that Google did not generate, 404 for a parent that cannot be seen, 403 `storageQuotaExceeded` for a
 * service account outside shared drives (google-apis.md §4.3, §4.5, §4.6).
 */
export function draftFile(call: Call, isBinary: boolean): StoredFile {
  const { world, caller, body } = call
  const { id, name, mimeType, parents, description } = body as Record<string, string | null | undefined> & {
    parents?: string[] | null
  }
  if (id) checkNewId(call, id)
  if (parents && parents.length > 1)
    throw new GoogleError(400, 'A shared drive item must have exactly one parent.', {
      reason: 'cannotAddParent',
    })
  const place = placeOf(call, parents?.[0], isBinary)
  const now = new Date(world.nowMs()).toISOString()
  checkAppProperties((body.appProperties ?? {}) as Record<string, string>)
  return {
    id: id ?? newFileId(),
    name: name ?? 'Untitled',
    mimeType: mimeType ?? 'application/octet-stream',
    ...place,
    ...(description && { description }),
    createdTime: now,
    modifiedTime: now,
    trashed: false,
    appProperties: (body.appProperties ?? {}) as Record<string, string>,
    properties: (body.properties ?? {}) as Record<string, string>,
    permissions: place.owner
      ? [{ id: `owner-${place.owner}`, type: 'user', role: 'owner', emailAddress: caller.email }]
      : [],
    madeByApp: true,
  }
}

/** An id may be used once, and only if `files.generateIds` gave it out. */
export function checkNewId(call: Call, id: string): void {
  const location = { type: 'parameter' as const, name: 'file.id' }
  if (call.world.state.files.has(id))
    throw new GoogleError(409, 'A file already exists with the provided ID.', {
      reason: 'fileIdInUse',
      location,
    })
  if (!call.world.state.generatedIds.has(id))
    throw new GoogleError(400, 'The provided file ID is not usable.', { reason: 'invalid', location })
}

/** Limits of google-apis.md §4.4: 30 properties, key and value together at most 124 bytes. */
export function checkAppProperties(properties: Record<string, string | null>): void {
  const entries = Object.entries(properties)
  const tooLong = entries.some(([key, value]) => Buffer.byteLength(key + (value ?? '')) > 124)
  if (entries.length > 30 || tooLong)
    throw new GoogleError(400, 'The app property limit was exceeded.', { reason: 'appPropertyLimitExceeded' })
}

function placeOf(
  call: Call,
  parent: string | undefined,
  isBinary: boolean,
): Pick<StoredFile, 'parent' | 'owner' | 'driveId'> {
  const { world, caller } = call
  const own = rootFolderId(caller.email)
  const quota = () =>
    new GoogleError(
      403,
      'Service Accounts do not have storage quota. Leverage shared drives (https://developers.google.com/workspace/drive/api/guides/about-shareddrives), or use OAuth delegation (http://support.google.com/a/answer/7281227) instead.',
      { reason: 'storageQuotaExceeded', domain: 'usageLimits' },
    )
  if (parent === undefined || parent === 'root' || parent === own) {
    if (caller.isServiceAccount) throw quota()
    return { parent: own, owner: caller.email }
  }
  const drive = world.state.sharedDrives.get(parent)
  const folder = world.state.files.get(parent)
  const driveId = drive?.id ?? folder?.driveId
  if (driveId !== undefined) {
    const role = world.state.sharedDrives.get(driveId)?.members[caller.email]
    if (!supportsAllDrives(call)) throw caller.isServiceAccount && isBinary ? quota() : fileNotFound(parent)
    if (role === undefined) throw fileNotFound(parent)
    if (role === 'reader' || role === 'commenter') throw forbidden()
    return { parent, driveId }
  }
  if (!folder || folder.mimeType !== folderType || !hasRole(call, folder, 'reader'))
    throw fileNotFound(parent)
  if (!hasRole(call, folder, 'writer')) throw forbidden()
  if (caller.isServiceAccount) throw quota()
  return { parent, owner: caller.email }
}

function forbidden(): GoogleError {
  return new GoogleError(403, 'The user does not have sufficient permissions for this file.', {
    reason: 'insufficientFilePermissions',
  })
}
