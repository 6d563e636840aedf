import { type OpenApiDocument, operationsOf, type ParameterObject } from '../openapi-document.ts'
import { addRefusals } from '../openapi-refusals.ts'
import { type DocumentedId, permissionOf } from '../permissions.ts'

const KEY: ParameterObject = {
  in: 'header',
  name: 'Idempotency-Key',
  required: false,
  description:
    'Makes the request safe to repeat (draft-ietf-httpapi-idempotency-key-header-07): send the same key with the same request as often as you like, and it is done once. A repeat gets the first answer for 24 hours, refusals too; answers of 500 and more, and 429, are not kept, and a repeat goes on where the first request stopped. Choose a new one, such as a UUID, for each new request. Keys of other callers are not met',
  schema: {
    type: 'string',
    pattern: '^(?:[\\x21-\\x7e]{1,255}|"[\\x21-\\x7e]{1,255}")$',
    example: '8e03978e-40d5-43dd-bc93-6894a57f9324',
  },
}

const REPLAYED = {
  description: 'This is the answer to the first request with this key',
  schema: { type: 'string', const: 'true' },
}

/** Says at each operation that changes something how it may be repeated. */
export function withIdempotency(document: OpenApiDocument): OpenApiDocument {
  for (const { method, operation } of operationsOf(document)) {
    const isOpen = permissionOf(operation.operationId as DocumentedId).roles === 'everybody'
    if (method === 'GET' || isOpen) continue
    operation.parameters = [...(operation.parameters ?? []), structuredClone(KEY)]
    addRefusals(operation, ['bad_idempotency_key', 'idempotency_key_in_use', 'idempotency_key_reused'])
    for (const [status, response] of Object.entries(operation.responses))
      if (Number(status) < 300) response.headers = { ...response.headers, 'Idempotency-Replayed': REPLAYED }
    const inUse = operation.responses[409]
    if (inUse)
      inUse.headers = { ...inUse.headers, 'Retry-After': { $ref: '#/components/headers/Retry-After' } }
  }
  return document
}
