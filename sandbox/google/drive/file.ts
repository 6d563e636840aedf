import path from 'node:path'
import { GoogleError } from '../errors.ts'
import { type Call, textParameter, type World } from '../world.ts'

export const folderType = 'application/vnd.google-apps.folder'
const driveFileScope = 'https://www.googleapis.com/auth/drive.file'

export interface Permission {
  id: string
  type: string
  role: string
  emailAddress?: string
  domain?: string
  expirationTime?: string
}

/** Fingerprints of a file's bytes, in hexadecimal. */
export interface Checksums {
  md5Checksum: string
  sha1Checksum: string
  sha256Checksum: string
}

/** A file or folder of the sandbox's Drive. */
export interface StoredFile {
  id: string
  name: string
  mimeType: string
  parent: string
  /** Absent on a shared drive, where the drive owns the file. */
  owner?: string
  /** Shared drive that holds it. */
  driveId?: string
  description?: string
  createdTime: string
  modifiedTime: string
  trashed: boolean
  appProperties: Record<string, string>
  properties: Record<string, string>
  permissions: Permission[]
  /** Made through the API by this app: what `drive.file` can see. */
  madeByApp: boolean
  /** Only for binary content. */
  content?: { path: string; sizeBytes: number; checksums: Checksums }
}

/** A shared drive. `members`: role by email. */
export interface SharedDrive {
  id: string
  name: string
  members: Record<string, 'reader' | 'commenter' | 'writer' | 'fileOrganizer' | 'organizer'>
}

const roleRank = ['reader', 'commenter', 'writer', 'fileOrganizer', 'organizer', 'owner']

export function rootFolderId(email: string): string {
  return `root_${Buffer.from(email).toString('base64url')}`
}

/** Where the bytes of a file are kept. */
export function contentPath(world: World, fileId: string): string {
  return path.join(world.driveDir, fileId)
}

/**
 * A file by id; also the folders nobody makes: the root of the caller's own Drive (`root`) and that of a shared drive,
 * whose id is the drive's own.
 */
function findFile(call: Call, id: string): StoredFile | undefined {
  const { caller, world } = call
  const stored = world.state.files.get(id)
  if (stored) return stored
  const own = rootFolderId(caller.email)
  const drive = world.state.sharedDrives.get(id)
  if (!drive && id !== 'root' && id !== own) return undefined
  return {
    id: drive?.id ?? own,
    name: drive?.name ?? 'My Drive',
    mimeType: folderType,
    parent: '',
    ...(drive ? { driveId: drive.id } : { owner: caller.email }),
    createdTime: new Date(0).toISOString(),
    modifiedTime: new Date(0).toISOString(),
    trashed: false,
    appProperties: {},
    properties: {},
    permissions: [],
    madeByApp: false,
  }
}

export function fileNotFound(fileId: string): GoogleError {
  return new GoogleError(404, `File not found: ${fileId}.`, {
    reason: 'notFound',
    location: { type: 'parameter', name: 'fileId' },
  })
}

/** Whether a caller holds at least `role` on a file, by own right, a permission, or a folder above it. */
export function hasRole(call: Call, file: StoredFile, role: string): boolean {
  const { caller, world } = call
  if (caller.scopes.has(driveFileScope) && caller.scopes.size === 1 && !file.madeByApp) return false
  const least = roleRank.indexOf(role)
  if (file.driveId !== undefined) {
    const own = world.state.sharedDrives.get(file.driveId)?.members[caller.email]
    if (own !== undefined && roleRank.indexOf(own) >= least) return true
  }
  for (let at: StoredFile | undefined = file; at; at = world.state.files.get(at.parent)) {
    // Who owns a folder does not own what others put into it, but may do anything with it.
    if (at.owner === caller.email) return true
    const granted = at.permissions.some(
      permission => appliesTo(call, permission) && roleRank.indexOf(permission.role) >= least,
    )
    if (granted) return true
  }
  return false
}

function appliesTo(call: Call, permission: Permission): boolean {
  const { email } = call.caller
  if (permission.expirationTime && Date.parse(permission.expirationTime) <= call.world.nowMs()) return false
  return (
    permission.type === 'anyone' ||
    permission.emailAddress?.toLowerCase() === email ||
    (permission.type === 'domain' && email.endsWith(`@${permission.domain}`))
  )
}

/**
 * The file a call names, if the caller may do `role` things to it. Unknown, unseen, and on a shared drive without
 * `supportsAllDrives=true` are the same 404; seen but not allowed is 403 `insufficientFilePermissions`.
 */
export function fileOf(call: Call, role: 'reader' | 'writer'): StoredFile {
  const id = textParameter(call, 'fileId') ?? ''
  const file = findFile(call, id)
  if (!file || !hasRole(call, file, 'reader')) throw fileNotFound(id)
  if (file.driveId !== undefined && !supportsAllDrives(call)) throw fileNotFound(id)
  if (!hasRole(call, file, role))
    throw new GoogleError(403, 'The user does not have sufficient permissions for this file.', {
      reason: 'insufficientFilePermissions',
    })
  return file
}

export function supportsAllDrives(call: Call): boolean {
  return call.parameters.supportsAllDrives === true || call.parameters.supportsTeamDrives === true
}

/** The File resource as the caller sees it; everything, `fields` selects later. */
export function viewFile(call: Call, file: StoredFile): Record<string, unknown> {
  const { world, caller } = call
  const owned = file.owner === undefined ? undefined : { emailAddress: file.owner, displayName: file.owner }
  const canEdit = hasRole(call, file, 'writer')
  return {
    kind: 'drive#file',
    id: file.id,
    name: file.name,
    mimeType: file.mimeType,
    ...(file.parent !== '' && { parents: [file.parent] }),
    spaces: ['drive'],
    trashed: file.trashed,
    createdTime: file.createdTime,
    modifiedTime: file.modifiedTime,
    ...(file.description !== undefined && { description: file.description }),
    ...(file.driveId !== undefined && { driveId: file.driveId, teamDriveId: file.driveId }),
    ...(Object.keys(file.appProperties).length > 0 && { appProperties: file.appProperties }),
    ...(Object.keys(file.properties).length > 0 && { properties: file.properties }),
    webViewLink:
      file.mimeType === folderType
        ? `${world.origin}/drive/folders/${file.id}`
        : `${world.origin}/file/d/${file.id}/view?usp=drivesdk`,
    capabilities: { canDownload: file.content !== undefined, canEdit, canDelete: canEdit, canShare: canEdit },
    // Owner fields and permissions are not filled for items of shared drives (google-apis.md §4.5).
    ...(owned && {
      owners: [{ kind: 'drive#user', ...owned, me: file.owner === caller.email }],
      ownedByMe: file.owner === caller.email,
      shared: file.permissions.length > 1,
      permissions: file.permissions.map(viewPermission),
    }),
    ...(file.content && {
      size: String(file.content.sizeBytes),
      quotaBytesUsed: String(file.content.sizeBytes),
      originalFilename: file.name,
      ...file.content.checksums,
      webContentLink: `${world.origin}/file/d/${file.id}/content`,
    }),
  }
}

export function viewPermission(permission: Permission): object {
  return { kind: 'drive#permission', ...permission }
}
