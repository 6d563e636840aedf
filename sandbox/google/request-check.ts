import type { Method, Parameter } from './discovery.ts'
import { GoogleError } from './errors.ts'
import { checkValue, scalarProblem } from './schema-check.ts'

export type ParameterValue = string | number | boolean | string[]

/**
 * Reads the query of a request by the method's description: unknown names, missing required ones, wrong types and
 * values out of range are refused with 400 in Google's words. Path parameters are added as they are.
 */
export function readParameters(
  method: Method,
  query: URLSearchParams,
  path: Record<string, string>,
): Record<string, ParameterValue> {
  const values: Record<string, ParameterValue> = { ...path }
  for (const name of new Set(query.keys())) {
    const parameter = method.parameters[name]
    if (parameter?.location !== 'query') {
      throw new GoogleError(
        400,
        `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter. Field '${name}' could not be found in request message.`,
        { reason: 'badRequest', location: { type: 'parameter', name } },
      )
    }
    const given = query.getAll(name)
    values[name] = parameter.repeated ? given : readScalar(parameter, name, given.at(-1) ?? '')
  }
  for (const [name, parameter] of Object.entries(method.parameters)) {
    if (parameter.required && values[name] === undefined)
      throw new GoogleError(400, `Required parameter: ${name}`, {
        reason: 'required',
        location: { type: 'parameter', name },
      })
  }
  return values
}

function readScalar(parameter: Parameter, name: string, text: string): string | number | boolean {
  const location = { type: 'parameter' as const, name }
  let value: string | number | boolean = text
  if (parameter.type === 'integer') value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (parameter.type === 'boolean') value = text === 'true'
  const problem =
    Number.isNaN(value) || (parameter.type === 'boolean' && text !== 'true' && text !== 'false')
      ? `Invalid value '${text}' for ${name}: expected ${parameter.type}`
      : scalarProblem(parameter, value, 'request')
  if (problem) throw new GoogleError(400, problem, { reason: 'invalidParameter', location })
  return value
}

/** Refuses a body that the method's schema does not allow, with 400 in Google's words. */
export function checkBody(method: Method, body: Record<string, unknown>): void {
  if (!method.request) {
    if (Object.keys(body).length > 0)
      throw new GoogleError(400, `${method.id} takes no request body`, { reason: 'badRequest' })
    return
  }
  const problem = checkValue(method.api, method.request, body, 'request')[0]
  if (problem) {
    const at = problem.kind === 'unknown' ? '' : ` at '${problem.path}'`
    throw new GoogleError(400, `Invalid JSON payload received. ${problem.message}${at}`, {
      reason: problem.kind === 'unknown' ? 'badRequest' : 'invalid',
    })
  }
  const schema = method.request.$ref ? method.api.schemas[method.request.$ref] : method.request
  for (const [name, property] of Object.entries(schema?.properties ?? {})) {
    if (property.annotations?.required?.includes(method.id) && (body[name] ?? undefined) === undefined)
      throw new GoogleError(400, `Missing ${name}${name === 'start' || name === 'end' ? ' time' : ''}.`, {
        reason: 'required',
      })
  }
}

/** Throws when an answer of the sandbox is not what Google's schema promises: a defect of the sandbox itself. */
export function checkAnswer(method: Method, answer: unknown): void {
  if (!method.response) return
  const problems = checkValue(method.api, method.response, answer, 'answer')
  if (problems.length > 0) {
    const list = problems.map(problem => `${problem.path}: ${problem.message}`).join('; ')
    throw new Error(`The sandbox's answer to ${method.id} breaks Google's schema: ${list}`)
  }
}
