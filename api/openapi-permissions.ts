import { ROLES, type Role, type Scope } from '../db/roles.ts'
import { type OpenApiDocument, operationsOf } from './openapi-document.ts'
import { type DocumentedId, permissionOf } from './permissions.ts'

/** Says at each operation who may use it and how they sign in, as the permission table has it. */
export function withPermissions(document: OpenApiDocument): OpenApiDocument {
  for (const { operation } of operationsOf(document)) {
    const { scope, roles } = permissionOf(operation.operationId as DocumentedId)
    const who =
      roles === 'everybody'
        ? 'everybody, without signing in'
        : ROLES.flatMap(role => wordsFor(role, roles[role])).join(', ')
    const words = `Who may: ${who}.${scope ? ` Scope: \`${scope}\`.` : ''}`
    Object.assign(operation, {
      description: operation.description ? `${operation.description}\n\n${words}` : words,
      ...(scope && { 'x-scope': scope }),
      ...(roles !== 'everybody' && { security: waysIn(scope ? [scope] : []) }),
    })
  }
  return document
}

const waysIn = (scopes: string[]) => [{ apiKey: [] }, { accessToken: [] }, { clientCredentials: scopes }]

const SCOPE_WORDS: Record<Scope, string> = {
  'meetings:read': 'See meetings, series and participants',
  'meetings:write': 'Make, change and cancel meetings',
  'recordings:read': 'See recordings and download them',
  'webhooks:manage': 'Manage webhooks',
  'keys:manage': 'Manage API keys',
  'users:manage': 'Manage users',
  'audit:read': 'Read the audit log',
  'organization:manage': 'Manage the settings, retention and erasure',
}

/** How callers sign in, for the OpenAPI document. */
export const SECURITY_SCHEMES = {
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, tk_…, made with POST /v1/keys or "npm run keys -- create"',
  },
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'The access token of a person, of POST /v1/auth/sign-in or /v1/auth/google',
  },
  clientCredentials: {
    type: 'oauth2',
    description:
      'A short-lived token for an API key. Its id is the client_id, the key itself is the client_secret',
    flows: {
      clientCredentials: {
        tokenUrl: '/v1/oauth/token',
        scopes: SCOPE_WORDS,
      },
    },
  },
  clientBasic: {
    type: 'http',
    scheme: 'basic',
    description: 'For POST /v1/oauth/token alone: the id of an API key, and the key',
  },
} as const

function wordsFor(role: Role, reach: 'all' | 'own' | undefined): string[] {
  if (!reach) return []
  return [reach === 'own' ? `${role} (own meetings only)` : role]
}
