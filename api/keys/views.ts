import { z } from 'zod'
import type { ApiKeyRow } from '../../db/api-keys.ts'
import { ROLES, SCOPES } from '../../db/roles.ts'

/** What callers get to see of API keys. Instants are UTC. */

const instant = z.iso.datetime().meta({ example: '2026-11-23T15:00:00.000Z' })

const fields = {
  id: z.uuid().meta({ description: 'Also the client_id for POST /v1/oauth/token' }),
  name: z.string(),
  role: z.enum(ROLES).meta({ id: 'Role' }),
  scopes: z.array(z.enum(SCOPES)).nullable().meta({ description: 'Null: everything its role may do' }),
  prefix: z.string().meta({ description: 'How the key begins, to recognise it', example: 'tk_1a2b3c4d' }),
  status: z.enum(['in_force', 'expired', 'revoked']),
  previous: z
    .object({ prefix: z.string(), worksUntil: instant })
    .nullable()
    .meta({ description: 'The secret before the last rotation, while it still works' }),
  createdBy: z.string().nullable().meta({ description: 'key:<id> or user:<id>; null: at the console' }),
  createdAt: instant,
  rotatedAt: instant.nullable(),
  expiresAt: instant.nullable(),
  lastUsedAt: instant.nullable().meta({ description: 'To the minute' }),
  revokedAt: instant.nullable(),
}

export const keyViewSchema = z.object(fields).meta({ id: 'ApiKey' })
export const keyWithSecretSchema = z
  .object({
    ...fields,
    key: z.string().meta({ description: 'Shown this once. Also the client_secret', example: 'tk_…' }),
  })
  .meta({ id: 'ApiKeyWithSecret' })
export const keyListSchema = z
  .object({
    items: z.array(keyViewSchema),
    nextCursor: z.string().nullable().meta({ description: 'Null on the last page' }),
  })
  .meta({ id: 'ApiKeyList' })

export type KeyView = z.infer<typeof keyViewSchema>
export type KeyWithSecret = z.infer<typeof keyWithSecretSchema>

/** A key's row as callers see it: nothing that a key could be made from. */
export function keyView(row: ApiKeyRow, now: Date): KeyView {
  const { previousPrefix, previousUntil } = row
  const expired = row.expiresAt !== null && row.expiresAt <= now
  const status = row.revokedAt ? 'revoked' : expired ? 'expired' : 'in_force'
  const overlaps = status === 'in_force' && previousUntil !== null && previousUntil > now
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    scopes: row.scopes,
    prefix: `tk_${row.prefix}`,
    status,
    previous: overlaps ? { prefix: `tk_${previousPrefix}`, worksUntil: previousUntil.toISOString() } : null,
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    rotatedAt: iso(row.rotatedAt),
    expiresAt: iso(row.expiresAt),
    lastUsedAt: iso(row.lastUsedAt),
    revokedAt: iso(row.revokedAt),
  }
}

function iso(at: Date | null): string | null {
  return at?.toISOString() ?? null
}
