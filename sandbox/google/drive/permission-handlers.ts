import { createHash } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import { type Answer, type Call, type Handlers, textParameter } from '../world.ts'
import { fileOf, type Permission, viewPermission } from './file.ts'

const roles = ['reader', 'commenter', 'writer', 'fileOrganizer', 'organizer', 'owner']
const longestLifeMs = 366 * 24 * 3600_000

/** Sharing: `permissions.*` of Drive v3 (google-apis.md §4.7). */
export const permissionHandlers: Handlers = {
  'drive.permissions.create': createPermission,
  'drive.permissions.list': call => {
    const permissions = fileOf(call, 'reader').permissions.map(viewPermission)
    return { json: { kind: 'drive#permissionList', permissions } }
  },
  'drive.permissions.get': call => ({ json: viewPermission(permissionOf(call)) }),
  'drive.permissions.delete': call => {
    const file = fileOf(call, 'writer')
    const doomed = permissionOf(call)
    file.permissions = file.permissions.filter(permission => permission !== doomed)
    return { status: 204 }
  },
}

/** The same person again changes the role and makes no second permission, as the id is made from the address. */
function createPermission(call: Call): Answer {
  const file = fileOf(call, 'writer')
  const { type, role, emailAddress, domain, expirationTime } = call.body as Partial<Permission>
  if (!type || !['user', 'group', 'domain', 'anyone'].includes(type))
    throw invalid('The permission type field is required.', 'permission.type')
  if (!role || !roles.includes(role))
    throw invalid('The permission role field is required.', 'permission.role')
  if ((type === 'user' || type === 'group') && !emailAddress)
    throw invalid(
      'The emailAddress field is required for permissions of type user or group.',
      'permission.emailAddress',
    )
  if (type === 'domain' && !domain)
    throw invalid('The domain field is required for permissions of type domain.', 'permission.domain')
  checkExpiry(call, type, expirationTime)
  if (role === 'owner' && call.parameters.transferOwnership !== true)
    throw new GoogleError(
      403,
      "The transferOwnership parameter must be enabled when the permission role is 'owner'.",
      { reason: 'forbidden' },
    )
  const key = emailAddress?.toLowerCase() ?? domain ?? 'anyoneWithLink'
  const id =
    type === 'anyone'
      ? key
      : String(BigInt(`0x${createHash('sha256').update(key).digest('hex').slice(0, 16)}`))
  const permission: Permission = {
    id,
    type,
    role,
    ...(emailAddress && { emailAddress }),
    ...(domain && { domain }),
    ...(expirationTime && { expirationTime }),
  }
  file.permissions = [...file.permissions.filter(one => one.id !== id), permission]
  if (emailAddress && call.parameters.sendNotificationEmail !== false)
    call.world.state.mails.push({ kind: 'share', to: emailAddress, about: file.id, subject: file.name })
  return { json: viewPermission(permission) }
}

function permissionOf(call: Call): Permission {
  const id = textParameter(call, 'permissionId')
  const found = fileOf(call, 'reader').permissions.find(permission => permission.id === id)
  if (found) return found
  throw new GoogleError(404, `Permission not found: ${id}.`, {
    reason: 'notFound',
    location: { type: 'parameter', name: 'permissionId' },
  })
}

function checkExpiry(call: Call, type: string, expirationTime: string | undefined): void {
  if (!expirationTime) return
  const leftMs = Date.parse(expirationTime) - call.world.nowMs()
  if ((type !== 'user' && type !== 'group') || leftMs <= 0 || leftMs > longestLifeMs)
    throw new GoogleError(403, 'The expiration time is not allowed.', {
      reason: 'expirationDateNotAllowed',
    })
}

function invalid(message: string, name: string): GoogleError {
  return new GoogleError(400, message, { reason: 'invalid', location: { type: 'parameter', name } })
}
