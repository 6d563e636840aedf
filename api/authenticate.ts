import type { RequestHandler } from 'express'
import type { Clock } from '../clock.ts'
import { findKeyOwner, type KeyOwner } from '../db/api-keys.ts'
import type { Database } from '../db/connect.ts'
import { Problem } from './problem.ts'

const CHALLENGE = { headers: { 'WWW-Authenticate': 'Bearer realm="testigo"' } }

/** Lets only requests with an API key in force through, and puts whose it is into `response.locals`. */
export function authenticate(deps: { db: Database; clock: Clock }): RequestHandler {
  return async (request, response, next) => {
    const [, key] = /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '') ?? []
    if (key === undefined)
      throw new Problem('missing_api_key', 'Send the header "Authorization: Bearer <API key>".', CHALLENGE)
    const owner = await findKeyOwner(deps.db, key, new Date(deps.clock.now()))
    if (!owner)
      throw new Problem(
        'wrong_api_key',
        'This API key is unknown or revoked. Make one with "npm run keys -- create".',
        CHALLENGE,
      )
    response.locals.owner = owner
    next()
  }
}

/** Whose request it is, behind {@link authenticate}. */
export function ownerOf(response: { locals: Record<string, unknown> }): KeyOwner {
  const { owner } = response.locals
  if (!owner) throw new Error('ownerOf was called on a route that is not behind authenticate')
  return owner as KeyOwner
}
