import { Router } from 'express'
import type { SigningKeys } from './signing-keys.ts'

/** `/.well-known/jwks.json`: the public keys of access tokens (RFC 7517). */
export function jwksRoutes(keys: SigningKeys): Router {
  const router = Router()
  router.get('/.well-known/jwks.json', async (_request, response) => {
    response.setHeader('Cache-Control', 'public, max-age=300')
    response.json(await keys.published())
  })
  return router
}
