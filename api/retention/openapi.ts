import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, OF_ANY_BODY, refusals } from '../openapi-answers.ts'
import {
  erasureRequestSchema,
  erasureSchema,
  meetingRetentionChangeSchema,
  meetingRetentionSchema,
  previewQuerySchema,
  retentionPreviewSchema,
} from './schema.ts'

const path = z.object({ id: z.uuid().meta({ description: "The meeting's id" }) })

/** The paths of retention and erasure, for the OpenAPI document. */
export function retentionPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/retention': {
      get: {
        operationId: 'previewRetention',
        summary: 'What retention would erase: nothing is erased by asking',
        requestParams: { query: previewQuerySchema },
        responses: { 200: json('One page', retentionPreviewSchema), ...refusals('invalid_query') },
      },
    },
    '/v1/meetings/{id}/retention': {
      get: {
        operationId: 'getMeetingRetention',
        summary: 'How long a meeting is kept, and whether it is held',
        requestParams: { path },
        responses: {
          200: json('Its retention', meetingRetentionSchema),
          ...refusals('meeting_not_found'),
        },
      },
      patch: {
        operationId: 'changeMeetingRetention',
        summary: 'Keep a meeting longer or shorter, or put it under legal hold; also when it is over',
        requestParams: { path },
        requestBody: {
          required: true,
          content: { 'application/json': { schema: meetingRetentionChangeSchema } },
        },
        responses: {
          200: json('Its retention as it is now', meetingRetentionSchema),
          ...refusals(...OF_ANY_BODY, 'meeting_not_found', 'erasure_begun'),
        },
      },
    },
    '/v1/erasures': {
      post: {
        operationId: 'erasePerson',
        summary: "Take a person's address and names out of everything that is over",
        description:
          'For requests under data protection law. Participants, presences, the log of meetings, webhook events, mail and the templates of series get a pseudonym or go. Nothing is touched of meetings under legal hold, of meetings that are to come, and of series that go on: they are listed. Recordings are not edited: those in question are listed. Who asked and what was done is in the audit log, the address is not.',
        requestBody: { required: true, content: { 'application/json': { schema: erasureRequestSchema } } },
        responses: {
          201: json('What was done', erasureSchema),
          ...refusals(...OF_ANY_BODY, 'bad_email'),
        },
      },
    },
  }
}
