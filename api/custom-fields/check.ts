import type { Queryable } from '../../db/connect.ts'
import { readCustomFieldSchema } from '../../db/custom-fields.ts'
import type { FieldFault } from '../problem.ts'
import { refusedBody } from '../read-input.ts'
import { TookTooLong } from '../time-limit.ts'
import { type CheckCustomFields, compileSchema } from './compile-schema.ts'
import type { JsonObject } from './judge-schema.ts'
import { slowSchemas } from './slow-schemas.ts'

// The checks of the organisations that were used last. A change of a schema takes effect at once: the text is compared.
const MOST_KEPT = 200
interface Kept {
  text: string
  check: CheckCustomFields
  /** What is wrong with no fields at all, which most meetings have; undefined until the first of them. */
  ofNone?: FieldFault[]
}
const kept = new Map<string, Kept>()

/**
 * What is wrong with the custom fields of a meeting by the organisation's schema. No fields at all count as none of
 * them: a schema that requires one refuses that too.
 * @throws {Error} when a schema that was accepted does not compile any more
 */
async function customFieldFaults(
  db: Queryable,
  organizationId: string,
  fields: JsonObject | null,
): Promise<FieldFault[]> {
  const row = await readCustomFieldSchema(db, organizationId)
  if (!row) return []
  const text = JSON.stringify(row.schema)
  const given = fields ?? {}
  const isNone = Object.keys(given).length === 0
  const known = kept.get(organizationId)
  if (isNone && known?.ofNone && known.text === text) return known.ofNone
  if (slowSchemas.isTooOften(organizationId, performance.now()))
    return tooComplex('took too long to check several times: change the schema, or wait a minute')
  try {
    const found = keptOf(organizationId, text, row.schema)
    const faults = found.check(given)
    if (isNone) found.ofNone = faults
    return faults
  } catch (error) {
    if (!(error instanceof TookTooLong)) throw error
    slowSchemas.note(organizationId, performance.now())
    return tooComplex("take too long to check against the organisation's schema")
  }
}

function tooComplex(message: string): FieldFault[] {
  return [{ path: 'customFields', code: 'custom_fields_too_complex', message }]
}

function keptOf(organizationId: string, text: string, schema: JsonObject): Kept {
  const known = kept.get(organizationId)
  kept.delete(organizationId)
  if (known?.text === text) {
    kept.set(organizationId, known)
    return known
  }
  const compiled = compileSchema(schema)
  if ('faults' in compiled && compiled.cutOff) throw new TookTooLong('the schema was not compiled in time')
  if ('faults' in compiled)
    throw new Error(
      `The schema of custom fields of ${organizationId} does not compile: ${compiled.faults[0]?.message}`,
    )
  const made: Kept = { text, check: compiled.check }
  kept.set(organizationId, made)
  const [oldest] = kept.keys()
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
  return made
}

/** @throws {Problem} those of {@link customFieldFaults} */
export async function refuseBadCustomFields(
  tx: Queryable,
  organizationId: string,
  customFields: Record<string, unknown> | null,
): Promise<void> {
  const faults = await customFieldFaults(tx, organizationId, customFields)
  if (faults.length > 0) throw refusedBody(faults)
}
