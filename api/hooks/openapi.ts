import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { publicRefusals } from '../openapi-answers.ts'

const calendarHeaders = z.object({
  'X-Goog-Channel-ID': z.string().max(64).meta({ description: 'The channel', example: '0b2d3f60-push' }),
  'X-Goog-Channel-Token': z.string().max(256).optional().meta({ description: "The channel's secret" }),
  'X-Goog-Resource-ID': z.string().max(256).meta({ description: 'The calendar', example: 'o3hgv1538sdjfh' }),
  'X-Goog-Resource-State': z
    .string()
    .max(64)
    .meta({ description: '`sync` when the channel opens, then `exists`', example: 'exists' }),
  'X-Goog-Message-Number': z
    .string()
    .max(20)
    .meta({ description: 'Rises within a channel, with gaps', example: '7' }),
})

const pushBody = z
  .object({
    message: z.object({
      attributes: z.record(z.string(), z.string()).meta({
        description: 'The CloudEvent: ce-id, ce-type, ce-source, ce-subject, ce-time',
        example: {
          'ce-id': '6a0e4f57-9a41-4f8f-8f1d-1f1d11aa00bb',
          'ce-type': 'google.workspace.meet.conference.v2.started',
          'ce-source': '//workspaceevents.googleapis.com/subscriptions/meet-1',
          'ce-subject': '//meet.googleapis.com/spaces/jQCFfuBOdN5z',
          'ce-time': '2026-11-23T15:00:02.000Z',
        },
      }),
      data: z.string().optional().meta({
        description: 'What it is about: JSON in base64',
        example: 'eyJjb25mZXJlbmNlUmVjb3JkIjp7Im5hbWUiOiJjb25mZXJlbmNlUmVjb3Jkcy9hYmMifX0=',
      }),
      messageId: z.string().optional().meta({ example: '136969346945' }),
    }),
    subscription: z.string().optional().meta({ example: 'projects/my-project/subscriptions/testigo' }),
  })
  .meta({ id: 'PubSubPush' })

const TAKEN = { 204: { description: 'Taken: a job does the rest' } } as const

/** `/v1/hooks/google`, for the OpenAPI document. */
export function hookPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/hooks/google/calendar': {
      post: {
        operationId: 'takeCalendarPush',
        summary: 'Google Calendar tells that something changed in a calendar',
        description:
          'For the push channels that Testigo opens, and for nobody else: the token of the channel has to be right. It has no body. Repeating it changes nothing.',
        security: [],
        requestParams: { header: calendarHeaders },
        responses: { ...TAKEN, ...publicRefusals('not_a_push', 'channel_not_found') },
      },
    },
    '/v1/hooks/google/workspace-events': {
      post: {
        operationId: 'takeWorkspaceEvent',
        summary: 'Pub/Sub tells what happened in a call (Google Workspace Events)',
        description:
          'For the push subscription of the topic that is set. The bearer is an identity token of Google for its service account and our audience. Repeating it changes nothing.',
        security: [],
        requestBody: { required: true, content: { 'application/json': { schema: pushBody } } },
        responses: {
          ...TAKEN,
          ...publicRefusals('push_refused', 'malformed_json', 'body_too_large', 'unsupported_media_type'),
        },
      },
    },
  }
}
