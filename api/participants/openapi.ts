import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { scopeQuerySchema } from '../meetings.schema.ts'
import { json, OF_ANY_BODY, refusals } from '../openapi-answers.ts'
import type { ProblemCode } from '../problem.ts'
import { participantsViewSchema, participantViewSchema } from '../views.schema.ts'
import { newParticipantSchema, participantChangeSchema } from './schema.ts'

const id = z.uuid().meta({ description: "The meeting's id" })
const path = z.object({ id })
const pathOfOne = z.object({ id, participantId: z.uuid().meta({ description: "The participant's id" }) })
const OF_CHANGE: ProblemCode[] = [
  'invalid_query',
  'not_in_series',
  'meeting_not_yours',
  'meeting_not_found',
  'meeting_closed',
  'meeting_in_progress',
  'google_refused',
  'google_unavailable',
]
const OF_SCOPE =
  'Of a series it changes this meeting, or with ?scope= many, those with a list of their own among them: people are known by their address.'
const OF_VERSION = 'If-Match names versions of them in this meeting, whatever the scope.'

/** The paths of participants, for the OpenAPI document. */
export function participantPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/meetings/{id}/participants': {
      get: {
        operationId: 'getParticipants',
        summary: 'Who is invited, and who was in the call and when',
        requestParams: { path },
        responses: {
          200: json('People invited and people seen', participantsViewSchema),
          ...refusals('meeting_not_found'),
        },
      },
      post: {
        operationId: 'addParticipant',
        summary: 'Invite somebody: the event follows, and Google sends the invitation',
        description: OF_SCOPE,
        requestParams: { path, query: scopeQuerySchema },
        requestBody: { required: true, content: { 'application/json': { schema: newParticipantSchema } } },
        responses: {
          201: {
            ...json('The participant', participantViewSchema),
            headers: z.object({ Location: z.string() }),
          },
          ...refusals(
            ...OF_ANY_BODY,
            'bad_email',
            'too_many_participants',
            'participant_exists',
            ...OF_CHANGE,
          ),
        },
      },
    },
    '/v1/meetings/{id}/participants/{participantId}': {
      get: {
        operationId: 'getParticipant',
        summary: 'Somebody invited: role, answer to the invitation, and when they were in the call',
        requestParams: { path: pathOfOne },
        responses: {
          200: json('The participant', participantViewSchema),
          ...refusals('meeting_not_found', 'participant_not_found'),
        },
      },
      patch: {
        operationId: 'changeParticipant',
        summary: "Change somebody's name or role",
        description: `${OF_SCOPE} ${OF_VERSION}`,
        requestParams: { path: pathOfOne, query: scopeQuerySchema },
        requestBody: { required: true, content: { 'application/json': { schema: participantChangeSchema } } },
        responses: {
          200: json('The participant as it is now', participantViewSchema),
          ...refusals(...OF_ANY_BODY, 'participant_not_found', ...OF_CHANGE),
        },
      },
      delete: {
        operationId: 'removeParticipant',
        summary: 'Take somebody off the invitation; Google tells them',
        description: `${OF_SCOPE} ${OF_VERSION} Who was in the call stays in its record.`,
        requestParams: { path: pathOfOne, query: scopeQuerySchema },
        responses: {
          204: { description: 'Taken off' },
          ...refusals('participant_not_found', ...OF_CHANGE),
        },
      },
    },
  }
}
