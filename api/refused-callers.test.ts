import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { type OperationId, PERMISSIONS, permissionOf } from './permissions.ts'
import { callApi, openTestApi, signInUser, type TestApi } from './test-api.ts'

/** Credentials that were good once: none of them opens anything any more. */

const HOUR_MS = 3_600_000

let google: GoogleSandbox
let api: TestApi
let skippedMs = 0
const over: Record<string, string> = {}

beforeAll(async () => {
  const nowMs = () => Date.now() + skippedMs
  google = await openGoogle({ nowMs })
  const clock = { now: nowMs, sleep: async () => {} }
  const env = { TESTIGO_RATE_LIMIT: '0', TESTIGO_SIGN_IN_RATE_LIMIT: '0' }
  api = await openTestApi(google, undefined, { clock, env })
  const done = async (method: string, path: string, body?: unknown) => {
    const answer = await api.call(method, path, body === undefined ? {} : { body })
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300)
    return answer.body
  }
  const key = (more: object = {}) => done('POST', '/v1/keys', { name: 'x', role: 'admin', ...more })
  const person = (name: string) =>
    signInUser(api.url, api.key, { role: 'admin', email: `${name}@clinica.example` })
  const token = async ({ id, key }: { id: string; key: string }) => {
    const text = `grant_type=client_credentials&client_id=${id}&client_secret=${key}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return (await api.call('POST', '/v1/oauth/token', { text, headers, key: '' })).body.access_token
  }

  const old = await token(await key())
  skippedMs += HOUR_MS
  const expiring = await key({ expiresAt: new Date(nowMs() + HOUR_MS).toISOString() })
  const rotated = await key()
  await done('POST', `/v1/keys/${rotated.id}/rotate`, { overlapHours: 1 })
  skippedMs += HOUR_MS + 1000

  const revoked = await key()
  const given = await token(revoked)
  await done('DELETE', `/v1/keys/${revoked.id}`)
  const replaced = await key()
  await done('POST', `/v1/keys/${replaced.id}/rotate`, { overlapHours: 0 })
  const [out, ended, disabled, reused] = [
    await person('out'),
    await person('ended'),
    await person('disabled'),
    await person('reused'),
  ]
  await done('POST', '/v1/auth/sign-out', { refreshToken: out.refreshToken })
  await done('DELETE', `/v1/users/${ended.id}/sessions`)
  await done('PATCH', `/v1/users/${disabled.id}`, { status: 'disabled' })
  await api.db.execute(
    `update sessions set revoked_at = now(), revoked_because = 'reused' where user_id = '${reused.id}'`,
  )
  Object.assign(over, {
    'a key that is revoked': revoked.key,
    'a token of a key that is revoked': given,
    'a key that expired': expiring.key,
    'a key whose overlap after a rotation is over': rotated.key,
    'a key that was rotated without overlap': replaced.key,
    'a token that is over': old,
    'a person who signed out': out.accessToken,
    'a person whose sessions an administrator ended': ended.accessToken,
    'a person who is disabled': disabled.accessToken,
    'a person whose refresh token was used twice': reused.accessToken,
    'a refresh token in the place of an access token': (await person('refresh')).refreshToken,
  })
  for (const [what, credential] of Object.entries(over)) expect(credential, what).toMatch(/\S{20}/)
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const CLOSED = (Object.keys(PERMISSIONS) as OperationId[]).filter(
  operation => permissionOf(operation).roles !== 'everybody',
)

describe.each(CLOSED)('%s', operation => {
  test('is closed to all that was good once', async () => {
    const [method = '', path = ''] = PERMISSIONS[operation].route.split(' ')
    const at = path.replace(/\{\w+\}/g, crypto.randomUUID())
    expect(Object.keys(over).length).toBeGreaterThan(10)
    for (const [what, key] of Object.entries(over)) {
      const answer = await callApi(api.url, method, at, { key, ...(method !== 'GET' && { body: {} }) })
      expect(answer.status, what).toBe(401)
      expect(answer.body.code, what).toBe(key.startsWith('t') ? 'wrong_api_key' : 'wrong_access_token')
      expect(answer.headers.get('www-authenticate'), what).toContain('error="invalid_token"')
    }
  })
})
