import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../config.ts'
import { openDatabase } from '../db/connect.ts'
import type { Log } from '../log.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { meetingChangeSchema, newMeetingSchema } from './meetings.schema.ts'
import { OUTSIDE_V1, PERMISSIONS } from './permissions.ts'
import { PROBLEMS } from './problem.ts'
import { startApi } from './start.ts'
import { callApi, newMeeting, openTestApi, openTestWorld, type TestApi } from './test-api.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google)
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

/** A log that keeps its lines. */
function keepingLog(): Log & { lines: string[] } {
  const lines: string[] = []
  const keep = (fields: object, message: string) => void lines.push(JSON.stringify({ ...fields, message }))
  const log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log, lines }
  return log
}

describe('health', () => {
  test('is answered without a key', async () => {
    expect(await api.call('GET', '/healthz', { key: '' })).toMatchObject({
      status: 200,
      body: { status: 'ok' },
    })
    expect(await api.call('GET', '/readyz', { key: '' })).toMatchObject({
      status: 200,
      body: { status: 'ready' },
    })
  })

  test('is not ready, though alive, when the database has gone, and requests are told to come back', async () => {
    await using world = await openTestWorld(google)
    const config = readConfig(world.env)
    await using lonely = await startApi(config, { databaseUrl: world.databaseUrl, log: keepingLog() })
    const key = await world.key('Clínica')
    expect((await callApi(lonely.url, 'GET', '/v1/meetings', { key })).status).toBe(200)
    const name = new URL(world.databaseUrl).pathname.slice(1)
    const admin = new URL(world.databaseUrl)
    admin.pathname = '/postgres'
    await using server = openDatabase(admin.href, { max: 1 })
    await server.db.execute(`alter database ${name} allow_connections false`)
    await server.db.execute(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and application_name like 'testigo%'`,
    )
    try {
      expect((await callApi(lonely.url, 'GET', '/readyz', {})).status).toBe(503)
      expect((await callApi(lonely.url, 'GET', '/healthz', {})).status).toBe(200)
      const answer = await callApi(lonely.url, 'GET', '/v1/meetings', { key })
      expect(answer.body.code).toBe('temporarily_unavailable')
      expect(answer.headers.get('retry-after')).toBe('5')
    } finally {
      await server.db.execute(`alter database ${name} allow_connections true`)
    }
    expect((await callApi(lonely.url, 'GET', '/v1/meetings', { key })).status).toBe(200)
  })
})

describe('the documents', () => {
  test('/openapi.json is OpenAPI 3.1 and names every route, its refusals and its schemas', async () => {
    const { body } = await api.call('GET', '/openapi.json', { key: '' })
    expect(body.openapi).toBe('3.1.0')
    const routes = Object.entries<object>(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method} ${path}`),
    )
    const named = Object.values({ ...PERMISSIONS, ...OUTSIDE_V1 }).map(({ route }) => {
      const [method = '', path = ''] = route.split(' ')
      return `${method.toLowerCase()} ${path}`
    })
    expect(routes.sort()).toEqual(named.sort())
    expect(body.paths['/v1/meetings'].post.responses['409'].description).toContain('external_id_taken')
    expect(body.components.schemas.NewMeeting.required).toEqual(['topic', 'start', 'end'])
    expect(body.components.schemas.NewMeeting.additionalProperties).toBe(false)
    expect(() => newMeetingSchema.parse(body.components.schemas.NewMeeting.example)).not.toThrow()
    expect(() => meetingChangeSchema.parse(body.components.schemas.MeetingChange.example)).not.toThrow()
    const refs = [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name,
    )
    for (const name of refs) expect(body.components.schemas).toHaveProperty(name ?? '')
    for (const code of body.components.schemas.Problem.properties.code.enum)
      expect(PROBLEMS).toHaveProperty(code)
  })

  test('/docs is a page that loads everything from here, as its policy demands', async () => {
    const page = await api.call('GET', '/docs', { key: '' })
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
    expect(page.headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests')
    const addresses = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address)
    expect(addresses.length).toBeGreaterThanOrEqual(4)
    for (const address of addresses) {
      expect(address).toMatch(/^\/docs\//)
      expect((await api.call('GET', address, { key: '' })).status).toBe(200)
    }
    expect((await api.call('GET', '/docs/start.js', { key: '' })).body).toContain("'/openapi.json'")
  })
})

test('answers do not say what they are made with, and carry the request id that was sent', async () => {
  const answer = await api.call('GET', '/v1/meetings', { headers: { 'x-request-id': 'xoma-7' } })
  expect(answer.headers.get('x-powered-by')).toBeNull()
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  expect(answer.headers.get('x-request-id')).toBe('xoma-7')
  const odd = await api.call('GET', '/v1/meetings', { headers: { 'x-request-id': 'a b{}' } })
  expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
})

test('the log tells who asked for what, and neither key nor query', async () => {
  const log = keepingLog()
  await using logged = await startApi(readConfig(api.env), { databaseUrl: api.databaseUrl, log })
  const { key } = api
  const headers = { 'x-request-id': 'log-1' }
  await callApi(logged.url, 'GET', '/v1/meetings?participant=secreta@clinica.example', { key, headers })
  await callApi(logged.url, 'POST', '/v1/meetings', { key, body: newMeeting() })
  await callApi(logged.url, 'POST', '/v1/meetings', { key, body: newMeeting({ topic: '' }) })
  const text = log.lines.join('\n')
  const line = JSON.parse(log.lines.find(one => one.includes('log-1')) ?? '{}')
  expect(line).toMatchObject({
    method: 'GET',
    path: '/v1/meetings',
    status: 200,
    actor: `api_key:${key.slice(3, 11)}`,
  })
  expect(text).not.toContain(key)
  expect(text).not.toContain('secreta')
})

describe('the API process', () => {
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  async function run(env: Record<string, string>) {
    const child = spawn(process.execPath, [main], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let words = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words += text
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
    const [code] = await once(child, 'close')
    clearTimeout(timer)
    return { code, words }
  }

  test('refuses settings with sentences and no stack', async () => {
    const { code, words } = await run({ DATABASE_URL: 'mysql://x', TESTIGO_PROT: '1' })
    expect(code).toBe(1)
    expect(words).toContain('TESTIGO_PROT is not a setting')
    expect(words).toContain('DATABASE_URL')
    expect(words).not.toMatch(/^\s+at /m)
  })

  test('says what to set when there is no organizer, or the port is taken', async () => {
    const { TESTIGO_GOOGLE_ORGANIZER: _, ...env } = api.env
    const nobody = await run(env)
    expect(nobody.code).toBe(1)
    expect(nobody.words).toContain('TESTIGO_GOOGLE_ORGANIZER')
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const busy = await run({ ...api.env, PORT: String(port) })
    taken.close()
    expect(busy).toEqual({
      code: 1,
      words: `Port ${port} is taken by another program. Set PORT to a free one, or to 0 for any.\n`,
    })
  })
})
