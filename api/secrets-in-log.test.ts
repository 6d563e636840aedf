import { afterAll, beforeAll, expect, test } from 'vitest'
import { setGoogleDomain } from '../db/organizations.ts'
import type { Log } from '../log.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { SIGN_IN_CLIENT } from '../sandbox/google/sign-in.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, type TestApi } from './test-api.ts'

let google: GoogleSandbox
let api: TestApi
const lines: string[] = []

// Everything a line of any level could hold, errors with their causes too; nothing is taken out.
function write(value: unknown, depth = 0): unknown {
  if (depth > 8 || typeof value !== 'object' || value === null) return value
  const names = new Set([
    ...Object.keys(value),
    ...(value instanceof Error ? ['name', 'message', 'stack', 'cause'] : []),
  ])
  return Object.fromEntries(
    [...names].map(name => [name, write((value as Record<string, unknown>)[name], depth + 1)]),
  )
}
const keep = (fields: object, message: string) =>
  void lines.push(JSON.stringify({ ...(write(fields) as object), message }))
const log: Log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log }

beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, undefined, {
    log,
    env: {
      TESTIGO_SIGN_IN_RATE_LIMIT: '0',
      TESTIGO_PUBLIC_URL: 'https://testigo.example',
      TESTIGO_GOOGLE_CLIENT_ID: SIGN_IN_CLIENT.clientId,
      TESTIGO_GOOGLE_CLIENT_SECRET: SIGN_IN_CLIENT.clientSecret,
      TESTIGO_GOOGLE_ISSUER_URL: google.url,
    },
  })
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

test('no secret of the whole life of keys, clients, people and sessions is in the log, nor in the database as it is', async () => {
  const secrets: Record<string, string> = {
    adminKey: api.key,
    googleClientSecret: SIGN_IN_CLIENT.clientSecret,
  }
  const know = (name: string, secret: string) => {
    expect(secret, name).toMatch(/\S{8}/)
    secrets[name] = secret
    return secret
  }
  const post = (path: string, body: object, key = '') => api.call('POST', path, { body, key })

  const made = (await post('/v1/keys', { name: 'x', role: 'service' }, api.key)).body
  know('key', made.key)
  know('rotatedKey', (await post(`/v1/keys/${made.id}/rotate`, {}, api.key)).body.key)
  const token = (headers: Record<string, string>, form: Record<string, string>) =>
    api.call('POST', '/v1/oauth/token', {
      key: '',
      text: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    })
  const basic = know('basic', Buffer.from(`${made.id}:${secrets.rotatedKey}`).toString('base64'))
  const client = await token({ authorization: `Basic ${basic}` }, {})
  know('clientToken', client.body.access_token)
  await token({}, { client_id: made.id, client_secret: `${secrets.key}x` })
  await api.call('GET', '/v1/meetings', { key: secrets.clientToken as string })
  await api.call('GET', '/v1/meetings', { key: `${secrets.clientToken}x` })

  const email = 'ana.secreta@clinica.example'
  const user = (await post('/v1/users', { email, role: 'admin' }, api.key)).body
  know('link', (await post(`/v1/users/${user.id}/password-link`, {}, api.key)).body.token)
  know('password', 'Contraseña-muy-secreta-1')
  await post('/v1/auth/password', { token: secrets.link, password: 'corta-9!' })
  await post('/v1/auth/password', { token: secrets.link, password: secrets.password })
  know('wrongPassword', 'Contraseña-equivocada-2')
  await post('/v1/auth/sign-in', { email, password: secrets.wrongPassword })
  await post('/v1/auth/sign-in', { email, password: secrets.wrongPassword, extra: 1 })
  const entered = (await post('/v1/auth/sign-in', { email, password: secrets.password })).body
  know('accessToken', entered.accessToken)
  know('refreshToken', entered.refreshToken)
  await post('/v1/meetings', newMeeting(), entered.accessToken)
  const webhook = (await post('/v1/webhooks', { url: 'https://127.0.0.1:9/x' }, entered.accessToken)).body
  know('webhookSecret', webhook.secret)
  const next = (await post('/v1/auth/refresh', { refreshToken: entered.refreshToken })).body
  know('nextRefreshToken', next.refreshToken)
  await post('/v1/auth/refresh', { refreshToken: entered.refreshToken })
  await post('/v1/auth/sign-out', { refreshToken: next.refreshToken })
  await api.call('GET', `/v1/meetings?key=${api.key}&participant=${email}`)

  await setGoogleDomain(api.db, 'Clínica Andina', 'clinica.example')
  const begun = await fetch(`${api.url}/v1/auth/google`, { redirect: 'manual' })
  const [cookie = ''] = (begun.headers.get('set-cookie') ?? '').split(';')
  know('cookie', cookie.split('=')[1] ?? '')
  const page = new URL(begun.headers.get('location') ?? '')
  know('state', page.searchParams.get('state') ?? '')
  know('nonce', page.searchParams.get('nonce') ?? '')
  const back = new URL((await fetch(page, { redirect: 'manual' })).headers.get('location') ?? '')
  know('code', back.searchParams.get('code') ?? '')
  const enter = () => fetch(api.url + back.pathname + back.search, { headers: { cookie } })
  const byGoogle = (await (await enter()).json()) as { accessToken: string; refreshToken: string }
  know('googleAccessToken', byGoogle.accessToken)
  know('googleRefreshToken', byGoogle.refreshToken)
  expect((await enter()).status).toBe(401)

  // Errors that nobody foresaw are logged with all they know.
  await api.db.execute('alter table users rename to users_away')
  await api.db.execute('alter table api_keys rename to api_keys_away')
  try {
    for (const [path, body, key] of [
      ['/v1/auth/sign-in', { email: 'otra@clinica.example', password: secrets.password }, ''],
      ['/v1/auth/refresh', { refreshToken: byGoogle.refreshToken }, ''],
      ['/v1/meetings', {}, api.key],
      ['/v1/meetings', {}, byGoogle.accessToken],
    ] as const)
      expect((await post(path, body, key)).status, path).toBe(500)
    expect(
      (await token({}, { client_id: made.id, client_secret: secrets.rotatedKey as string })).status,
    ).toBe(500)
  } finally {
    await api.db.execute('alter table users_away rename to users')
    await api.db.execute('alter table api_keys_away rename to api_keys')
  }

  const text = lines.join('\n')
  expect(lines.length).toBeGreaterThan(25)
  expect(text).toContain('/v1/auth/sign-in')
  for (const [name, secret] of Object.entries(secrets)) {
    expect(text.includes(secret), `${name} in the log`).toBe(false)
    expect(text.includes(encodeURIComponent(secret)), `${name} in the log, encoded`).toBe(false)
  }
  expect(text).not.toContain('ana.secreta')

  const tables = await api.db.execute<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
  )
  for (const { name } of tables) {
    const [{ rows = '' } = {}] = await api.db.execute<{ rows: string }>(
      `select coalesce(string_agg(t::text, ' '), '') as rows from "${name}" t`,
    )
    for (const [secretName, secret] of Object.entries(secrets))
      expect(rows.includes(secret), `${secretName} in the table ${name}`).toBe(false)
  }
})
