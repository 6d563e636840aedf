import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FieldFault, ProblemCode } from '../problem.ts'
import { type JsonObject, schemaShapeFaults } from './judge-schema.ts'
import { TookTooLong, withinTime } from '../time-limit.ts'

/** Says what is wrong with the custom fields of a meeting; empty for good ones. */
export type CheckCustomFields = (fields: JsonObject) => FieldFault[]

const COMPILE_LIMIT_MS = 2000
const CHECK_LIMIT_MS = 250
const MOST_FAULTS = 50

let compiler: Ajv2020 | undefined

/**
 * Makes a check of a JSON Schema (draft 2020-12) that somebody sent: strictly read, without references to the outside,
 * bounded in size and in the time that compiling and checking take.
 * @returns the check, or what is wrong with the schema
 */
export function compileSchema(schema: JsonObject): { check: CheckCustomFields } | { faults: FieldFault[] } {
  const faults = schemaShapeFaults(schema)
  if (faults.length > 0) return { faults: faults.slice(0, MOST_FAULTS) }
  const ajv = openCompiler()
  let validate: ValidateFunction
  try {
    validate = withinTime(COMPILE_LIMIT_MS, () => ajv.compile(schema))
  } catch (error) {
    // What was cut off in the middle of its work is not used again.
    if (error instanceof TookTooLong) compiler = undefined
    return { faults: [{ path: 'schema', code: 'bad_schema', message: whyNot(error) }] }
  } finally {
    // It would keep every schema that anybody ever sent.
    ajv.removeSchema(schema)
  }
  return { check: fields => faultsOf(validate, fields) }
}

function openCompiler(): Ajv2020 {
  if (compiler) return compiler
  compiler = new Ajv2020({
    strict: true,
    allErrors: true,
    ownProperties: true,
    addUsedSchema: false,
    logger: false,
  })
  addFormats.default(compiler)
  return compiler
}

function whyNot(error: unknown): string {
  if (error instanceof TookTooLong) return 'takes too long to compile: make it simpler'
  // ajv throws plain errors, whose messages name the place.
  const words = error instanceof Error ? error.message : String(error)
  return `is not usable: ${words.slice(0, 500)}`
}

function faultsOf(validate: ValidateFunction, fields: JsonObject): FieldFault[] {
  try {
    if (withinTime(CHECK_LIMIT_MS, () => validate(fields))) return []
  } catch (error) {
    if (!(error instanceof TookTooLong) && !(error instanceof RangeError)) throw error
    return [
      {
        path: 'customFields',
        code: 'custom_fields_too_complex',
        message: "take too long to check against the organisation's schema",
      },
    ]
  }
  const errors = validate.errors ?? []
  // The branches of a choice that did not fit say less than the choice itself.
  return errors.slice(0, MOST_FAULTS).map(faultOf)
}

const CODES: Record<string, ProblemCode> = {
  required: 'missing_field',
  dependentRequired: 'missing_field',
  additionalProperties: 'unknown_field',
  unevaluatedProperties: 'unknown_field',
}

function faultOf({ keyword, instancePath, params, message = 'is not usable' }: ErrorObject): FieldFault {
  const code = CODES[keyword] ?? 'invalid_field'
  const named: unknown = params.missingProperty ?? params.additionalProperty ?? params.unevaluatedProperty
  const path = writePath(instancePath) + (typeof named === 'string' ? `.${named}` : '')
  if (code === 'missing_field') return { path, code, message: 'is missing' }
  if (code === 'unknown_field') return { path, code, message: "is not a field of the organisation's schema" }
  return { path, code, message: keyword === 'enum' ? choices(params.allowedValues) : message }
}

function choices(allowed: unknown): string {
  return `must be one of ${JSON.stringify(allowed).slice(1, -1).slice(0, 300)}`
}

/** `/a/0/b` as `customFields.a[0].b`. */
function writePath(pointer: string): string {
  const steps = pointer
    .split('/')
    .slice(1)
    .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return `customFields${steps.map(step => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`)).join('')}`
}
