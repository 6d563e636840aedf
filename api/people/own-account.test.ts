import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openTestApi, signInUser, type TestApi } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
let skippedMs = 0
beforeAll(async () => {
  const nowMs = () => Date.now() + skippedMs
  google = await openGoogle({ nowMs })
  const clock = { now: nowMs, sleep: async () => {} }
  api = await openTestApi(google, undefined, { clock, env: { TESTIGO_SIGN_IN_RATE_LIMIT: '0' } })
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

let made = 0
async function someone() {
  made += 1
  const email = `persona${made}@clinica.example`
  const person = await signInUser(api.url, api.key, { role: 'auditor', email })
  return { ...person, email }
}
const post = (path: string, body: object, key = '') => api.call('POST', path, { body, key })
const signIn = (email: string, password: string) => post('/v1/auth/sign-in', { email, password })
const works = async (key: string) => (await api.call('GET', '/v1/me', { key })).status === 200
const change = (key: string, currentPassword: string, newPassword: string) =>
  post('/v1/me/password', { currentPassword, newPassword }, key)
const ANOTHER = 'otra contraseña larga'
const auditOf = async (id: string) =>
  (await api.call('GET', `/v1/audit?subject=user:${id}`)).body.items as {
    action: string
    actor: string
    detail: object
  }[]

describe('the own password', () => {
  test('is changed by whoever knows it; other sessions end, this one goes on', async () => {
    const { id, email, password, accessToken, refreshToken } = await someone()
    const elsewhere = (await signIn(email, password)).body
    expect((await change(accessToken, password, ANOTHER)).status).toBe(204)
    expect([await works(accessToken), await works(elsewhere.accessToken)]).toEqual([true, false])
    expect((await post('/v1/auth/refresh', { refreshToken: elsewhere.refreshToken })).status).toBe(401)
    expect((await post('/v1/auth/refresh', { refreshToken })).status).toBe(200)
    expect((await signIn(email, password)).body.code).toBe('wrong_credentials')
    expect((await signIn(email, ANOTHER)).status).toBe(200)
    const entry = (await auditOf(id)).find(({ action }) => action === 'user.password_changed')
    expect(entry).toMatchObject({ actor: `user:${id}`, detail: { sessionsEnded: 1 } })
  })

  test('is changed once when a request is repeated whose answer was lost with its process', async () => {
    const { id, email, password, accessToken } = await someone()
    const send = () =>
      api.call('POST', '/v1/me/password', {
        body: { currentPassword: password, newPassword: ANOTHER },
        key: accessToken,
        headers: { 'idempotency-key': 'cambio' },
      })
    expect((await send()).status).toBe(204)
    // As a process leaves it that died before it kept its answer.
    await api.db.execute(
      sql`update idempotency_keys set status = null, headers = null, sealed_body = null, claim = ${randomUUID()},
        claimed_until = now() - interval '1 minute' where caller = ${`user:${id}`}`,
    )
    const again = await send()
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([204, null])
    expect((await signIn(email, ANOTHER)).status).toBe(200)
    const changes = (await auditOf(id)).filter(({ action }) => action === 'user.password_changed')
    expect(changes).toHaveLength(1)
  })

  test('makes links of an administrator that were not used yet useless', async () => {
    const { id, password, accessToken } = await someone()
    const { token } = (await post(`/v1/users/${id}/password-link`, {}, api.key)).body
    await change(accessToken, password, ANOTHER)
    expect((await post('/v1/auth/password', { token, password: ANOTHER })).status).toBe(404)
  })

  test('is not changed with a wrong one, nor into the same or a weak one', async () => {
    const { email, password, accessToken } = await someone()
    expect(await change(accessToken, 'wrong', ANOTHER)).toMatchObject({
      status: 403,
      body: { code: 'wrong_password' },
    })
    expect((await change(accessToken, password, password)).body.errors[0]).toMatchObject({
      path: 'newPassword',
      code: 'invalid_field',
    })
    expect((await change(accessToken, password, 'corta')).body.code).toBe('invalid_field')
    expect((await signIn(email, password)).status).toBe(200)
  })

  test('cannot be guessed by whoever has an access token: after ten tries the address is locked', async () => {
    const { id, email, password, accessToken } = await someone()
    for (let tries = 1; tries <= 10; tries++)
      expect((await change(accessToken, `wrong ${tries}`, ANOTHER)).body.code).toBe('wrong_password')
    for (let tries = 1; tries <= 2; tries++)
      expect((await change(accessToken, password, ANOTHER)).body.code).toBe('sign_in_locked')
    expect((await signIn(email, password)).body.code).toBe('sign_in_locked')
    expect((await auditOf(id)).filter(({ action }) => action === 'user.sign_in_locked')).toHaveLength(1)
    skippedMs += 15 * 60_000 + 1000
    // The access token is over too.
    const again = (await signIn(email, password)).body
    expect((await change(again.accessToken, password, ANOTHER)).status).toBe(204)
  })

  test('of somebody who has none cannot be changed', async () => {
    const { id, password, accessToken } = await someone()
    await api.db.execute(`update users set password_hash = null where id = '${id}'`)
    expect(await change(accessToken, password, ANOTHER)).toMatchObject({
      status: 409,
      body: { code: 'no_password' },
    })
  })

  test('is nothing that a key has', async () => {
    expect(await change(api.key, 'whatever', ANOTHER)).toMatchObject({
      status: 403,
      body: { code: 'people_only' },
    })
  })
})

describe('all sessions', () => {
  test('of a person end when they sign out everywhere, and those of others go on', async () => {
    const { id, email, password, accessToken, refreshToken } = await someone()
    const other = await someone()
    const elsewhere = (await signIn(email, password)).body
    expect((await api.call('DELETE', '/v1/me/sessions', { key: accessToken })).status).toBe(204)
    expect([await works(accessToken), await works(elsewhere.accessToken)]).toEqual([false, false])
    expect((await post('/v1/auth/refresh', { refreshToken })).status).toBe(401)
    expect(await works(other.accessToken)).toBe(true)
    expect((await signIn(email, password)).status).toBe(200)
    const entry = (await auditOf(id)).find(({ action }) => action === 'user.sessions_ended')
    expect(entry).toMatchObject({ actor: `user:${id}`, detail: { sessions: 2 } })
    expect((await api.call('DELETE', '/v1/me/sessions')).body.code).toBe('people_only')
  })

  test('of a user are ended by an administrator, at once', async () => {
    const { id, email, password, accessToken, refreshToken } = await someone()
    expect((await api.call('DELETE', `/v1/users/${id}/sessions`)).status).toBe(204)
    expect(await works(accessToken)).toBe(false)
    expect((await post('/v1/auth/refresh', { refreshToken })).body.code).toBe('wrong_refresh_token')
    expect((await signIn(email, password)).status).toBe(200)
    const entry = (await auditOf(id)).find(({ action }) => action === 'user.sessions_ended')
    expect(entry?.actor).toMatch(/^api_key:/)
    const nobody = await api.call('DELETE', `/v1/users/${crypto.randomUUID()}/sessions`)
    expect(nobody.body.code).toBe('user_not_found')
  })
})
