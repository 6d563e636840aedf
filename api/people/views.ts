import { z } from 'zod'
import { ROLES, SCOPES } from '../../db/roles.ts'
import type { UserRow } from '../../db/users.ts'
import type { Caller } from '../caller.ts'

/** What callers get to see of people. Instants are UTC. */

const instant = z.iso.datetime().meta({ example: '2026-11-23T15:00:00.000Z' })

export const userViewSchema = z
  .object({
    id: z.uuid(),
    organizationId: z.uuid(),
    email: z.string(),
    name: z.string().nullable(),
    role: z.enum(ROLES),
    status: z.enum(['enabled', 'disabled']),
    hasPassword: z.boolean().meta({ description: 'False until they have set one by a one-time link' }),
    usesGoogle: z.boolean().meta({ description: 'They have signed in with Google' }),
    lastSignInAt: instant.nullable(),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'User' })
export const userListSchema = z
  .object({
    items: z.array(userViewSchema),
    nextCursor: z.string().nullable().meta({ description: 'Null on the last page' }),
  })
  .meta({ id: 'UserList' })
export const passwordLinkSchema = z
  .object({
    token: z.string().meta({ description: 'Shown this once; works once', example: 'tp_…' }),
    expiresAt: instant,
  })
  .meta({ id: 'PasswordLink' })
export const signedInSchema = z
  .object({
    accessToken: z.string().meta({ description: 'Send it as "Authorization: Bearer …"' }),
    expiresInSeconds: z.int(),
    refreshToken: z
      .string()
      .meta({ description: 'Works once: its answer holds the next one', example: 'tr_…' }),
    refreshTokenExpiresAt: instant,
    user: userViewSchema,
  })
  .meta({ id: 'SignedIn' })
export const meSchema = z
  .object({
    kind: z.enum(['api_key', 'client', 'user']),
    id: z.string().meta({ description: 'key:<id> or user:<id>' }),
    organizationId: z.uuid(),
    role: z.enum(ROLES),
    scopes: z.array(z.enum(SCOPES)),
    email: z.string().nullable(),
  })
  .meta({ id: 'Me' })

export type UserView = z.infer<typeof userViewSchema>
export type SignedIn = z.infer<typeof signedInSchema>

/** A user's row as callers see it: nothing of the password. */
export function userView(row: UserRow): UserView {
  return {
    id: row.id,
    organizationId: row.organizationId,
    email: row.email,
    name: row.name,
    role: row.role,
    status: row.disabledAt ? 'disabled' : 'enabled',
    hasPassword: row.passwordHash !== null,
    usesGoogle: row.googleSubject !== null,
    lastSignInAt: row.lastSignInAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

/** A caller as it sees itself. */
export function meView({
  kind,
  principal,
  organizationId,
  role,
  scopes,
  email,
}: Caller): z.infer<typeof meSchema> {
  return { kind, id: principal, organizationId, role, scopes: [...scopes], email }
}
