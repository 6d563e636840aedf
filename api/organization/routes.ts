import { Router } from 'express'
import { callerOf } from '../caller.ts'
import { readBody } from '../read-input.ts'
import { sendVersioned } from '../versions/entity-tag.ts'
import { ifMatchOf } from '../versions/if-match.ts'
import { type OrganizationDeps, showOrganization, updateOrganization } from './organization.ts'
import { organizationChangeSchema } from './schema.ts'

/** `/v1/organization`, behind the key check and the JSON parser. */
export function organizationRoutes(deps: OrganizationDeps): Router {
  const router = Router({ strict: false })
  router
    .route('/')
    .get(async (_request, response) => {
      sendVersioned(response, await showOrganization(deps, callerOf(response)))
    })
    .patch(async (request, response) => {
      const body = readBody(organizationChangeSchema, request.body)
      const ifMatch = ifMatchOf(response)
      sendVersioned(response, await updateOrganization(deps, callerOf(response), body, ifMatch))
    })
  return router
}
