import { eq, sql } from 'drizzle-orm'
import { noteAudit } from './audit-notes.ts'
import { fingerprint } from './changed-fields.ts'
import type { Queryable, Transaction } from './connect.ts'
import { customFieldSchemas } from './schema.ts'

export type CustomFieldSchemaRow = typeof customFieldSchemas.$inferSelect

/** The schema that an organisation's custom fields follow; undefined where any will do. */
export async function readCustomFieldSchema(
  db: Queryable,
  organizationId: string,
): Promise<CustomFieldSchemaRow | undefined> {
  const [row] = await db
    .select()
    .from(customFieldSchemas)
    .where(eq(customFieldSchemas.organizationId, organizationId))
  return row
}

/** Puts another schema into force, or none. Meetings that were made before are not looked at. */
export async function keepCustomFieldSchema(
  tx: Transaction,
  organizationId: string,
  schema: Record<string, unknown> | null,
  by: { actor: string; now: Date },
): Promise<CustomFieldSchemaRow | undefined> {
  const before = await readCustomFieldSchema(tx, organizationId)
  let after: CustomFieldSchemaRow | undefined
  if (schema) {
    const fields = { schema, updatedBy: by.actor, updatedAt: by.now }
    const written = await tx
      .insert(customFieldSchemas)
      .values({ organizationId, ...fields })
      .onConflictDoUpdate({
        target: customFieldSchemas.organizationId,
        set: { ...fields, version: sql`${customFieldSchemas.version} + 1` },
      })
      .returning()
    after = written[0]
  } else await tx.delete(customFieldSchemas).where(eq(customFieldSchemas.organizationId, organizationId))
  await noteAudit(tx, {
    organizationId,
    actor: by.actor,
    action: 'custom_fields.changed',
    subject: `organization:${organizationId}`,
    before: { schema: fingerprint(before?.schema), version: before?.version },
    after: { schema: fingerprint(after?.schema), version: after?.version },
  })
  return after
}
