import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, OF_ANY_BODY, refusals } from '../openapi-answers.ts'
import { customFieldsBodySchema, customFieldsViewSchema } from './schema.ts'

/** `/v1/organization/custom-fields`, for the OpenAPI document. */
export function customFieldsPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/organization/custom-fields': {
      get: {
        operationId: 'getCustomFields',
        summary: 'The JSON Schema that custom fields of meetings follow',
        responses: { 200: json('The schema in force, or null', customFieldsViewSchema), ...refusals() },
      },
      put: {
        operationId: 'setCustomFields',
        summary: 'Put another JSON Schema for custom fields into force, or none',
        description:
          'It is read strictly: unknown keywords, formats and types are refused, as are references to the outside. Meetings are checked when they are made and when their custom fields are changed; those made before stay as they are.',
        requestBody: { required: true, content: { 'application/json': { schema: customFieldsBodySchema } } },
        responses: {
          200: json('The schema in force now', customFieldsViewSchema),
          ...refusals(...OF_ANY_BODY, 'bad_schema'),
        },
      },
    },
  }
}
