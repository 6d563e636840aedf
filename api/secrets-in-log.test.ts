import { afterAll, beforeAll, expect, test } from 'vitest'
import { setGoogleDomain } from '../db/organizations.ts'
import type { Log } from '../log.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { SIGN_IN_CLIENT } from '../sandbox/google/sign-in.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { requestHash } from './idempotency/key.ts'
import { openApiDocument } from './openapi.ts'
import { operationAt } from './permissions.ts'
import { newMeeting, openTestApi, type TestApi, until } from './test-api.ts'

let google: GoogleSandbox
let api: TestApi
const lines: string[] = []
const asked = new Set<string>()

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
const keep = (fields: object, message: string) => {
  lines.push(JSON.stringify({ ...(write(fields) as object), message }))
  const { method, path } = fields as { method?: string; path?: string }
  const found = method && path ? operationAt(method, path) : {}
  if ('operation' in found) asked.add(found.operation as string)
}
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
  const post = (path: string, body: object, key = '') =>
    // Answers that are kept for a repeat hold the secrets that were given out.
    api.call('POST', path, { body, key, headers: { 'idempotency-key': crypto.randomUUID() } })

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
  const inAddress = know('inAddressOfWebhook', crypto.randomUUID())
  const url = `https://127.0.0.1:9/x?token=${inAddress}`
  const webhook = (await post('/v1/webhooks', { url }, entered.accessToken)).body
  know('webhookSecret', webhook.secret)
  const rotated = (await post(`/v1/webhooks/${webhook.id}/rotate-secret`, {}, entered.accessToken)).body
  know('rotatedWebhookSecret', rotated.secret)
  await post(`/v1/webhooks/${webhook.id}/test`, {}, entered.accessToken)
  await until('the test was posted', () => lines.some(line => line.includes('webhook posted')))
  const { id: meetingId } = (await api.call('GET', '/v1/meetings', { key: entered.accessToken })).body
    .items[0]
  await api.db.execute(
    `update recordings set status = 'available', s3_key = 'videos/x.mp4' where meeting_id = '${meetingId}'`,
  )
  const shown = await api.call('GET', `/v1/meetings/${meetingId}/recording`, { key: entered.accessToken })
  const link = /https?:[^"]+X-Amz-Signature=[0-9a-f]+/.exec(JSON.stringify(shown.body))?.[0] ?? ''
  know('signatureOfLink', new URL(link).searchParams.get('X-Amz-Signature') ?? '')
  know('newPassword', 'Contraseña-muy-nueva-3')
  for (const currentPassword of [secrets.wrongPassword, secrets.password])
    await post('/v1/me/password', { currentPassword, newPassword: secrets.newPassword }, entered.accessToken)
  const next = (await post('/v1/auth/refresh', { refreshToken: entered.refreshToken })).body
  know('nextRefreshToken', next.refreshToken)
  await post('/v1/auth/refresh', { refreshToken: entered.refreshToken })
  await post('/v1/auth/sign-out', { refreshToken: next.refreshToken })
  await api.call('GET', `/v1/meetings?key=${api.key}&participant=${email}`)

  const push = {
    'x-goog-channel-id': crypto.randomUUID(),
    'x-goog-channel-token': know('channelToken', crypto.randomUUID()),
    'x-goog-resource-id': 'resource',
    'x-goog-resource-state': 'exists',
    'x-goog-message-number': '1',
  }
  expect((await api.call('POST', '/v1/hooks/google/calendar', { key: '', headers: push })).status).toBe(404)
  const pushed = know('pushToken', `${btoa('{"alg":"RS256"}')}.${btoa('{}')}.${crypto.randomUUID()}`)
  await api.call('POST', '/v1/hooks/google/workspace-events', { key: pushed, body: {} })

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
  const unasked = secretOperations().filter(operation => !asked.has(operation))
  expect(secretOperations().length).toBeGreaterThan(11)
  expect(unasked, 'operations with a secret in them that this test does not ask').toEqual([])
  for (const [name, secret] of Object.entries(secrets)) {
    expect(text.includes(secret), `${name} in the log`).toBe(false)
    expect(text.includes(encodeURIComponent(secret)), `${name} in the log, encoded`).toBe(false)
  }
  expect(text).not.toContain('ana.secreta')

  // A password could be guessed by a plain hash of the request that it came in.
  const passwords = { currentPassword: secrets.password, newPassword: secrets.newPassword }
  secrets.hashOfRequest = requestHash({
    method: 'POST',
    originalUrl: '/v1/me/password',
    body: passwords,
    get: () => undefined,
  } as unknown as Parameters<typeof requestHash>[0])
  const tables = await api.db.execute<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
  )
  for (const { name } of tables) {
    const [{ rows = '' } = {}] = await api.db.execute<{ rows: string }>(
      `select coalesce(string_agg(t::text, ' '), '') as rows from "${name}" t`,
    )
    for (const [secretName, secret] of Object.entries(secrets).filter(
      // What a customer writes into an address is kept there, and nowhere else.
      ([secretName]) => !(secretName === 'inAddressOfWebhook' && name === 'webhook_endpoints'),
    ))
      expect(rows.includes(secret), `${secretName} in the table ${name}`).toBe(false)
  }
}, 60_000)

const SECRET_FIELD = /^(key|.*(secret|password|token))$/i
const SECRET_PARAMETERS = new Set(['code', 'state', 'X-Goog-Channel-Token'])

/** Operations that take or give what is a secret by its name, of what the API's document knows. */
function secretOperations(): string[] {
  const document = JSON.parse(JSON.stringify(openApiDocument()))
  const names = (node: unknown, depth = 0): string[] => {
    if (depth > 12 || typeof node !== 'object' || node === null) return []
    const { $ref, properties = {} } = node as { $ref?: string; properties?: object }
    const referred = $ref?.startsWith('#/components/schemas/') && document.components.schemas[$ref.slice(21)]
    return [
      ...Object.keys(properties),
      ...(referred ? names(referred, depth + 1) : []),
      ...Object.entries(node)
        .filter(([name]) => name !== 'examples' && name !== 'example')
        .flatMap(([, value]) => names(value, depth + 1)),
    ]
  }
  const operations = Object.values(document.paths).flatMap(methods => Object.values(methods as object))
  const parameters = (operation: { parameters?: { name: string }[] }) =>
    (operation.parameters ?? []).map(({ name }) => name)
  return operations
    .filter(
      operation =>
        names(operation).some(name => SECRET_FIELD.test(name) && name !== 'hasPassword') ||
        parameters(operation).some(name => SECRET_PARAMETERS.has(name)),
    )
    .map(operation => operation.operationId)
}
