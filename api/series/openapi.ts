import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, refusals } from '../openapi-answers.ts'
import { seriesListSchema, seriesQuerySchema, seriesViewSchema } from './schema.ts'

const path = z.object({ id: z.uuid().meta({ description: "The series' id" }) })

/** `/v1/series`, for the OpenAPI document. */
export function seriesPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/series': {
      get: {
        operationId: 'findSeries',
        summary: 'The series with your own id of it',
        description:
          'And after it those that took over from it, when its later meetings were changed with ?scope=following: they have no external id of their own.',
        requestParams: { query: seriesQuerySchema },
        responses: { 200: json('None, one or more', seriesListSchema), ...refusals('invalid_query') },
      },
    },
    '/v1/series/{id}': {
      get: {
        operationId: 'getSeries',
        summary: 'A series: its rule, in words too, and how many meetings it has',
        description:
          'A series is made by POST /v1/meetings with a recurrence. Its meetings are listed by GET /v1/meetings?series=<id>, and changed or cancelled one by one, with all that follow, or all together, by ?scope=.',
        requestParams: { path },
        responses: { 200: json('The series', seriesViewSchema), ...refusals('series_not_found') },
      },
    },
  }
}
