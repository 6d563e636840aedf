import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { pageQuerySchema } from '../keys/schema.ts'
import { json, OF_ANY_BODY, publicRefusals, refusals } from '../openapi-answers.ts'
import {
  newPasswordSchema,
  newUserSchema,
  ownPasswordSchema,
  refreshSchema,
  signInSchema,
  userChangeSchema,
} from './schema.ts'
import { meSchema, passwordLinkSchema, signedInSchema, userListSchema, userViewSchema } from './views.ts'

const path = z.object({ id: z.uuid().meta({ description: "The user's id" }) })
const body = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true,
  content: { 'application/json': { schema } },
})
const bodyFaults = [...OF_ANY_BODY, 'bad_email'] as const

/** The paths of people: signing in, `/v1/me` and `/v1/users`, for the OpenAPI document. */
export function peoplePaths(): ZodOpenApiPathsObject {
  return {
    '/v1/auth/sign-in': {
      post: {
        operationId: 'signIn',
        summary: 'Sign in with address and password',
        description:
          'After 10 failed tries in a row an address is locked for 15 minutes, whether there is such a user or not.',
        security: [],
        requestBody: body(signInSchema),
        responses: {
          200: json('Signed in', signedInSchema),
          ...publicRefusals(
            ...bodyFaults,
            'wrong_credentials',
            'organization_needed',
            'sign_in_locked',
            'too_many_requests',
          ),
        },
      },
    },
    '/v1/auth/refresh': {
      post: {
        operationId: 'refreshSession',
        summary: 'Get the next access token, and the next refresh token',
        description:
          'A refresh token works once. One that comes a second time was copied: its session ends. Only within a minute, and before the token that followed it was used, it is taken for a request whose answer was lost: it is answered anew, and the tokens of the lost answer are good no more. A session ends after 14 days without refresh, at the latest after 90.',
        security: [],
        requestBody: body(refreshSchema),
        responses: {
          200: json('The next tokens', signedInSchema),
          ...publicRefusals(
            ...OF_ANY_BODY,
            'wrong_refresh_token',
            'refresh_token_reused',
            'too_many_requests',
          ),
        },
      },
    },
    '/v1/auth/sign-out': {
      post: {
        operationId: 'signOut',
        summary: 'End a session at once: its access token works no more either',
        security: [],
        requestBody: body(refreshSchema),
        responses: {
          204: { description: 'Signed out, now or before' },
          ...publicRefusals(...OF_ANY_BODY, 'too_many_requests'),
        },
      },
    },
    '/v1/auth/password': {
      post: {
        operationId: 'setPassword',
        summary: 'Set a password with the token of a one-time link; ends all sessions of the user',
        security: [],
        requestBody: body(newPasswordSchema),
        responses: {
          204: { description: 'Set' },
          ...publicRefusals(...OF_ANY_BODY, 'password_link_not_found', 'too_many_requests'),
        },
      },
    },
    '/v1/auth/google': {
      get: {
        operationId: 'startGoogleSignIn',
        summary: 'Sign in with Google: leads a browser to Google',
        description:
          "For people of the organisation's Workspace domain. Whoever is no user yet becomes one, with the role external.",
        security: [],
        responses: {
          302: { description: 'To Google', headers: z.object({ Location: z.string() }) },
          ...publicRefusals('google_sign_in_off', 'google_unavailable', 'too_many_requests'),
        },
      },
    },
    '/v1/auth/google/callback': {
      get: {
        operationId: 'finishGoogleSignIn',
        summary: 'Where Google leads the browser back to',
        security: [],
        requestParams: { query: z.object({ code: z.string().optional(), state: z.string().optional() }) },
        responses: {
          200: json('Signed in', signedInSchema),
          ...publicRefusals(
            'google_sign_in_off',
            'google_sign_in_refused',
            'google_domain_unknown',
            'google_unavailable',
            'too_many_requests',
          ),
        },
      },
    },
    '/v1/me': {
      get: {
        operationId: 'getMe',
        summary: 'Who the caller is and what it may do',
        responses: { 200: json('The caller', meSchema), ...refusals() },
      },
    },
    '/v1/me/password': {
      post: {
        operationId: 'changeOwnPassword',
        summary: 'Change the own password; ends all other sessions of the person',
        description:
          'For people who signed in. Tries with a wrong current password count like failed signings in: after 10 in a row the address is locked for 15 minutes.',
        requestBody: body(ownPasswordSchema),
        responses: {
          204: { description: 'Changed' },
          ...refusals(...OF_ANY_BODY, 'people_only', 'no_password', 'wrong_password', 'sign_in_locked'),
        },
      },
    },
    '/v1/me/sessions': {
      delete: {
        operationId: 'endOwnSessions',
        summary: 'Sign out everywhere, here too: all sessions of the person end at once',
        responses: { 204: { description: 'Ended' }, ...refusals('people_only') },
      },
    },
    '/v1/users': {
      post: {
        operationId: 'createUser',
        summary: 'Make a user, who then signs in with Google, or sets a password by a one-time link',
        requestBody: body(newUserSchema),
        responses: {
          201: { ...json('The user', userViewSchema), headers: z.object({ Location: z.string() }) },
          ...refusals(...bodyFaults, 'email_taken', 'beyond_own_scopes'),
        },
      },
      get: {
        operationId: 'listUsers',
        summary: "The organisation's users, the oldest first",
        requestParams: { query: pageQuerySchema },
        responses: { 200: json('One page', userListSchema), ...refusals('invalid_query', 'bad_cursor') },
      },
    },
    '/v1/users/{id}': {
      get: {
        operationId: 'getUser',
        summary: 'One user',
        requestParams: { path },
        responses: { 200: json('The user', userViewSchema), ...refusals('user_not_found') },
      },
      patch: {
        operationId: 'changeUser',
        summary: 'Change, disable or enable a user; a new role holds from the next request on',
        requestParams: { path },
        requestBody: body(userChangeSchema),
        responses: {
          200: json('The user as it is now', userViewSchema),
          ...refusals(...OF_ANY_BODY, 'user_not_found', 'not_yourself', 'beyond_own_scopes'),
        },
      },
    },
    '/v1/users/{id}/sessions': {
      delete: {
        operationId: 'endUserSessions',
        summary: 'Sign a user out everywhere, at once; they may sign in again',
        requestParams: { path },
        responses: {
          204: { description: 'Ended' },
          ...refusals('user_not_found', 'beyond_own_scopes'),
        },
      },
    },
    '/v1/users/{id}/password-link': {
      post: {
        operationId: 'createPasswordLink',
        summary:
          'Make the token of a one-time link with which the user sets a password; it works for 72 hours',
        requestParams: { path },
        responses: {
          201: json('The token, shown this once', passwordLinkSchema),
          ...refusals('user_not_found', 'user_disabled', 'beyond_own_scopes'),
        },
      },
    },
  }
}
