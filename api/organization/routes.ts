import { Router } from 'express'
import type { TenantDatabase } from '../../db/tenant.ts'
import { callerOf } from '../caller.ts'
import { readBody } from '../read-input.ts'
import { showOrganization, updateOrganization } from './organization.ts'
import { organizationChangeSchema } from './schema.ts'

/** `/v1/organization`, behind the key check and the JSON parser. */
export function organizationRoutes({ db }: { db: TenantDatabase }): Router {
  const router = Router({ strict: false })
  router
    .route('/')
    .get(async (_request, response) => {
      response.json(await showOrganization(db, callerOf(response)))
    })
    .patch(async (request, response) => {
      const body = readBody(organizationChangeSchema, request.body)
      response.json(await updateOrganization(db, callerOf(response), body))
    })
  return router
}
