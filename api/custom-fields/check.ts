import type { Queryable } from '../../db/connect.ts'
import { readCustomFieldSchema } from '../../db/custom-fields.ts'
import type { FieldFault } from '../problem.ts'
import { refusedBody } from '../read-input.ts'
import { type CheckCustomFields, compileSchema } from './compile-schema.ts'
import type { JsonObject } from './judge-schema.ts'

// The checks of the organisations that were used last. A change of a schema takes effect at once: the text is compared.
const MOST_KEPT = 200
const kept = new Map<string, { text: string; check: CheckCustomFields }>()

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
  return row ? checkOf(organizationId, row.schema)(fields ?? {}) : []
}

function checkOf(organizationId: string, schema: JsonObject): CheckCustomFields {
  const text = JSON.stringify(schema)
  const known = kept.get(organizationId)
  kept.delete(organizationId)
  if (known?.text === text) {
    kept.set(organizationId, known)
    return known.check
  }
  const compiled = compileSchema(schema)
  if ('faults' in compiled)
    throw new Error(
      `The schema of custom fields of ${organizationId} does not compile: ${compiled.faults[0]?.message}`,
    )
  kept.set(organizationId, { text, check: compiled.check })
  const [oldest] = kept.keys()
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
  return compiled.check
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
