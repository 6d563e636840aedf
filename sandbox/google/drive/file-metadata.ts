import { GoogleError } from '../errors.ts'
import { type Call, textParameter } from '../world.ts'
import { fileNotFound, folderType, hasRole, type StoredFile } from './file.ts'
import { checkAppProperties } from './file-creation.ts'

/** Applies the body of `files.update` and `addParents`/`removeParents` to a file and returns it. */
export function applyMetadata(call: Call, file: StoredFile): StoredFile {
  const { body, world } = call
  if (body.id !== undefined && body.id !== file.id) throw notWritable('id')
  if (body.parents !== undefined)
    throw new GoogleError(
      403,
      'The parents field is not directly writable in update requests. Use the addParents and removeParents parameters instead.',
      { reason: 'fieldNotWritable' },
    )
  if (typeof body.name === 'string') file.name = body.name
  if (typeof body.mimeType === 'string') file.mimeType = body.mimeType
  if (typeof body.description === 'string') file.description = body.description
  if (typeof body.trashed === 'boolean') file.trashed = body.trashed
  for (const group of ['appProperties', 'properties'] as const) {
    for (const [key, value] of Object.entries((body[group] ?? {}) as Record<string, string | null>)) {
      if (value === null) delete file[group][key]
      else file[group][key] = value
    }
  }
  checkAppProperties(file.appProperties)
  const addParents = textParameter(call, 'addParents')
  if (addParents !== undefined) move(call, file, addParents)
  file.modifiedTime = new Date(world.nowMs()).toISOString()
  return file
}

/** One parent only: adding one means moving there (google-apis.md §4.4). */
function move(call: Call, file: StoredFile, parent: string): void {
  const { files, sharedDrives } = call.world.state
  const folder = files.get(parent)
  const driveId = sharedDrives.has(parent) ? parent : folder?.driveId
  if (
    driveId === undefined &&
    (!folder || folder.mimeType !== folderType || !hasRole(call, folder, 'writer'))
  )
    throw fileNotFound(parent)
  if (textParameter(call, 'removeParents') !== file.parent)
    throw new GoogleError(403, 'Increasing the number of parents is not allowed', {
      reason: 'cannotAddParent',
    })
  file.parent = parent
  if (driveId === undefined) return
  file.driveId = driveId
  delete file.owner
  file.permissions = file.permissions.filter(permission => permission.role !== 'owner')
}

function notWritable(field: string): GoogleError {
  return new GoogleError(
    403,
    `The resource body includes fields which are not directly writable: ${field}.`,
    {
      reason: 'fieldNotWritable',
    },
  )
}
