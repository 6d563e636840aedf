import type { Api, Schema } from './discovery.ts'

export interface Problem {
  kind: 'unknown' | 'type' | 'value'
  /** Where in the value, e.g. `attendees[0].email`. */
  path: string
  message: string
}

const formats: Record<string, RegExp> = {
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  // Google takes a time without an offset where a time zone is given beside it; Calendar checks that itself.
  'local-date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/,
  'google-datetime': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
  date: /^\d{4}-\d\d-\d\d$/,
  int64: /^-?\d+$/,
  'google-duration': /^-?\d+(\.\d+)?s$/,
}

/**
 * Compares a JSON value with a schema of Google's discovery documents and names every difference: unknown fields,
 * wrong types, values outside enum, format, pattern or range. In requests `null` stands for "not set" and a whole
 * number may stand for an int64; answers get no such room.
 */
export function checkValue(api: Api, schema: Schema, value: unknown, side: 'request' | 'answer'): Problem[] {
  const problems: Problem[] = []
  walk(api, schema, value, '', side, problems)
  return problems
}

function walk(
  api: Api,
  given: Schema,
  value: unknown,
  path: string,
  side: 'request' | 'answer',
  problems: Problem[],
): void {
  if (value === null && side === 'request') return
  const schema = given.$ref ? api.schemas[given.$ref] : given
  if (!schema) throw new Error(`The discovery document has no schema ${given.$ref}`)
  const type = schema.type ?? (schema.properties ? 'object' : 'any')
  if (type === 'any') return
  if (!hasType(type, schema.format, value, side)) {
    problems.push({
      kind: 'type',
      path,
      message: `expected ${type}, got ${JSON.stringify(value)?.slice(0, 80)}`,
    })
    return
  }
  if (Array.isArray(value)) {
    value.forEach((item, at) => {
      walk(api, schema.items ?? {}, item, `${path}[${at}]`, side, problems)
    })
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, field] of Object.entries(value)) {
      const inner = schema.properties?.[key] ?? schema.additionalProperties
      const at = path ? `${path}.${key}` : key
      if (inner) walk(api, inner, field, at, side, problems)
      else problems.push({ kind: 'unknown', path: at, message: `Unknown name "${key}": Cannot find field.` })
    }
  } else {
    const wrong = scalarProblem(schema, value as string | number | boolean, side, path)
    if (wrong) problems.push({ kind: 'value', path, message: wrong })
  }
}

function hasType(type: string, format: string | undefined, value: unknown, side: string): boolean {
  switch (type) {
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'number':
      return typeof value === 'number'
    case 'string':
      return (
        typeof value === 'string' || (side === 'request' && format === 'int64' && Number.isSafeInteger(value))
      )
    default:
      return typeof value === type
  }
}

/** What is wrong with a value of the right type; `undefined` when nothing is. */
export function scalarProblem(
  schema: Schema,
  value: string | number | boolean,
  side: 'request' | 'answer',
  path = '',
): string | undefined {
  if (schema.enum && !schema.enum.includes(String(value)))
    return `Invalid value '${value}'. Values must be one of: [${schema.enum.join(', ')}]`
  if (schema.minimum !== undefined && Number(value) < Number(schema.minimum))
    return `Invalid value '${value}'. Values must be at least ${schema.minimum}`
  if (schema.maximum !== undefined && Number(value) > Number(schema.maximum))
    return `Invalid value '${value}'. Values must be at most ${schema.maximum}`
  const local = side === 'request' && /(^|\.)(start|end|originalStartTime)\.dateTime$/.test(path)
  const format = formats[local ? 'local-date-time' : (schema.format ?? '')]
  if (format && !format.test(String(value))) return `Invalid value for ${schema.format}: ${value}`
  if (schema.pattern && !new RegExp(schema.pattern).test(String(value)))
    return `Invalid value '${value}'. It must match ${schema.pattern}`
  return undefined
}
