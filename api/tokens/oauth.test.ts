import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openTestApi, type TestApi } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
let client: { id: string; secret: string }
let skippedMs = 0
beforeAll(async () => {
  const nowMs = () => Date.now() + skippedMs
  google = await openGoogle({ nowMs })
  const clock = { now: nowMs, sleep: async () => {} }
  const env = { TESTIGO_PUBLIC_URL: 'https://testigo.example' }
  api = await openTestApi(google, undefined, { clock, env })
  const body = { name: 'ERP', role: 'service', scopes: ['meetings:read', 'meetings:write'] }
  const made = (await api.call('POST', '/v1/keys', { body })).body
  client = { id: made.id, secret: made.key }
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const FORM = 'application/x-www-form-urlencoded'
function ask(form: Record<string, string> | string, headers: Record<string, string> = {}) {
  const text = typeof form === 'string' ? form : new URLSearchParams(form).toString()
  return api.call('POST', '/v1/oauth/token', { text, headers: { 'content-type': FORM, ...headers }, key: '' })
}
const grant = { grant_type: 'client_credentials' }
const inForm = () => ({ ...grant, client_id: client.id, client_secret: client.secret })
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
})

describe('a client gets a token', () => {
  test.each(['in the form', 'by Basic authentication'])('with its credentials %s', async way => {
    const answer = await (way === 'in the form' ? ask(inForm()) : ask(grant, basic(client.id, client.secret)))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(answer.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 600,
      scope: 'meetings:read meetings:write',
    })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('pragma')).toBe('no-cache')
    const me = await api.call('GET', '/v1/me', { key: answer.body.access_token })
    expect(me.body).toMatchObject({ kind: 'client', id: `key:${client.id}`, role: 'service' })
  })

  test('that can be checked with the published keys, and says whose it is', async () => {
    const { access_token: token } = (await ask(inForm())).body
    const published = await api.call('GET', '/.well-known/jwks.json', { key: '' })
    expect(published.headers.get('cache-control')).toContain('public')
    for (const jwk of published.body.keys)
      expect(Object.keys(jwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(published.body), {
      issuer: 'https://testigo.example',
      audience: 'testigo-api',
      currentDate: new Date(Date.now() + skippedMs),
    })
    expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: 'at+jwt' })
    expect(payload).toMatchObject({
      sub: client.id,
      client_id: client.id,
      scope: 'meetings:read meetings:write',
    })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(600)
  })

  test('for the scopes it asks for, which is then all that the token may', async () => {
    const { access_token: key, scope } = (await ask({ ...inForm(), scope: 'meetings:read' })).body
    expect(scope).toBe('meetings:read')
    expect((await api.call('GET', '/v1/meetings', { key })).status).toBe(200)
    const refused = await api.call('POST', '/v1/meetings', { key, body: {} })
    expect(refused.body.code).toBe('scope_missing')
  })

  test('that is over after ten minutes', async () => {
    const { access_token: key } = (await ask(inForm())).body
    skippedMs += 590_000
    expect((await api.call('GET', '/v1/me', { key })).status).toBe(200)
    skippedMs += 20_000
    const over = await api.call('GET', '/v1/me', { key })
    expect(over.body.code).toBe('wrong_access_token')
    expect(over.headers.get('www-authenticate')).toContain('error="invalid_token"')
  })
})

describe('refusals have the form of RFC 6749', () => {
  const wrongSecret = 'tk_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
  const cases: [string, () => ReturnType<typeof ask>, number, string][] = [
    ['a wrong secret', () => ask({ ...inForm(), client_secret: wrongSecret }), 401, 'invalid_client'],
    [
      "another client's id",
      () => ask({ ...inForm(), client_id: crypto.randomUUID() }),
      401,
      'invalid_client',
    ],
    ['a wrong secret by Basic', () => ask(grant, basic(client.id, wrongSecret)), 401, 'invalid_client'],
    ['no credentials', () => ask(grant), 401, 'invalid_client'],
    ['another scheme', () => ask(grant, { authorization: 'Bearer x' }), 401, 'invalid_client'],
    ['Basic that cannot be read', () => ask(grant, { authorization: 'Basic %%%' }), 401, 'invalid_client'],
    [
      'Basic that decodes badly',
      () => ask(grant, { authorization: `Basic ${btoa('%E0%A4%A:x')}` }),
      401,
      'invalid_client',
    ],
    [
      'credentials in both places',
      () => ask(inForm(), basic(client.id, client.secret)),
      400,
      'invalid_request',
    ],
    [
      'two ids',
      () => ask({ ...grant, client_id: 'x' }, basic(client.id, client.secret)),
      400,
      'invalid_request',
    ],
    ['no grant', () => ask({ client_id: client.id, client_secret: client.secret }), 400, 'invalid_request'],
    ['another grant', () => ask({ ...inForm(), grant_type: 'password' }), 400, 'unsupported_grant_type'],
    [
      'a parameter twice',
      () => ask(`${new URLSearchParams(inForm())}&scope=a&scope=b`),
      400,
      'invalid_request',
    ],
    ['a scope it has not', () => ask({ ...inForm(), scope: 'keys:manage' }), 400, 'invalid_scope'],
    [
      'JSON',
      () => ask(JSON.stringify(inForm()), { 'content-type': 'application/json' }),
      400,
      'invalid_request',
    ],
    [
      'a form that is too large',
      () => ask(`${new URLSearchParams(inForm())}&x=${'x'.repeat(20_000)}`),
      400,
      'invalid_request',
    ],
    [
      'an unknown charset',
      () => ask(inForm(), { 'content-type': `${FORM}; charset=nope` }),
      400,
      'invalid_request',
    ],
  ]
  test.each(cases)('%s', async (_what, send, status, error) => {
    const answer = await send()
    expect([answer.status, answer.body.error], JSON.stringify(answer.body)).toEqual([status, error])
    expect(answer.body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
    expect(answer.headers.get('content-type')).toContain('application/json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    if (status === 401) expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /)
  })
})

describe('a token is refused that', () => {
  const forged = async (
    change: (parts: { header: object; claims: object }) => { header?: object; claims?: object },
  ) => {
    const { access_token: token } = (await ask(inForm())).body
    const parts = { header: decodeProtectedHeader(token), claims: decodeJwt(token) as object }
    const { header, claims } = { ...parts, ...change(parts) }
    return { token, header, claims }
  }
  const refused = async (key: string) => {
    const answer = await api.call('GET', '/v1/me', { key })
    expect([answer.status, answer.body.code]).toEqual([401, 'wrong_access_token'])
  }
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

  test('was changed', async () => {
    const { token, claims } = await forged(({ claims }) => ({ claims: { ...claims, scope: 'keys:manage' } }))
    const [head, , signature] = token.split('.')
    await refused(`${head}.${encode(claims)}.${signature}`)
  })
  test('is not signed', async () => {
    const { header, claims } = await forged(({ header }) => ({ header: { ...header, alg: 'none' } }))
    await refused(`${encode(header)}.${encode(claims)}.AA`)
  })
  test('is signed with the public key as if it were a shared secret', async () => {
    const { claims, header } = await forged(({ header }) => ({ header: { ...header, alg: 'HS256' } }))
    const { keys } = (await api.call('GET', '/.well-known/jwks.json', { key: '' })).body
    const secret = Buffer.from(JSON.stringify(keys[0]))
    await refused(
      await new SignJWT({ ...claims }).setProtectedHeader({ ...header, alg: 'HS256' }).sign(secret),
    )
  })
  test('names a key that is not ours', async () => {
    const { token, header } = await forged(({ header }) => ({
      header: { ...header, kid: crypto.randomUUID() },
    }))
    await refused([encode(header), ...token.split('.').slice(1)].join('.'))
  })
})

test('a form that cannot be unpacked is refused as OAuth says', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-encoding': 'br' }
  const text = 'grant_type=client_credentials'
  const answer = await api.call('POST', '/v1/oauth/token', { text, headers, key: '' })
  expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request'])
})
