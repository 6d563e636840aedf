import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, refusals } from '../openapi-answers.ts'
import { auditEntrySchema, auditExportQuerySchema, auditListSchema, auditQuerySchema } from './schema.ts'

/** The paths below `/v1/audit`, for the OpenAPI document. */
export function auditPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/audit': {
      get: {
        operationId: 'listAudit',
        summary: 'Who did what and when: the audit log, the newest first',
        requestParams: { query: auditQuerySchema },
        responses: { 200: json('One page', auditListSchema), ...refusals('invalid_query', 'bad_cursor') },
      },
    },
    '/v1/audit/export': {
      get: {
        operationId: 'exportAudit',
        summary: 'The audit log as lines of JSON, the oldest first',
        description:
          'Each line is an AuditEntry. Without a filter the lines are the whole chain, whose hashes anybody can check. An answer that is cut off ends without its last chunk, which HTTP clients report as an error.',
        requestParams: { query: auditExportQuerySchema },
        responses: {
          200: {
            description: 'One entry on each line',
            headers: z.object({ 'Content-Disposition': z.string() }),
            content: { 'application/x-ndjson': { schema: auditEntrySchema } },
          },
          ...refusals('invalid_query'),
        },
      },
    },
  }
}
