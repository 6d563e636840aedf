import type { z } from 'zod'
import type { ZodOpenApiResponsesObject } from 'zod-openapi'
import { PROBLEMS, type ProblemCode } from './problem.ts'
import { problemSchema } from './views.schema.ts'

const ALWAYS: ProblemCode[] = [
  'missing_api_key',
  'wrong_api_key',
  'forbidden',
  'scope_missing',
  'temporarily_unavailable',
  'internal_error',
]

/** Refusals of whatever takes a body. */
export const OF_ANY_BODY: ProblemCode[] = [
  'malformed_json',
  'body_too_large',
  'unsupported_media_type',
  'invalid_request',
  'missing_field',
  'unknown_field',
  'invalid_field',
]

/** An answer in JSON, for the OpenAPI document. */
export function json<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { 'application/json': { schema } } }
}

/** What an operation refuses, beside what every one refuses, for the OpenAPI document. */
export function refusals(...own: ProblemCode[]): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy([...ALWAYS, ...own], code => PROBLEMS[code][0])
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      `${status}`,
      {
        description: codes.map(code => `\`${code}\`: ${PROBLEMS[code][1]}`).join('. '),
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    ]),
  )
}
