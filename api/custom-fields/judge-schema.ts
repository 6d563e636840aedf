import type { FieldFault } from '../problem.ts'

/** What is refused of a schema before anybody compiles it. */

const LARGEST_SCHEMA_BYTES = 32_768
const MOST_VALUES = 2000
const DEEPEST = 24
const DRAFT = 'https://json-schema.org/draft/2020-12/schema'
// They make a schema depend on others, or on its place, or answer later.
const FORBIDDEN = [
  '$id',
  '$anchor',
  '$dynamicRef',
  '$dynamicAnchor',
  '$recursiveRef',
  '$vocabulary',
  '$async',
  '__proto__',
]

export type JsonObject = Record<string, unknown>

/** What is wrong with the shape of a JSON Schema, whatever it means; empty for one that may be compiled. */
export function schemaShapeFaults(schema: JsonObject): FieldFault[] {
  const fault = (message: string, path = 'schema'): FieldFault => ({ path, code: 'bad_schema', message })
  if (Buffer.byteLength(JSON.stringify(schema)) > LARGEST_SCHEMA_BYTES)
    return [fault(`must be at most ${LARGEST_SCHEMA_BYTES} bytes of JSON`)]
  const faults: FieldFault[] = []
  if (schema.type !== 'object') faults.push(fault('must be "object": custom fields are one', 'schema.type'))
  if (schema.$schema !== undefined && schema.$schema !== DRAFT)
    faults.push(fault(`must be ${DRAFT}, or left away`, 'schema.$schema'))
  let values = 0
  const walk = (value: unknown, path: string, depth: number): void => {
    values++
    if (typeof value !== 'object' || value === null || values > MOST_VALUES) return
    if (depth > DEEPEST) {
      faults.push(fault(`is more than ${DEEPEST} levels deep`, path))
      return
    }
    for (const [key, inner] of Object.entries(value)) {
      const at = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`
      if (FORBIDDEN.includes(key) && !Array.isArray(value)) faults.push(fault('is not supported', at))
      else if (key === '$ref' && typeof inner === 'string' && !/^#(\/|$)/.test(inner))
        faults.push(fault('must refer to a place in this schema, such as #/$defs/city', at))
      walk(inner, at, depth + 1)
    }
  }
  walk(schema, 'schema', 0)
  if (values > MOST_VALUES) faults.push(fault(`holds more than ${MOST_VALUES} values`))
  return faults
}
