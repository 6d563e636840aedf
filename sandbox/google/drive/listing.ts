import { GoogleError } from '../errors.ts'
import { type Answer, type Call, type Handlers, textParameter } from '../world.ts'
import { hasRole, rootFolderId, type StoredFile, supportsAllDrives, viewFile } from './file.ts'
import { readSearch } from './search.ts'

/** Lists of Drive v3: files and shared drives. */
export const listHandlers: Handlers = {
  'drive.files.list': listFiles,
  'drive.drives.get': call => {
    const drive = call.world.state.sharedDrives.get(textParameter(call, 'driveId') ?? '')
    if (!drive?.members[call.caller.email])
      throw new GoogleError(404, `Shared drive not found: ${call.parameters.driveId}`, { reason: 'notFound' })
    return { json: { kind: 'drive#drive', id: drive.id, name: drive.name } }
  },
  'drive.drives.list': call => {
    const drives = [...call.world.state.sharedDrives.values()]
      .filter(drive => drive.members[call.caller.email])
      .map(({ id, name }) => ({ kind: 'drive#drive', id, name }))
    return { json: { kind: 'drive#driveList', drives } }
  },
}

/**
 * `files.list`. Items of shared drives come only with `supportsAllDrives` and `includeItemsFromAllDrives`;
 * `corpora=drive` needs both and `driveId` (google-apis.md §4.5).
 */
function listFiles(call: Call): Answer {
  const { parameters, world } = call
  const everywhere = supportsAllDrives(call) && parameters.includeItemsFromAllDrives === true
  const driveId = textParameter(call, 'driveId')
  if ((parameters.corpora === 'drive') !== (driveId !== undefined))
    throw refused(
      'The driveId parameter must be specified if and only if corpora is set to drive.',
      'corpora',
    )
  if (driveId !== undefined && !everywhere)
    throw refused(
      'The includeItemsFromAllDrives parameter must be set to true when driveId is set.',
      'driveId',
    )
  if (driveId !== undefined && !world.state.sharedDrives.get(driveId)?.members[call.caller.email])
    throw new GoogleError(404, `Shared drive not found: ${driveId}`, { reason: 'notFound' })
  const q = textParameter(call, 'q')
  const test = q === undefined || q === '' ? () => true : readSearch(q, rootFolderId(call.caller.email))
  const found = [...world.state.files.values()].filter(
    file =>
      (file.driveId === undefined || everywhere) &&
      (driveId === undefined || file.driveId === driveId) &&
      hasRole(call, file, 'reader') &&
      test(file),
  )
  sort(found, textParameter(call, 'orderBy') ?? 'modifiedTime desc')
  return page(call, found)
}

function sort(files: StoredFile[], orderBy: string): void {
  const keys = orderBy.split(',').map(key => key.trim().split(/\s+/))
  for (const [key] of keys)
    if (!['name', 'createdTime', 'modifiedTime', 'folder', 'name_natural'].includes(key ?? ''))
      throw refused('Invalid Value', 'orderBy')
  files.sort((a, b) => {
    for (const [key, direction] of keys) {
      const difference = sortKey(a, key) < sortKey(b, key) ? -1 : Number(sortKey(a, key) > sortKey(b, key))
      if (difference !== 0) return direction === 'desc' ? -difference : difference
    }
    return 0
  })
}

function sortKey(file: StoredFile, key: string | undefined): string {
  if (key === 'createdTime' || key === 'modifiedTime') return file[key]
  return key === 'folder' ? String(!file.mimeType.endsWith('.folder')) : file.name
}

function page(call: Call, found: StoredFile[]): Answer {
  const { pageSize } = call.parameters
  const size = typeof pageSize === 'number' ? pageSize : 100
  const token = textParameter(call, 'pageToken')
  const from = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString())
  if (!Number.isInteger(from)) throw refused('Invalid Value', 'pageToken')
  const rest = from + size < found.length
  return {
    json: {
      kind: 'drive#fileList',
      incompleteSearch: false,
      files: found.slice(from, from + size).map(file => viewFile(call, file)),
      ...(rest && { nextPageToken: Buffer.from(String(from + size)).toString('base64url') }),
    },
  }
}

function refused(message: string, name: string): GoogleError {
  return new GoogleError(400, message, { reason: 'invalid', location: { type: 'parameter', name } })
}
