import type { OperationObject } from './openapi-document.ts'
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
