import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FieldFault, ProblemCode } from '../problem.ts'
import { TookTooLong, withinTime } from '../time-limit.ts'
import { type JsonObject, schemaShapeFaults } from './judge-schema.ts'

/**
 * Says what is wrong with the custom fields of a meeting; empty for good ones.
 * @throws {TookTooLong}
 */
export type CheckCustomFields = (fields: JsonObject) => FieldFault[]

// Nobody else is answered meanwhile.
const COMPILE_LIMIT_MS = 1000
const CHECK_LIMIT_MS = 30
const MOST_TRIES = 5
const MOST_FAULTS = 50

let compiler: Ajv2020 | undefined

/**
 * Makes a check of a JSON Schema (draft 2020-12) that somebody sent: strictly read, without references to the outside,
 * bounded in size and in the time that compiling and checking take.
 * @returns the check, or what is wrong with the schema, and whether it was cut off
 */
export function compileSchema(
  schema: JsonObject,
): { check: CheckCustomFields } | { faults: FieldFault[]; cutOff: boolean } {
  const faults = schemaShapeFaults(schema)
  if (faults.length > 0) return { faults: faults.slice(0, MOST_FAULTS), cutOff: false }
  const ajv = openCompiler()
  let validate: ValidateFunction
  try {
    validate = withinTime(COMPILE_LIMIT_MS, () => ajv.compile(schema))
  } catch (error) {
    // What was cut off in the middle of its work is not used again.
    const cutOff = error instanceof TookTooLong
    if (cutOff) compiler = undefined
    return { faults: [{ path: 'schema', code: 'bad_schema', message: whyNot(error) }], cutOff }
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
  if (isValid(validate, fields)) return []
  const errors = validate.errors ?? []
  // The branches of a choice that did not fit say less than the choice itself.
  return errors.slice(0, MOST_FAULTS).map(faultOf)
}

function isValid(validate: ValidateFunction, fields: JsonObject): boolean {
  for (let tries = 1; ; tries++) {
    const before = process.threadCpuUsage()
    try {
      return withinTime(CHECK_LIMIT_MS, () => validate(fields))
    } catch (error) {
      // A schema may go in circles until the stack is full.
      if (error instanceof RangeError) throw new TookTooLong(error.message, { cause: error })
      if (!(error instanceof TookTooLong)) throw error
      const { user, system } = process.threadCpuUsage(before)
      // Where the process was not let run for most of that time, it says nothing about the schema.
      if ((user + system) / 1000 > CHECK_LIMIT_MS / 2 || tries >= MOST_TRIES) throw error
    }
  }
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
