import type { z } from 'zod'
import { type FieldFault, Problem, type ProblemCode } from './problem.ts'

type Issue = z.core.$ZodIssue
const MOST_FAULTS = 50

/**
 * Reads a body.
 * @throws {Problem} 422, with every fault; its code is that of the fault when all are of one kind
 */
export function readBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body)
  if (!parsed.success) throw refusedBody(parsed.error.issues.flatMap(issue => faultsOf(issue, body)))
  return parsed.data
}

/** Reads a query. @throws {Problem} `invalid_query`, with every fault */
export function readQuery<Schema extends z.ZodType>(schema: Schema, query: unknown): z.output<Schema> {
  const parsed = schema.safeParse(query)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.flatMap(issue => faultsOf(issue, query)).slice(0, MOST_FAULTS)
  throw new Problem('invalid_query', sentence(errors), { errors })
}

/** The refusal of a body with these faults. */
export function refusedBody(faults: FieldFault[]): Problem {
  const codes = new Set(faults.map(fault => fault.code))
  const [only] = codes
  const errors = faults.slice(0, MOST_FAULTS)
  return new Problem(only && codes.size === 1 ? only : 'invalid_request', sentence(errors), { errors })
}

function sentence(errors: FieldFault[]): string {
  const [first] = errors
  if (!first) return 'The request is not usable.'
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more, see errors)` : ''
  return `${first.path ? `${first.path}: ` : ''}${first.message}${more}`
}

function faultsOf(issue: Issue, input: unknown): FieldFault[] {
  const path = writePath(issue.path)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(key => ({
      path: writePath([...issue.path, key]),
      code: 'unknown_field',
      message: 'is not a field of this request',
    }))
  if (issue.path.length > 0 && valueAt(input, issue.path) === undefined)
    return [{ path, code: 'missing_field', message: 'is missing' }]
  if (issue.path.length === 0 && issue.code === 'invalid_type')
    return [{ path, code: 'invalid_request', message: 'Send one JSON object.' }]
  return [{ path, code: codeOf(issue), message: issue.message }]
}

function codeOf(issue: Issue): ProblemCode {
  if (issue.code === 'custom') return (issue.params?.code as ProblemCode | undefined) ?? 'invalid_field'
  if (issue.code === 'invalid_format' && issue.format === 'email') return 'bad_email'
  if (issue.code === 'invalid_format' && issue.format === 'datetime') return 'bad_date_time'
  if (issue.code === 'too_big' && issue.path.length === 1 && issue.path[0] === 'participants')
    return 'too_many_participants'
  return issue.path.length === 0 ? 'invalid_request' : 'invalid_field'
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, step) => (at as Record<PropertyKey, unknown> | undefined)?.[step], input)
}

function writePath(path: readonly PropertyKey[]): string {
  return path
    .map(step => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '')
}
