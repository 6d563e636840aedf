import { Router } from 'express'
import type { z } from 'zod'
import type { Clock } from '../../clock.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import { fingerprint } from '../../db/changed-fields.ts'
import {
  type CustomFieldSchemaRow,
  keepCustomFieldSchema,
  readCustomFieldSchema,
} from '../../db/custom-fields.ts'
import { lockOrganization } from '../../db/organization-settings.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, callerOf } from '../caller.ts'
import { readBody, refusedBody } from '../read-input.ts'
import { sendVersioned } from '../versions/entity-tag.ts'
import { ifMatchOf, refuseOtherVersion } from '../versions/if-match.ts'
import { compileSchema } from './compile-schema.ts'
import { customFieldsBodySchema, type customFieldsViewSchema } from './schema.ts'

/** `/v1/organization/custom-fields`, behind the key check and the JSON parser. */
export function customFieldsRoutes({ db, clock }: { db: TenantDatabase; clock: Clock }): Router {
  const router = Router({ strict: false })
  router
    .route('/')
    .get(async (_request, response) => {
      const caller = callerOf(response)
      const row = await asCaller(db, caller, tx => readCustomFieldSchema(tx, caller.organizationId))
      sendVersioned(response, view(row))
    })
    .put(async (request, response) => {
      const caller = callerOf(response)
      const { schema } = readBody(customFieldsBodySchema, request.body)
      const compiled = schema ? compileSchema(schema) : undefined
      if (compiled && 'faults' in compiled) throw refusedBody(compiled.faults)
      const by = { actor: caller.actor, now: new Date(clock.now()) }
      const { organizationId, actor } = caller
      const ifMatch = ifMatchOf(response)
      const kept = await asCaller(db, caller, async tx => {
        // There may be no row of the schema to lock yet.
        await lockOrganization(tx, organizationId)
        const before = await readCustomFieldSchema(tx, organizationId)
        await refuseOtherVersion(ifMatch, () => view(before))
        const after = await keepCustomFieldSchema(tx, organizationId, schema, by)
        await noteAudit(tx, {
          organizationId,
          actor,
          action: 'custom_fields.changed',
          subject: `organization:${organizationId}`,
          before: { schema: fingerprint(before?.schema), version: before?.version },
          after: { schema: fingerprint(after?.schema), version: after?.version },
        })
        return after
      })
      sendVersioned(response, view(kept))
    })
  return router
}

function view(row: CustomFieldSchemaRow | undefined): z.output<typeof customFieldsViewSchema> {
  return {
    schema: row?.schema ?? null,
    version: row?.version ?? null,
    updatedAt: row?.updatedAt.toISOString() ?? null,
    updatedBy: row?.updatedBy ?? null,
  }
}
