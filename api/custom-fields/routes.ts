import { Router } from 'express'
import type { z } from 'zod'
import type { Clock } from '../../clock.ts'
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
import type { JsonObject } from './judge-schema.ts'
import { customFieldsBodySchema, type customFieldsViewSchema } from './schema.ts'
import { slowSchemas } from './slow-schemas.ts'

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
      const { organizationId, actor } = caller
      if (schema) refuseBadSchema(organizationId, schema)
      const by = { actor, now: new Date(clock.now()) }
      const ifMatch = ifMatchOf(response)
      const kept = await asCaller(db, caller, async tx => {
        // There may be no row of the schema to lock yet.
        await lockOrganization(tx, organizationId)
        const before = await readCustomFieldSchema(tx, organizationId)
        await refuseOtherVersion(ifMatch, () => view(before))
        return keepCustomFieldSchema(tx, organizationId, schema, by)
      })
      sendVersioned(response, view(kept))
    })
  return router
}

/** @throws {Problem} `bad_schema` */
function refuseBadSchema(organizationId: string, schema: JsonObject): void {
  if (slowSchemas.isTooOften(organizationId, performance.now()))
    throw refusedBody([
      {
        path: 'schema',
        code: 'bad_schema',
        message:
          'is not tried: your schemas took too long several times. Wait a minute, and send a simpler one',
      },
    ])
  const compiled = compileSchema(schema)
  if (!('faults' in compiled)) return
  if (compiled.cutOff) slowSchemas.note(organizationId, performance.now())
  throw refusedBody(compiled.faults)
}

function view(row: CustomFieldSchemaRow | undefined): z.output<typeof customFieldsViewSchema> {
  return {
    schema: row?.schema ?? null,
    version: row?.version ?? null,
    updatedAt: row?.updatedAt.toISOString() ?? null,
    updatedBy: row?.updatedBy ?? null,
  }
}
