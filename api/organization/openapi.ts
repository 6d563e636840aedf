import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, OF_ANY_BODY, refusals } from '../openapi-answers.ts'
import { organizationChangeSchema, organizationSchema } from './schema.ts'

/** `/v1/organization`, for the OpenAPI document. */
export function organizationPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/organization': {
      get: {
        operationId: 'getOrganization',
        summary: 'The settings of your organisation',
        responses: { 200: json('The organisation', organizationSchema), ...refusals() },
      },
      patch: {
        operationId: 'changeOrganization',
        summary: 'Change the settings of your organisation',
        description:
          'A shorter retentionDays erases what is older within a day: see GET /v1/retention?retentionDays=… first.',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: organizationChangeSchema } },
        },
        responses: {
          200: json('The organisation as it is now', organizationSchema),
          ...refusals(...OF_ANY_BODY, 'bad_email'),
        },
      },
    },
  }
}
