import { type HeaderObject, type OpenApiDocument, operationsOf } from '../openapi-document.ts'
import { addRefusals } from '../openapi-refusals.ts'
import { type OperationId, permissionOf } from '../permissions.ts'
import { VERSIONED } from './if-match.ts'

/** Operations that show a resource which has a version. */
const SHOWING: ReadonlySet<OperationId> = new Set<OperationId>([
  'createMeeting',
  'getMeeting',
  'getMeetingRetention',
  'getSeries',
  'getOrganization',
  'getCustomFields',
  'createWebhook',
  'getWebhook',
  'createUser',
  'getUser',
  'addParticipant',
  'getParticipant',
])

const TAG = '"[\\x21\\x23-\\x7e]*"'
const EXAMPLE = '"S0hM1T2n0dPdqBvRrZ9XyQwE"'

const ETAG: HeaderObject = {
  description:
    'The version of the resource, a strong tag: another one after every change that can be seen, whoever made it. For If-Match and If-None-Match, with its quotation marks',
  required: true,
  schema: { type: 'string', pattern: `^${TAG}$`, example: EXAMPLE },
}

const IF_MATCH = {
  in: 'header' as const,
  name: 'If-Match',
  required: false,
  description:
    'Change it only where it is still of this version: the ETag of an answer, or several with commas; *: of any version',
  schema: { type: 'string', pattern: `^(?:\\*|${TAG}(?:\\s*,\\s*${TAG})*)$`, example: EXAMPLE },
}

const IF_NONE_MATCH = {
  in: 'header' as const,
  name: 'If-None-Match',
  required: false,
  description: 'Send it only where it is of another version than this one: the ETag of an answer',
  schema: { type: 'string', example: EXAMPLE },
}

/** Says at each operation which versions it tells and asks for. */
export function withVersions(document: OpenApiDocument): OpenApiDocument {
  for (const { method, operation } of operationsOf(document)) {
    const id = operation.operationId as OperationId
    const changes = VERSIONED.has(id)
    const shows = SHOWING.has(id) || changes
    for (const status of shows ? [200, 201] : []) {
      const response = operation.responses[status]
      if (response) response.headers = { ...response.headers, ETag: ETAG }
    }
    if (method !== 'GET' && permissionOf(id).roles !== 'everybody') addRefusals(operation, ['bad_if_match'])
    if (changes) {
      operation.parameters = [...(operation.parameters ?? []), IF_MATCH]
      addRefusals(operation, ['version_changed'])
      const refused = operation.responses[412]
      if (refused) refused.headers = { ETag: { ...ETAG, description: 'The version there is now' } }
    }
    if (method === 'GET' && shows) {
      operation.parameters = [...(operation.parameters ?? []), IF_NONE_MATCH]
      operation.responses[304] = {
        description: 'It is of the version that If-None-Match names',
        headers: { ETag: ETAG },
      }
    }
  }
  return document
}
