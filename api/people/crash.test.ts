import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSession } from '../../db/sessions.ts'
import { insertUser } from '../../db/users.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { type ApiProcess, hold, holdTable, openApiProcess } from '../api-process-for-tests.ts'
import { callApi, openTestWorld, type TestWorld } from '../test-api.ts'

/** The API as its own process, killed at each step of refreshing a session. */

let google: GoogleSandbox
let world: TestWorld
let api: ApiProcess
let organizationId: string

beforeAll(async () => {
  google = await openGoogle()
  world = await openTestWorld(google)
  await world.key('Clínica Andina')
  const organization = await world.db.query.organizations.findFirst()
  organizationId = organization?.id ?? ''
  api = openApiProcess(world)
  await api.url()
})
afterAll(async () => {
  await api?.kill()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

let people = 0
/** Somebody who has signed in, without a word to the API. */
async function someone() {
  people += 1
  const email = `persona${people}@clinica.example`
  return world.db.transaction(async tx => {
    const user = await insertUser(tx, { organizationId, email, name: null, role: 'auditor' })
    if (!user) throw new Error('there is such a user already')
    const { refresh: given } = await openSession(tx, user, 'password', new Date())
    return { id: user.id, refreshToken: given.token }
  })
}
const refresh = async (refreshToken: string) =>
  callApi(await api.url(), 'POST', '/v1/auth/refresh', { body: { refreshToken } })

/** Tokens of a person that are good, of all their sessions. */
const goodTokens = (userId: string) =>
  world.db.execute(sql`select from refresh_tokens join sessions on sessions.id = session_id
    where user_id = ${userId}::uuid and used_at is null and replaced_at is null and revoked_at is null`)

const STEPS: [string, () => ReturnType<typeof hold>][] = [
  // The first: a process that has just begun reads the keys when it signs, after the rotation is committed.
  [
    'after the token was used and before it was answered',
    () => hold(world, 'lock table signing_keys in access exclusive mode', 'signing_keys'),
  ],
  ['before the session was looked up', () => holdTable(world, 'sessions')],
  ['before the token was noted as used', () => holdTable(world, 'refresh_tokens', 'update "refresh_tokens"')],
]

test.each(STEPS)(
  'who refreshes again after a kill %s is signed in, with one good token',
  { timeout: 60_000 },
  async (_name, stop) => {
    const { id, refreshToken } = await someone()
    const held = await stop()
    const cutOff = refresh(refreshToken).catch(() => 'no answer')
    await held.somebodyWaits()
    await api.kill()
    expect(await cutOff).toBe('no answer')
    await held.letGo()

    const again = await refresh(refreshToken)
    expect(again.status, JSON.stringify(again.body)).toBe(200)
    expect(await goodTokens(id)).toHaveLength(1)
    const next = await refresh(again.body.refreshToken)
    expect(next.status).toBe(200)
    expect(await goodTokens(id)).toHaveLength(1)
    const key = next.body.accessToken
    expect((await callApi(await api.url(), 'GET', '/v1/me', { key })).status).toBe(200)
    // The one that was repeated is worth nothing any more.
    expect((await refresh(refreshToken)).body.code).toBe('refresh_token_reused')
  },
)
