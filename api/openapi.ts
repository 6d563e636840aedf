import { z } from 'zod'
import { createDocument } from 'zod-openapi'
import { auditPaths } from './audit/openapi.ts'
import { customFieldsPaths } from './custom-fields/openapi.ts'
import { healthPaths } from './health.ts'
import { hookPaths } from './hooks/openapi.ts'
import { icsPaths } from './ics/openapi.ts'
import { withIdempotency } from './idempotency/openapi.ts'
import { keyPaths } from './keys/openapi.ts'
import { listQuerySchema } from './listing/query.ts'
import { meetingChangeSchema, newMeetingSchema, scopeQuerySchema } from './meetings.schema.ts'
import { json, OF_ANY_BODY, refusals } from './openapi-answers.ts'
import type { OpenApiDocument } from './openapi-document.ts'
import { withExamples } from './openapi-examples.ts'
import { withHeaders } from './openapi-headers.ts'
import { SECURITY_SCHEMES, withPermissions } from './openapi-permissions.ts'
import { withBodyRefusals } from './openapi-refusals.ts'
import { withTags } from './openapi-tags.ts'
import { organizationPaths } from './organization/openapi.ts'
import { participantPaths } from './participants/openapi.ts'
import { peoplePaths } from './people/openapi.ts'
import type { ProblemCode } from './problem.ts'
import { retentionPaths } from './retention/openapi.ts'
import { seriesPaths } from './series/openapi.ts'
import { jwksPaths } from './tokens/jwks.ts'
import { tokenPaths } from './tokens/openapi.ts'
import { withVersions } from './versions/openapi.ts'
import { meetingListSchema, meetingViewSchema, recordingViewSchema } from './views.schema.ts'
import { webhookEvents, webhookPaths } from './webhooks/openapi.ts'

const OF_BODY: ProblemCode[] = [
  ...OF_ANY_BODY,
  'bad_date_time',
  'all_day',
  'end_before_start',
  'end_in_past',
  'too_long',
  'unknown_time_zone',
  'bad_email',
  'duplicate_participant',
  'too_many_participants',
  'custom_fields_too_large',
  'custom_fields_too_complex',
  'bad_reminder',
  'bad_recurrence',
]
const OF_GOOGLE: ProblemCode[] = ['google_refused', 'google_unavailable']

const path = z.object({ id: z.uuid().meta({ description: "The meeting's id" }) })

/** The OpenAPI 3.1 document, made from the very schemas that read requests and write answers. */
export function openApiDocument(): OpenApiDocument {
  // Through JSON, so that no part of it is one that the schemas hold too.
  const described = JSON.parse(JSON.stringify(describeApi())) as OpenApiDocument
  const complete = withBodyRefusals(withVersions(withIdempotency(withPermissions(described))))
  return withExamples(withHeaders(withTags(complete)))
}

function describeApi() {
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Testigo',
      version: '1.0.0',
      description:
        'Makes Google Meet calls and keeps a recording of each one. Every answer carries X-Request-Id. Refusals are problem documents (RFC 9457) with a stable "code".',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }, { accessToken: [] }],
    components: {
      securitySchemes: SECURITY_SCHEMES,
    },
    paths: {
      '/v1/meetings': {
        post: {
          operationId: 'createMeeting',
          summary: 'Make a meeting, invite people to it and have it recorded',
          description:
            'Answers when the Calendar event exists and everybody is invited. A meeting that has begun already is recorded at once. After a lost answer send the same request again with the same Idempotency-Key, or the same externalId: it goes on where it stopped.',
          requestBody: { required: true, content: { 'application/json': { schema: newMeetingSchema } } },
          responses: {
            201: {
              ...json('The meeting, with its link', meetingViewSchema),
              headers: z.object({ Location: z.string() }),
            },
            ...refusals(...OF_BODY, 'no_second_bot', 'host_not_allowed', 'external_id_taken', ...OF_GOOGLE),
          },
        },
        get: {
          operationId: 'listMeetings',
          summary: 'Meetings by their start or by when they were made',
          description:
            'Filters are joined by "and". Pages stay whole while meetings are made and changed: a meeting that keeps its place comes exactly once. Read on with the "nextCursor" of each page until it is null.',
          requestParams: { query: listQuerySchema },
          responses: {
            200: json('One page', meetingListSchema),
            ...refusals('invalid_query', 'bad_cursor'),
          },
        },
      },
      '/v1/meetings/{id}': {
        get: {
          operationId: 'getMeeting',
          summary: 'One meeting',
          requestParams: { path },
          responses: { 200: json('The meeting', meetingViewSchema), ...refusals('meeting_not_found') },
        },
        patch: {
          operationId: 'changeMeeting',
          summary: 'Change a meeting; its event and its bot follow',
          description:
            'Of a series it changes this meeting, or with ?scope= many. Where earlier meetings stay as they are, the later ones become a series of their own, with a link of its own; meetings keep their ids. What has begun does not change, nor do fields that were changed for one meeting alone.',
          requestParams: { path, query: scopeQuerySchema },
          requestBody: { required: true, content: { 'application/json': { schema: meetingChangeSchema } } },
          responses: {
            200: json('The meeting as it is now', meetingViewSchema),
            ...refusals(
              ...OF_BODY,
              'invalid_query',
              'not_in_series',
              'meeting_not_yours',
              'meeting_not_found',
              'meeting_closed',
              'meeting_in_progress',
              ...OF_GOOGLE,
            ),
          },
        },
        delete: {
          operationId: 'cancelMeeting',
          summary: 'Cancel a meeting: people are told, no bot comes, a bot in the call leaves',
          requestParams: { path, query: scopeQuerySchema },
          responses: {
            204: { description: 'Cancelled, now or before' },
            ...refusals(
              'invalid_query',
              'not_in_series',
              'meeting_not_yours',
              'meeting_not_found',
              'meeting_closed',
              'meeting_in_progress',
            ),
          },
        },
      },
      ...participantPaths(),
      '/v1/meetings/{id}/recording': {
        get: {
          operationId: 'getRecording',
          summary: 'Where the recording stands, what part of the call it holds, and links to it',
          requestParams: { path },
          responses: { 200: json('The recording', recordingViewSchema), ...refusals('meeting_not_found') },
        },
      },
      ...icsPaths(),
      ...seriesPaths(),
      ...customFieldsPaths(),
      ...webhookPaths(),
      ...auditPaths(),
      ...organizationPaths(),
      ...retentionPaths(),
      ...keyPaths(),
      ...peoplePaths(),
      ...tokenPaths(),
      ...jwksPaths(),
      ...hookPaths(),
      ...healthPaths(),
    },
    webhooks: webhookEvents(),
  })
}
