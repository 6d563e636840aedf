import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { openTestApi, signInUser, type TestApi } from './test-api.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, undefined, {
    env: {
      TESTIGO_RATE_LIMIT: '5',
      TESTIGO_SIGN_IN_RATE_LIMIT: '3',
      TESTIGO_TRUSTED_PROXIES: 'loopback',
      TESTIGO_CORS_ORIGINS: 'https://app.example, https://otra.example',
    },
  })
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

describe('a key', () => {
  test('is told how many requests it has left, and to wait when it has none; others go on', async () => {
    const key = await api.keyOf('Clínica Andina')
    const me = () => api.call('GET', '/v1/me', { key })
    const first = await me()
    expect(first.headers.get('ratelimit-policy')).toMatch(/"caller"; q=5; w=60/)
    expect(first.headers.get('ratelimit')).toMatch(/"caller"; r=4; t=\d+/)
    const codes = []
    for (let asked = 2; asked <= 6; asked++) codes.push((await me()).status)
    expect(codes).toEqual([200, 200, 200, 200, 429])
    const answer = await me()
    expect(answer.body.code).toBe('too_many_requests')
    const wait = Number(answer.headers.get('retry-after'))
    expect(wait).toBeGreaterThanOrEqual(1)
    expect(wait).toBeLessThanOrEqual(60)
    expect(answer.body.retryAfterSeconds).toBe(wait)
    expect((await api.call('GET', '/v1/me', { key: await api.keyOf('Clínica Andina') })).status).toBe(200)
  })

  test('has no more of them with a token, or at addresses that it may not use', async () => {
    const key = await api.keyOf('Clínica Andina', 'auditor')
    for (let asked = 1; asked <= 5; asked++)
      expect((await api.call('POST', '/v1/meetings', { key, body: {} })).status).toBe(403)
    expect((await api.call('POST', '/v1/meetings', { key, body: {} })).status).toBe(429)
  })
})

describe('an address', () => {
  const from = (address: string) =>
    api.call('POST', '/v1/auth/sign-in', {
      key: '',
      body: { email: `${crypto.randomUUID()}@a.example`, password: 'x' },
      headers: { 'x-forwarded-for': address },
    })

  test('has few tries to sign in, however many users it tries', async () => {
    const codes = []
    for (let tries = 1; tries <= 4; tries++) codes.push((await from('203.0.113.7')).body.code)
    expect(codes).toEqual([
      'wrong_credentials',
      'wrong_credentials',
      'wrong_credentials',
      'too_many_requests',
    ])
    expect((await from('203.0.113.8')).body.code).toBe('wrong_credentials')
    const token = await api.call('POST', '/v1/oauth/token', {
      key: '',
      headers: { 'x-forwarded-for': '203.0.113.7' },
    })
    expect([token.status, token.headers.has('retry-after')]).toEqual([429, true])
  })

  test('of IPv6 counts with its whole network', async () => {
    for (let tries = 1; tries <= 3; tries++) await from(`2001:db8:1:2::${tries}`)
    expect((await from('2001:db8:1:2:ffff::9')).status).toBe(429)
    expect((await from('2001:db8:9:2::1')).status).toBe(401)
  })
})

describe('an address that comes with bad keys', () => {
  const me = (key: string, address: string) =>
    api.call('GET', '/v1/me', { key, headers: { 'x-forwarded-for': address } })
  const invented = () => `tk_00000000_${crypto.randomUUID().replaceAll('-', '')}AAAAAAAAAAA`
  const forged = () => `${btoa('{}')}.${btoa('{}')}.${crypto.randomUUID()}`

  test.each([
    ['keys', invented],
    ['tokens', forged],
  ])('is told to wait after a few %s, others are not', async (what, guess) => {
    const address = what === 'keys' ? '198.51.100.1' : '198.51.100.2'
    const codes = []
    for (let tries = 1; tries <= 4; tries++) codes.push((await me(guess(), address)).status)
    expect(codes).toEqual([401, 401, 401, 429])
    const refused = await me(guess(), address)
    expect(refused.body.code).toBe('too_many_requests')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect((await me(guess(), '198.51.100.99')).status).toBe(401)
  })

  test('does not shut out those who were good before, but a good key that is new there waits', async () => {
    const [known, fresh] = [await api.keyOf('Clínica Andina'), await api.keyOf('Clínica Andina')]
    const address = '198.51.100.3'
    expect((await me(known, address)).status).toBe(200)
    for (let tries = 1; tries <= 3; tries++) await me(invented(), address)
    expect((await me(known, address)).status).toBe(200)
    expect((await me(fresh, address)).status).toBe(429)
    expect((await me(fresh, '198.51.100.98')).status).toBe(200)
  })

  test('is not told to wait for tokens of ours that are over', async () => {
    const email = `${crypto.randomUUID()}@clinica.example`
    const { id, accessToken } = await signInUser(api.url, api.key, { role: 'auditor', email })
    await api.call('DELETE', `/v1/users/${id}/sessions`, { key: await api.keyOf('Clínica Andina') })
    for (let tries = 1; tries <= 5; tries++)
      expect((await me(accessToken, '198.51.100.4')).body.code).toBe('wrong_access_token')
  })
})

test('where no proxy is believed, a header makes nobody another', async () => {
  await using plain = await another({ TESTIGO_SIGN_IN_RATE_LIMIT: '2' })
  const statuses = []
  for (const address of ['203.0.113.1', '203.0.113.2', '203.0.113.3']) {
    const body = { email: 'a@a.example', password: 'x' }
    const answer = await plain.call('POST', '/v1/auth/sign-in', {
      key: '',
      body,
      headers: { 'x-forwarded-for': address },
    })
    statuses.push(answer.status)
  }
  expect(statuses).toEqual([401, 401, 429])
})

describe('pages of other sites', () => {
  const preflight = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization',
  }

  test('may call when their origin is named', async () => {
    const headers = { origin: 'https://otra.example' }
    const asked = await api.call('OPTIONS', '/v1/meetings', {
      key: '',
      headers: { ...headers, ...preflight },
    })
    expect(asked.status).toBe(204)
    expect(asked.headers.get('access-control-allow-origin')).toBe('https://otra.example')
    expect(asked.headers.get('access-control-allow-methods')).toContain('PATCH')
    expect(asked.headers.get('access-control-allow-headers')).toMatch(/Authorization.*Idempotency-Key/)
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull()
    const answer = await api.call('GET', '/v1/meetings', { key: '', headers })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://otra.example')
    expect(answer.headers.get('access-control-expose-headers')).toContain('X-Request-Id')
    expect(answer.headers.get('vary')).toContain('Origin')
  })

  test.each(['https://app.example.evil', 'http://app.example', 'null', 'https://APP.example:444'])(
    'may not from %s',
    async origin => {
      const answer = await api.call('OPTIONS', '/v1/meetings', { key: '', headers: { origin, ...preflight } })
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
      expect(answer.headers.get('vary')).toContain('Origin')
    },
  )

  test('may not at all unless it is set', async () => {
    await using plain = await another({})
    const headers = { origin: 'https://app.example' }
    const answer = await plain.call('GET', '/v1/meetings', { headers })
    expect(answer.status).toBe(200)
    expect([...answer.headers.keys()].filter(name => name.startsWith('access-control'))).toEqual([])
  })
})

async function another(env: Record<string, string>) {
  const opened = await openTestApi(google, undefined, { env })
  return { ...opened, [Symbol.asyncDispose]: opened.close }
}
