import { Router } from 'express'
import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { json, unhappyAnswers } from '../openapi-answers.ts'
import type { SigningKeys } from './signing-keys.ts'

const FOR_A_WHILE = 'public, max-age=300'

/** `/.well-known/jwks.json`: the public keys of access tokens (RFC 7517). */
export function jwksRoutes(keys: SigningKeys): Router {
  const router = Router()
  router.get('/.well-known/jwks.json', async (_request, response) => {
    // Whoever cannot be told the keys asks again.
    response.setHeader('Cache-Control', 'no-store')
    const published = await keys.published()
    response.setHeader('Cache-Control', FOR_A_WHILE)
    response.json(published)
  })
  return router
}

const key = z
  .object({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: z.string().meta({
      description: 'The public key, base64url',
      example: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    }),
    kid: z.uuid().meta({ description: 'As in the header of the tokens it signed' }),
    use: z.literal('sig'),
    alg: z.literal('EdDSA'),
  })
  .meta({ id: 'SigningKey' })

/** `GET /.well-known/jwks.json`, for the OpenAPI document. */
export function jwksPaths(): ZodOpenApiPathsObject {
  return {
    '/.well-known/jwks.json': {
      get: {
        operationId: 'getSigningKeys',
        summary: 'The public keys of access tokens (RFC 7517)',
        description:
          'For who checks tokens without asking us. A new key signs every 30 days and is shown a day before; an old one is shown until no token of it lives.',
        security: [],
        responses: {
          200: {
            ...json('The key that signs, the next one, and those before', z.object({ keys: z.array(key) })),
            headers: z.object({
              'Cache-Control': z.literal(FOR_A_WHILE).meta({ description: 'Keep it for five minutes' }),
            }),
          },
          ...unhappyAnswers(),
        },
      },
    },
  }
}
