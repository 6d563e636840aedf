import { ROLES, type Role, SCOPES, type Scope } from '../db/roles.ts'

/**
 * Who may do what: the one table. The middleware asks it, and no request to /v1 gets past that unless its route stands
 * here; the OpenAPI document and /docs print it.
 */

/**
 * `all`: everything of the organisation. `own`: meetings that it made or is invited to by e-mail, and changes only to
 * those that it made.
 */
type Reach = 'all' | 'own'

interface Permission {
  /** As in the OpenAPI document. */
  route: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`
  /** What a caller limited to scopes needs; null: nothing. */
  scope: Scope | null
  /** Who is not named may not. `everybody`: without signing in. */
  roles: Partial<Record<Role, Reach>> | 'everybody'
}

const ADMIN = { admin: 'all' } as const
const EVERY_ROLE = { admin: 'all', service: 'all', auditor: 'all', external: 'all' } as const
const WHO_MAKES = { admin: 'all', service: 'all', external: 'own' } as const
const WHO_AUDITS = { admin: 'all', auditor: 'all' } as const
const WHO_READS = { admin: 'all', service: 'all', auditor: 'all', external: 'own' } as const

/** By operation id. */
export const PERMISSIONS = {
  createMeeting: { route: 'POST /v1/meetings', scope: 'meetings:write', roles: WHO_MAKES },
  listMeetings: { route: 'GET /v1/meetings', scope: 'meetings:read', roles: WHO_READS },
  getMeeting: { route: 'GET /v1/meetings/{id}', scope: 'meetings:read', roles: WHO_READS },
  changeMeeting: { route: 'PATCH /v1/meetings/{id}', scope: 'meetings:write', roles: WHO_MAKES },
  cancelMeeting: { route: 'DELETE /v1/meetings/{id}', scope: 'meetings:write', roles: WHO_MAKES },
  getParticipants: {
    route: 'GET /v1/meetings/{id}/participants',
    scope: 'meetings:read',
    roles: WHO_READS,
  },
  addParticipant: {
    route: 'POST /v1/meetings/{id}/participants',
    scope: 'meetings:write',
    roles: WHO_MAKES,
  },
  getParticipant: {
    route: 'GET /v1/meetings/{id}/participants/{participantId}',
    scope: 'meetings:read',
    roles: WHO_READS,
  },
  changeParticipant: {
    route: 'PATCH /v1/meetings/{id}/participants/{participantId}',
    scope: 'meetings:write',
    roles: WHO_MAKES,
  },
  removeParticipant: {
    route: 'DELETE /v1/meetings/{id}/participants/{participantId}',
    scope: 'meetings:write',
    roles: WHO_MAKES,
  },
  exportMeeting: { route: 'GET /v1/meetings/{id}/ics', scope: 'meetings:read', roles: WHO_READS },
  exportMeetings: { route: 'GET /v1/meetings/ics', scope: 'meetings:read', roles: WHO_READS },
  importMeetings: { route: 'POST /v1/meetings/import', scope: 'meetings:write', roles: WHO_MAKES },
  getRecording: { route: 'GET /v1/meetings/{id}/recording', scope: 'recordings:read', roles: WHO_READS },
  findSeries: { route: 'GET /v1/series', scope: 'meetings:read', roles: WHO_READS },
  exportSeries: { route: 'GET /v1/series/{id}/ics', scope: 'meetings:read', roles: WHO_READS },
  getSeries: { route: 'GET /v1/series/{id}', scope: 'meetings:read', roles: WHO_READS },
  getCustomFields: {
    route: 'GET /v1/organization/custom-fields',
    scope: 'meetings:read',
    roles: EVERY_ROLE,
  },
  setCustomFields: {
    route: 'PUT /v1/organization/custom-fields',
    scope: 'organization:manage',
    roles: ADMIN,
  },
  createWebhook: { route: 'POST /v1/webhooks', scope: 'webhooks:manage', roles: ADMIN },
  listWebhooks: { route: 'GET /v1/webhooks', scope: 'webhooks:manage', roles: ADMIN },
  getWebhook: { route: 'GET /v1/webhooks/{id}', scope: 'webhooks:manage', roles: ADMIN },
  changeWebhook: { route: 'PATCH /v1/webhooks/{id}', scope: 'webhooks:manage', roles: ADMIN },
  deleteWebhook: { route: 'DELETE /v1/webhooks/{id}', scope: 'webhooks:manage', roles: ADMIN },
  rotateWebhookSecret: {
    route: 'POST /v1/webhooks/{id}/rotate-secret',
    scope: 'webhooks:manage',
    roles: ADMIN,
  },
  testWebhook: { route: 'POST /v1/webhooks/{id}/test', scope: 'webhooks:manage', roles: ADMIN },
  listWebhookDeliveries: {
    route: 'GET /v1/webhooks/{id}/deliveries',
    scope: 'webhooks:manage',
    roles: ADMIN,
  },
  redeliverWebhook: {
    route: 'POST /v1/webhooks/{id}/deliveries/{deliveryId}/redeliver',
    scope: 'webhooks:manage',
    roles: ADMIN,
  },
  createKey: { route: 'POST /v1/keys', scope: 'keys:manage', roles: ADMIN },
  listKeys: { route: 'GET /v1/keys', scope: 'keys:manage', roles: ADMIN },
  getKey: { route: 'GET /v1/keys/{id}', scope: 'keys:manage', roles: ADMIN },
  revokeKey: { route: 'DELETE /v1/keys/{id}', scope: 'keys:manage', roles: ADMIN },
  rotateKey: { route: 'POST /v1/keys/{id}/rotate', scope: 'keys:manage', roles: ADMIN },
  createUser: { route: 'POST /v1/users', scope: 'users:manage', roles: ADMIN },
  listUsers: { route: 'GET /v1/users', scope: 'users:manage', roles: ADMIN },
  getUser: { route: 'GET /v1/users/{id}', scope: 'users:manage', roles: ADMIN },
  changeUser: { route: 'PATCH /v1/users/{id}', scope: 'users:manage', roles: ADMIN },
  createPasswordLink: { route: 'POST /v1/users/{id}/password-link', scope: 'users:manage', roles: ADMIN },
  endUserSessions: { route: 'DELETE /v1/users/{id}/sessions', scope: 'users:manage', roles: ADMIN },
  listAudit: { route: 'GET /v1/audit', scope: 'audit:read', roles: WHO_AUDITS },
  exportAudit: { route: 'GET /v1/audit/export', scope: 'audit:read', roles: WHO_AUDITS },
  getOrganization: { route: 'GET /v1/organization', scope: 'organization:manage', roles: ADMIN },
  changeOrganization: { route: 'PATCH /v1/organization', scope: 'organization:manage', roles: ADMIN },
  previewRetention: { route: 'GET /v1/retention', scope: 'organization:manage', roles: ADMIN },
  getMeetingRetention: {
    route: 'GET /v1/meetings/{id}/retention',
    scope: 'organization:manage',
    roles: ADMIN,
  },
  changeMeetingRetention: {
    route: 'PATCH /v1/meetings/{id}/retention',
    scope: 'organization:manage',
    roles: ADMIN,
  },
  erasePerson: { route: 'POST /v1/erasures', scope: 'organization:manage', roles: ADMIN },
  getMe: { route: 'GET /v1/me', scope: null, roles: EVERY_ROLE },
  changeOwnPassword: { route: 'POST /v1/me/password', scope: null, roles: EVERY_ROLE },
  endOwnSessions: { route: 'DELETE /v1/me/sessions', scope: null, roles: EVERY_ROLE },
  signIn: { route: 'POST /v1/auth/sign-in', scope: null, roles: 'everybody' },
  refreshSession: { route: 'POST /v1/auth/refresh', scope: null, roles: 'everybody' },
  signOut: { route: 'POST /v1/auth/sign-out', scope: null, roles: 'everybody' },
  setPassword: { route: 'POST /v1/auth/password', scope: null, roles: 'everybody' },
  startGoogleSignIn: { route: 'GET /v1/auth/google', scope: null, roles: 'everybody' },
  finishGoogleSignIn: { route: 'GET /v1/auth/google/callback', scope: null, roles: 'everybody' },
  takeCalendarPush: { route: 'POST /v1/hooks/google/calendar', scope: null, roles: 'everybody' },
  takeWorkspaceEvent: {
    route: 'POST /v1/hooks/google/workspace-events',
    scope: null,
    roles: 'everybody',
  },
  createToken: { route: 'POST /v1/oauth/token', scope: null, roles: 'everybody' },
} as const satisfies Record<string, Permission>

export type OperationId = keyof typeof PERMISSIONS

const FOR_EVERYBODY = { scope: null, roles: 'everybody' } as const

/** The operations of the OpenAPI document that are not below `/v1`: no caller is looked for there. */
export const OUTSIDE_V1 = {
  getSigningKeys: { route: 'GET /.well-known/jwks.json', ...FOR_EVERYBODY },
  getHealth: { route: 'GET /healthz', ...FOR_EVERYBODY },
  getReadiness: { route: 'GET /readyz', ...FOR_EVERYBODY },
} as const satisfies Record<string, Permission>

/** Every operation of the OpenAPI document. */
export type DocumentedId = OperationId | keyof typeof OUTSIDE_V1

const DOCUMENTED: Record<DocumentedId, Permission> = { ...PERMISSIONS, ...OUTSIDE_V1 }

/** What the table says of an operation. */
export function permissionOf(operation: DocumentedId): Permission {
  return DOCUMENTED[operation]
}

/** How far a role reaches with an operation; undefined: it may not. */
export function reachOf(operation: DocumentedId, role: Role): Reach | undefined {
  const { roles } = permissionOf(operation)
  return roles === 'everybody' ? 'all' : roles[role]
}

/** Every scope that is of use to a role. */
export function scopesOf(role: Role): ReadonlySet<Scope> {
  const operations = Object.keys(PERMISSIONS) as OperationId[]
  const used = operations.filter(operation => reachOf(operation, role)).map(one => PERMISSIONS[one].scope)
  return new Set(SCOPES.filter(scope => (used as (Scope | null)[]).includes(scope)))
}

interface RouteLine {
  operation: OperationId
  method: string
  segments: string[]
}

const LINES: RouteLine[] = (Object.keys(PERMISSIONS) as OperationId[]).map(operation => {
  const [method = '', path = ''] = PERMISSIONS[operation].route.split(' ')
  return { operation, method, segments: path.split('/').slice(1) }
})

/**
 * Which operation a request asks for; or which methods its address knows, where the method is another one: none for an
 * address that is not there.
 * @param path undecoded, from `/v1` on
 */
export function operationAt(
  method: string,
  path: string,
): { operation: OperationId } | { methods: string[] } {
  const segments = path.replace(/\/$/, '').split('/').slice(1)
  const there = LINES.filter(line => isAt(line.segments, segments))
  // Where an address is both a name and somebody's id, the name is meant.
  const most = Math.max(...there.map(line => literals(line.segments)))
  const meant = there.filter(line => literals(line.segments) === most)
  const wanted = method === 'HEAD' ? 'GET' : method
  const found = meant.find(line => line.method === wanted)
  return found ? { operation: found.operation } : { methods: meant.map(line => line.method).sort() }
}

const isParameter = (segment: string) => segment.startsWith('{')
const literals = (segments: string[]) => segments.filter(segment => !isParameter(segment)).length

function isAt(route: string[], segments: string[]): boolean {
  return (
    route.length === segments.length &&
    route.every((part, at) =>
      isParameter(part) ? segments[at] !== '' : part === segments[at]?.toLowerCase(),
    )
  )
}

/** The table for people, in Markdown. */
export function permissionTable(): string {
  const words = { all: 'yes', own: 'own' }
  const rows = (Object.keys(PERMISSIONS) as OperationId[]).map(operation => {
    const { route, scope, roles } = permissionOf(operation)
    const cells = ROLES.map(role =>
      roles === 'everybody' ? 'everybody' : words[roles[role] as Reach] || '–',
    )
    return `| \`${route}\` | ${scope ? `\`${scope}\`` : ''} | ${cells.join(' | ')} |`
  })
  return [
    `| route | scope | ${ROLES.join(' | ')} |`,
    `| --- | --- | ${ROLES.map(() => '---').join(' | ')} |`,
    ...rows,
  ].join('\n')
}
