import { Router } from 'express'
import { z } from 'zod'
import { listUsers } from '../../db/users.ts'
import { asCaller, callerOf } from '../caller.ts'
import { pageOf, readCursor } from '../cursor.ts'
import { pageQuerySchema } from '../keys/schema.ts'
import { readBody, readQuery } from '../read-input.ts'
import { sendVersioned } from '../versions/entity-tag.ts'
import { ifMatchOf } from '../versions/if-match.ts'
import { changeOwnPassword, endOwnSessions } from './own-account.ts'
import {
  newPasswordSchema,
  newUserSchema,
  ownPasswordSchema,
  refreshSchema,
  signInSchema,
  userChangeSchema,
} from './schema.ts'
import { refresh, type SignInDeps, setPassword, signIn, signOut } from './sign-in.ts'
import {
  createUser,
  endSessionsOfUser,
  linkForPassword,
  noSuchUser,
  showUser,
  type UsersDeps,
  updateUser,
} from './users.ts'
import { meView, userView } from './views.ts'

/** `/v1/auth`: signing in, and what keeps people signed in. For everybody. */
export function authRoutes(deps: SignInDeps): Router {
  const router = Router({ strict: false })
  router.post('/sign-in', async (request, response) => {
    response.json(await signIn(deps, readBody(signInSchema, request.body)))
  })
  router.post('/refresh', async (request, response) => {
    const { refreshToken } = readBody(refreshSchema, request.body)
    response.json(await refresh(deps, refreshToken))
  })
  router.post('/sign-out', async (request, response) => {
    await signOut(deps, readBody(refreshSchema, request.body).refreshToken)
    response.status(204).end()
  })
  router.post('/password', async (request, response) => {
    await setPassword(deps, readBody(newPasswordSchema, request.body))
    response.status(204).end()
  })
  return router
}

/** `/v1/me` and all below it, behind the key check and the JSON parser. */
export function meRoutes(deps: SignInDeps): Router {
  const router = Router({ strict: false })
  router.get('/', (_request, response) => {
    response.json(meView(callerOf(response)))
  })
  router.post('/password', async (request, response) => {
    const body = readBody(ownPasswordSchema, request.body)
    await changeOwnPassword(deps, callerOf(response), body)
    response.status(204).end()
  })
  router.delete('/sessions', async (_request, response) => {
    await endOwnSessions(deps, callerOf(response))
    response.status(204).end()
  })
  return router
}

/** `/v1/users` and all below it, behind the key check and the JSON parser. */
export function usersRoutes(deps: UsersDeps): Router {
  const { db } = deps
  const router = Router({ strict: false })

  router
    .route('/')
    .get(async (request, response) => {
      const caller = callerOf(response)
      const { limit, cursor } = readQuery(pageQuerySchema, request.query)
      const after = cursor === undefined ? undefined : readCursor(cursor)
      const rows = await asCaller(db, caller, tx => listUsers(tx, caller.organizationId, after, limit + 1))
      response.json(pageOf(rows, limit, userView, row => row))
    })
    .post(async (request, response) => {
      const user = await createUser(deps, callerOf(response), readBody(newUserSchema, request.body))
      sendVersioned(response.status(201).location(`/v1/users/${user.id}`), user)
    })

  router
    .route('/:id')
    .get(async (request, response) => {
      sendVersioned(response, await showUser(deps, callerOf(response), userIdOf(request)))
    })
    .patch(async (request, response) => {
      const caller = callerOf(response)
      const id = userIdOf(request)
      // An unknown user is said so before anything about the body.
      await showUser(deps, caller, id)
      const body = readBody(userChangeSchema, request.body)
      sendVersioned(response, await updateUser(deps, caller, id, body, ifMatchOf(response)))
    })

  router.delete('/:id/sessions', async (request, response) => {
    await endSessionsOfUser(deps, callerOf(response), userIdOf(request))
    response.status(204).end()
  })

  router.post('/:id/password-link', async (request, response) => {
    response.status(201).json(await linkForPassword(deps, callerOf(response), userIdOf(request)))
  })

  return router
}

function userIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchUser()
  return parsed.data
}
