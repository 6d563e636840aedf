import type { HeaderObject, OpenApiDocument, OperationObject, ResponseObject } from './openapi-document.ts'
import { operationsOf } from './openapi-document.ts'

/** Headers that many answers carry. */
const HEADERS = {
  'X-Request-Id': {
    description:
      'Names this request in the log and the audit log: the X-Request-Id that was sent, where it is 1 to 64 letters, digits and ._-, or a new one',
    required: true,
    schema: { type: 'string', pattern: '^[\\w.-]{1,64}$', example: '7d9c2a54-6a0e-4f57-9a41-0f4f8f1f1d11' },
  },
  'Cache-Control': {
    description: 'Nothing of it is to be kept by caches',
    required: true,
    schema: { type: 'string', const: 'no-store' },
  },
  RateLimit: {
    description:
      'How many requests are left in this minute, and in how many seconds the next one begins (draft-ietf-httpapi-ratelimit-headers-08). Absent where no limit is set',
    schema: { type: 'string', example: '"caller"; r=598; t=41' },
  },
  'RateLimit-Policy': {
    description: 'The limit, and its window in seconds. Absent where no limit is set',
    schema: { type: 'string', example: '"caller"; q=600; w=60' },
  },
  'Retry-After': {
    description: 'Ask again after so many seconds',
    schema: { type: 'string', pattern: '^\\d+$', example: '30' },
  },
  'WWW-Authenticate': {
    description: 'How to sign in, and what was wrong with how it was tried (RFC 6750)',
    schema: { type: 'string', example: 'Bearer realm="testigo", error="invalid_token"' },
  },
  'Set-Cookie': {
    description:
      'The cookie that ties the browser that comes back from Google to the one that was sent there',
    schema: {
      type: 'string',
      pattern: '^testigo_google_sign_in=',
      example: 'testigo_google_sign_in=9f2c; HttpOnly',
    },
  },
  'Idempotency-Replayed': {
    description: 'This is the answer to the first request with this Idempotency-Key',
    schema: { type: 'string', const: 'true' },
  },
} satisfies Record<string, HeaderObject>

type HeaderName = keyof typeof HEADERS

const OF_OPERATION: Record<string, HeaderName[]> = {
  startGoogleSignIn: ['Set-Cookie'],
  finishGoogleSignIn: ['Set-Cookie'],
}
const OF_STATUS: Record<string, HeaderName[]> = {
  401: ['WWW-Authenticate'],
  403: ['WWW-Authenticate'],
  429: ['Retry-After'],
  502: ['Retry-After'],
  503: ['Retry-After'],
}

/** Puts the headers that many answers carry at each answer of each operation. */
export function withHeaders(document: OpenApiDocument): OpenApiDocument {
  document.components.headers = HEADERS
  for (const { operation } of operationsOf(document))
    for (const [status, response] of Object.entries(operation.responses))
      addHeaders(response, namesFor(operation, status))
  return document
}

function namesFor(operation: OperationObject, status: string): HeaderName[] {
  const mayRepeat = operation.parameters?.some(({ name }) => name === 'Idempotency-Key')
  const limited = operation.responses['429'] !== undefined
  return [
    'X-Request-Id',
    'Cache-Control',
    ...(limited ? (['RateLimit', 'RateLimit-Policy'] as const) : []),
    ...(mayRepeat && Number(status) < 500 ? (['Idempotency-Replayed'] as const) : []),
    ...(OF_OPERATION[operation.operationId] ?? []),
    ...(OF_STATUS[status] ?? []),
  ]
}

function addHeaders(response: ResponseObject, names: HeaderName[]): void {
  const shared = names.map(name => [name, { $ref: `#/components/headers/${name}` }])
  response.headers = { ...Object.fromEntries(shared), ...response.headers }
}
