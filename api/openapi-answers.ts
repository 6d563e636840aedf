import type { z } from 'zod'
import type { ZodOpenApiResponsesObject } from 'zod-openapi'
import { PROBLEMS, type ProblemCode } from './problem.ts'
import { problemSchema } from './views.schema.ts'

const ALWAYS: ProblemCode[] = [
  'bad_request',
  'missing_api_key',
  'wrong_api_key',
  'wrong_access_token',
  'forbidden',
  'scope_missing',
  'too_many_requests',
  'temporarily_unavailable',
  'internal_error',
]
const OURS: ProblemCode[] = ['temporarily_unavailable', 'internal_error']
const ALWAYS_FOR_EVERYBODY: ProblemCode[] = ['bad_request', ...OURS]

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
  return answersOf([...ALWAYS, ...own])
}

/** The same for an operation that everybody may ask for. */
export function publicRefusals(...own: ProblemCode[]): ZodOpenApiResponsesObject {
  return answersOf([...ALWAYS_FOR_EVERYBODY, ...own])
}

/** The refusals of an operation that takes nothing, so that nothing can be wrong with what comes. */
export function unhappyAnswers(): ZodOpenApiResponsesObject {
  return answersOf(OURS)
}

function answersOf(codes: ProblemCode[]): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy(codes, code => PROBLEMS[code][0])
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      `${status}`,
      {
        description: codes.map(code => `\`${code}\`: ${PROBLEMS[code][1]}`).join('. '),
        content: { 'application/problem+json': { schema: problemSchema, examples: examplesOf(codes) } },
      },
    ]),
  )
}

// One for each reason: what stands there is all that an answer's code may be.
function examplesOf(codes: ProblemCode[]) {
  return Object.fromEntries(codes.map(code => [code, { $ref: `#/components/examples/${code}` as const }]))
}
