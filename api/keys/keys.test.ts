import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openTestApi, type TestApi, until } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
let skippedMs = 0
beforeAll(async () => {
  const nowMs = () => Date.now() + skippedMs
  google = await openGoogle({ nowMs })
  const clock = { now: nowMs, sleep: async () => {} }
  api = await openTestApi(google, undefined, { clock })
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const HOUR_MS = 3_600_000
const make = async (body: object = {}) => {
  const answer = await api.call('POST', '/v1/keys', { body: { name: 'XOMA', role: 'service', ...body } })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}
const works = async (key: string) => (await api.call('GET', '/v1/me', { key })).status === 200

describe('a key', () => {
  test('is shown once, and then only how it begins', async () => {
    const { key, ...shown } = await make()
    expect(key).toMatch(/^tk_[0-9a-f]{8}_[\w-]{43}$/)
    expect(shown).toMatchObject({
      prefix: key.slice(0, 11),
      status: 'in_force',
      scopes: null,
      lastUsedAt: null,
    })
    expect(shown.createdBy).toMatch(/^key:/)
    expect((await api.call('GET', `/v1/keys/${shown.id}`)).body).toEqual(shown)
    expect(JSON.stringify((await api.call('GET', '/v1/keys?limit=200')).body)).not.toContain(key.slice(12))
    expect(await works(key)).toBe(true)
    expect((await api.call('GET', `/v1/keys/${shown.id}`)).body.lastUsedAt).not.toBeNull()
  })

  test('gets a new secret while the one before works on for as long as was asked', async () => {
    const { key: first, id } = await make()
    const rotated = await api.call('POST', `/v1/keys/${id}/rotate`, { body: { overlapHours: 2 } })
    const second = rotated.body.key
    expect(rotated.body).toMatchObject({
      id,
      prefix: second.slice(0, 11),
      previous: { prefix: first.slice(0, 11) },
    })
    expect([await works(first), await works(second)]).toEqual([true, true])
    skippedMs += 2 * HOUR_MS + 1000
    expect([await works(first), await works(second)]).toEqual([false, true])
    expect((await api.call('GET', `/v1/keys/${id}`)).body.previous).toBeNull()
    const { key: third } = (await api.call('POST', `/v1/keys/${id}/rotate`, { body: { overlapHours: 0 } }))
      .body
    expect([await works(first), await works(second), await works(third)]).toEqual([false, false, true])
  })

  test('that is revoked stops at once, with both its secrets and its tokens, and is not rotated', async () => {
    const { key, id } = await make()
    const { key: newer } = (await api.call('POST', `/v1/keys/${id}/rotate`)).body
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const text = `grant_type=client_credentials&client_id=${id}&client_secret=${newer}`
    const token = (await api.call('POST', '/v1/oauth/token', { text, headers, key: '' })).body.access_token
    expect(await Promise.all([key, newer, token].map(works))).toEqual([true, true, true])
    expect((await api.call('DELETE', `/v1/keys/${id}`)).status).toBe(204)
    expect(await Promise.all([key, newer, token].map(works))).toEqual([false, false, false])
    expect((await api.call('DELETE', `/v1/keys/${id}`)).status).toBe(204)
    expect((await api.call('POST', `/v1/keys/${id}/rotate`)).body.code).toBe('key_not_in_force')
    expect((await api.call('GET', `/v1/keys/${id}`)).body.status).toBe('revoked')
  })

  test('works until it expires', async () => {
    const expiresAt = new Date(Date.now() + skippedMs + HOUR_MS).toISOString()
    const { key, id } = await make({ expiresAt })
    expect(await works(key)).toBe(true)
    skippedMs += HOUR_MS
    expect(await works(key)).toBe(false)
    expect((await api.call('GET', `/v1/keys/${id}`)).body).toMatchObject({ status: 'expired', expiresAt })
  })

  test('leaves its life in the audit log, without its secret', async () => {
    const { id, key } = await make()
    await api.call('POST', `/v1/keys/${id}/rotate`)
    await api.call('DELETE', `/v1/keys/${id}`)
    const rows = await until('three rows of the audit log', async () => {
      const found = await api.db.query.auditLog.findMany({
        where: (row, { eq }) => eq(row.subject, `api_key:${id}`),
      })
      return found.length === 3 && found
    })
    expect(rows.map(row => row.action).sort()).toEqual([
      'api_key.created',
      'api_key.revoked',
      'api_key.rotated',
    ])
    expect(JSON.stringify(rows)).not.toContain(key.slice(12))
  })
})

describe('nobody hands on more than they have', () => {
  test.each([
    ['a key with another scope', { role: 'admin', scopes: ['users:manage'] }, 403],
    ['a key with everything its role may', { role: 'admin' }, 403],
    ['a key of another role with a scope it lacks', { role: 'service' }, 403],
    ['a key with its own scope', { role: 'admin', scopes: ['keys:manage'] }, 201],
  ])('%s', async (_what, body, status) => {
    const { key } = await make({ role: 'admin', scopes: ['keys:manage'] })
    const answer = await api.call('POST', '/v1/keys', { key, body: { name: 'x', ...body } })
    expect(answer.status).toBe(status)
    if (status === 403) expect(answer.body.code).toBe('beyond_own_scopes')
  })

  test('and so cannot rotate a greater key into their hands', async () => {
    const { key } = await make({ role: 'admin', scopes: ['keys:manage'] })
    const { id } = await make({ role: 'admin' })
    expect((await api.call('POST', `/v1/keys/${id}/rotate`, { key })).body.code).toBe('beyond_own_scopes')
  })
})

test.each([
  ['no role', { role: undefined }, 'missing_field'],
  ['a role that does not exist', { role: 'boss' }, 'invalid_field'],
  ['a scope of no use to the role', { scopes: ['keys:manage'] }, 'invalid_field'],
  ['the same scope twice', { scopes: ['meetings:read', 'meetings:read'] }, 'invalid_field'],
  ['no scope at all', { scopes: [] }, 'invalid_field'],
  ['an end in the past', { expiresAt: '2020-01-01T00:00:00Z' }, 'invalid_field'],
  ['an unknown field', { hash: 'x' }, 'unknown_field'],
])('a new key with %s is refused', async (_what, body, code) => {
  const answer = await api.call('POST', '/v1/keys', { body: { name: 'x', role: 'service', ...body } })
  expect([answer.status, answer.body.code]).toEqual([422, code])
})
