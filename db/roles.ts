/** What somebody may be to an organisation. `api/permissions.ts` says what each of them may do. */
export const ROLES = ['admin', 'service', 'auditor', 'external'] as const
export type Role = (typeof ROLES)[number]

/** What a key can be limited to, beside its role. */
export const SCOPES = [
  'meetings:read',
  'meetings:write',
  'recordings:read',
  'webhooks:manage',
  'keys:manage',
  'users:manage',
  'organization:manage',
] as const
export type Scope = (typeof SCOPES)[number]
