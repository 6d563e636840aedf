import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, OF_ANY_BODY, refusals } from '../openapi-answers.ts'
import { keyRotationSchema, newKeySchema, pageQuerySchema } from './schema.ts'
import { keyListSchema, keyViewSchema, keyWithSecretSchema } from './views.ts'

const path = z.object({ id: z.uuid().meta({ description: "The key's id" }) })

/** The paths below `/v1/keys`, for the OpenAPI document. */
export function keyPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/keys': {
      post: {
        operationId: 'createKey',
        summary: 'Make an API key',
        description:
          'The answer holds the key, which is shown this once. It works as a bearer token, and as client_secret (with its id as client_id) for POST /v1/oauth/token. Nobody makes a key that may do more than they may.',
        requestBody: { required: true, content: { 'application/json': { schema: newKeySchema } } },
        responses: {
          201: {
            ...json('The key, with its secret', keyWithSecretSchema),
            headers: z.object({ Location: z.string() }),
          },
          ...refusals(...OF_ANY_BODY, 'bad_date_time', 'beyond_own_scopes'),
        },
      },
      get: {
        operationId: 'listKeys',
        summary: "The organisation's API keys, also those revoked and expired; the oldest first",
        requestParams: { query: pageQuerySchema },
        responses: { 200: json('One page', keyListSchema), ...refusals('invalid_query', 'bad_cursor') },
      },
    },
    '/v1/keys/{id}': {
      get: {
        operationId: 'getKey',
        summary: 'One API key',
        requestParams: { path },
        responses: { 200: json('The key, without its secret', keyViewSchema), ...refusals('key_not_found') },
      },
      delete: {
        operationId: 'revokeKey',
        summary: 'Revoke an API key: it and the tokens given for it stop working at once',
        requestParams: { path },
        responses: { 204: { description: 'Revoked, now or before' }, ...refusals('key_not_found') },
      },
    },
    '/v1/keys/{id}/rotate': {
      post: {
        operationId: 'rotateKey',
        summary: 'Give a key a new secret; the one before works beside it for a while',
        requestParams: { path },
        requestBody: { required: false, content: { 'application/json': { schema: keyRotationSchema } } },
        responses: {
          200: json('The key, with its new secret', keyWithSecretSchema),
          ...refusals(...OF_ANY_BODY, 'key_not_found', 'key_not_in_force', 'beyond_own_scopes'),
        },
      },
    },
  }
}
