import { type OpenApiDocument, type OperationObject, operationsOf } from './openapi-document.ts'
import { PROBLEMS, type ProblemCode } from './problem.ts'

/** Adds refusals to those that an operation of the document names already. */
export function addRefusals({ responses }: OperationObject, codes: readonly ProblemCode[]): void {
  for (const code of codes) {
    const [status, title] = PROBLEMS[code]
    const words = `\`${code}\`: ${title}`
    const response = responses[status]
    const description = response ? `${response.description}. ${words}` : words
    const before = response?.content?.['application/problem+json']
    const media = {
      schema: { $ref: '#/components/schemas/Problem' },
      ...before,
      examples: { ...before?.examples, [code]: { $ref: `#/components/examples/${code}` } },
    }
    const content = { ...response?.content, 'application/problem+json': media }
    responses[status] = { ...response, description, content }
  }
}

/** Names, at operations that take no body, what is refused of one that comes all the same. */
export function withBodyRefusals(document: OpenApiDocument): OpenApiDocument {
  for (const { method, operation } of operationsOf(document))
    if (
      ['POST', 'PUT', 'PATCH'].includes(method) &&
      !operation.requestBody &&
      operation.security?.length !== 0
    ) {
      addRefusals(operation, ['malformed_json', 'body_too_large', 'unsupported_media_type'])
      // With a key it is compared with that of the repeat, whatever it is, and so has to be within measure.
      if (operation.parameters?.some(({ name }) => name === 'Idempotency-Key'))
        addRefusals(operation, ['invalid_request'])
    }
  return document
}
