import type { createDocument } from 'zod-openapi'
import { ROLES, type Role } from '../db/roles.ts'
import { type OperationId, permissionOf } from './permissions.ts'

/** Says at each operation who may use it, as the permission table has it. */
export function withPermissions<Document extends ReturnType<typeof createDocument>>(
  document: Document,
): Document {
  for (const item of Object.values(document.paths ?? {}))
    for (const operation of Object.values(
      item as Record<string, { operationId: OperationId; description?: string }>,
    )) {
      const { scope, roles } = permissionOf(operation.operationId)
      const who =
        roles === 'everybody'
          ? 'everybody, without signing in'
          : ROLES.flatMap(role => wordsFor(role, roles[role])).join(', ')
      const words = `Who may: ${who}.${scope ? ` Scope: \`${scope}\`.` : ''}`
      Object.assign(operation, {
        description: operation.description ? `${operation.description}\n\n${words}` : words,
        ...(scope && { 'x-scope': scope }),
      })
    }
  return document
}

function wordsFor(role: Role, reach: 'all' | 'own' | undefined): string[] {
  if (!reach) return []
  return [reach === 'own' ? `${role} (own meetings only)` : role]
}
