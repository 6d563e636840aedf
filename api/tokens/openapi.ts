import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, publicRefusals } from '../openapi-answers.ts'

const form = z
  .object({
    grant_type: z.literal('client_credentials'),
    client_id: z.string().optional().meta({ description: "The API key's id" }),
    client_secret: z.string().optional().meta({ description: 'The API key itself' }),
    scope: z
      .string()
      .optional()
      .meta({ description: 'Some of its scopes, with spaces between; all of them without' }),
  })
  .meta({ id: 'TokenRequest' })

const token = z
  .object({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_in: z.int().meta({ description: 'Seconds' }),
    scope: z.string(),
  })
  .meta({ id: 'Token' })

const refusal = z
  .object({
    error: z.enum(['invalid_request', 'invalid_client', 'invalid_scope', 'unsupported_grant_type']),
    error_description: z.string(),
  })
  .meta({ id: 'TokenRefusal' })

/** `POST /v1/oauth/token`, for the OpenAPI document. */
export function tokenPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/oauth/token': {
      post: {
        operationId: 'createToken',
        summary: 'Get an access token for an API key (OAuth 2.0 client credentials)',
        description:
          'The client sends its id and secret by Basic authentication or in the form. The token works for ten minutes, and not longer than its key; its public keys are at /.well-known/jwks.json.',
        security: [{ clientBasic: [] }, {}],
        requestBody: { required: true, content: { 'application/x-www-form-urlencoded': { schema: form } } },
        responses: {
          ...publicRefusals('too_many_requests'),
          200: json('The token', token),
          400: json('Refused (RFC 6749 §5.2)', refusal),
          401: json('The client is not known by this id and secret (`invalid_client`)', refusal),
        },
      },
    },
  }
}
