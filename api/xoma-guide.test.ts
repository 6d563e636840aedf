import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { sql } from 'drizzle-orm'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { openApiDocument } from './openapi.ts'
import { operationsOf } from './openapi-document.ts'
import { newMeeting, openTestApi, type TestApi } from './test-api.ts'

// Every command of docs/xoma.md is run as it stands there, in its order, by bash and curl. A comment before a block says
// what it does: "curl: <operation> <status> [VARIABLE=member of the answer, or #header]…".

const run = promisify(execFile)
const document = openApiDocument()

/** Reads schemas of a document, by where they are in it. */
function schemasOf(whole: object): Ajv2020 {
  const ajv = new Ajv2020({ strict: false })
  addFormats.default(ajv)
  return ajv.addSchema({ ...whole, $id: 'testigo' })
}
const schemas = schemasOf(document)
// For answers of which the page shows some members only.
const schemasOfParts = schemasOf(
  JSON.parse(
    JSON.stringify(document, (key, part) => (key === 'required' && Array.isArray(part) ? undefined : part)),
  ),
)

const page = await readFile(join(import.meta.dirname, '../docs/xoma.md'), 'utf8')
const blocks = [...page.matchAll(/<!-- (curl|answer|event): (.*?) -->\n```(\w+)\n(.*?)```/gs)].map(
  ([, kind = '', what = '', language = '', code = '']) => ({ kind, what, language, code }),
)
const ofKind = (kind: string) => blocks.filter(block => block.kind === kind)
const VIDEO = Buffer.from('no video, but its bytes')

let google: GoogleSandbox
let api: TestApi
let bucket: Server
let folder: string
let variables: Record<string, string>

beforeAll(async () => {
  bucket = createServer((_request, response) => response.end(VIDEO)).listen(0, '127.0.0.1')
  await new Promise(resolve => bucket.once('listening', resolve))
  const { port } = bucket.address() as AddressInfo
  google = await openGoogle()
  api = await openTestApi(google, undefined, { env: { TESTIGO_S3_ENDPOINT: `http://127.0.0.1:${port}` } })
  folder = await mkdtemp(join(tmpdir(), 'testigo-guide-'))
  await writeFile(join(folder, '.curlrc'), `dump-header = "${join(folder, 'headers')}"\nmax-time = 60\n`)
  const service = await api.keyOf('Clínica Andina', 'service')
  const { id } = (await api.call('GET', '/v1/me', { key: service })).body
  const recorded = (await api.call('POST', '/v1/meetings', { body: newMeeting() })).body.id
  await api.db.execute(
    sql`update recordings set status = 'available', s3_key = 'videos/x.mp4' where meeting_id = ${recorded}`,
  )
  variables = {
    TESTIGO: api.url,
    CLIENT_ID: id.replace('key:', ''),
    CLIENT_SECRET: service,
    ADMIN_KEY: api.key,
    RECORDED_ID: recorded,
  }
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
  bucket?.close()
  if (folder) await rm(folder, { recursive: true })
})

/** The page's first days of December become days to come, on the same days of the week. */
function inTimeToCome(code: string): string {
  const WEEK_MS = 7 * 86_400_000
  const weeks = Math.max(0, Math.ceil((Date.now() + WEEK_MS - Date.parse('2026-12-01T00:00:00Z')) / WEEK_MS))
  return code.replaceAll(/\b202[67]-\d\d-\d\d(?=T)/g, day =>
    new Date(Date.parse(`${day}T00:00:00Z`) + weeks * WEEK_MS).toISOString().slice(0, 10),
  )
}

/** Where the schema of an answer is; undefined for an answer without a body. */
function schemaFor(operationId: string, status: number): string | undefined {
  const found = operationsOf(document).find(({ operation }) => operation.operationId === operationId)
  if (!found) throw new Error(`the page names an operation that is not there: ${operationId}`)
  const response = found.operation.responses[status]
  if (!response) throw new Error(`${operationId} does not answer with ${status}`)
  const [type] = Object.keys(response.content ?? {})
  if (!type) return undefined
  const at = (text: string) => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))
  return `testigo#/paths/${at(found.path)}/${found.method.toLowerCase()}/responses/${status}/content/${at(type)}/schema`
}

function expectShape(ajv: Ajv2020, $ref: string, json: string): void {
  const check = ajv.compile({ $ref })
  expect(check(JSON.parse(json)) ? null : check.errors, json).toBeNull()
}

const memberAt = (value: unknown, path: string) =>
  path.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], value)

async function perform(code: string): Promise<{ status: number; body: string; headers: string }> {
  const { stdout } = await run('bash', ['--norc', '-euo', 'pipefail', '-c', inTimeToCome(code)], {
    cwd: folder,
    env: { PATH: process.env.PATH, CURL_HOME: folder, ...variables },
    timeout: 60_000,
  })
  const headers = await readFile(join(folder, 'headers'), 'utf8')
  const [, status] = /^HTTP\/[\d.]+ (\d+)/m.exec(headers) ?? []
  // With -i the headers come before the body.
  return { status: Number(status), body: stdout.replace(/^HTTP\/[\s\S]*?\r\n\r\n/, ''), headers }
}

describe('every command of the page works as it says', () => {
  test.each(ofKind('curl'))('$what', async ({ what, code }) => {
    const [operation = '', status = '', ...rest] = what.split(' ')
    const answer = await perform(code)
    expect(answer.status, answer.body).toBe(Number(status))
    if (operation === 'none') {
      expect(await readFile(join(folder, 'reunion.mp4'))).toEqual(VIDEO)
      return
    }
    const schema = schemaFor(operation, Number(status))
    if (!schema) expect(answer.body).toBe('')
    else expectShape(schemas, schema, answer.body)
    for (const [, variable = '', source = ''] of rest.join(' ').matchAll(/([A-Z_]+)=(\S+)/g)) {
      const value = source.startsWith('#')
        ? new RegExp(`^${source.slice(1)}: (.*)\r$`, 'im').exec(answer.headers)?.[1]
        : memberAt(JSON.parse(answer.body), source)
      expect(value, `${what}: ${source}`).toBeTypeOf('string')
      variables[variable] = String(value)
    }
  })
})

test('a command that is repeated with its Idempotency-Key gets the first answer', async () => {
  const { code } = ofKind('curl').find(({ what }) => what.startsWith('createMeeting 201')) ?? { code: '' }
  const again = await perform(code)
  expect(again.status).toBe(201)
  expect(again.headers).toMatch(/^idempotency-replayed: true\r$/im)
})

describe('every answer that the page shows is of its shape', () => {
  test.each(ofKind('answer'))('$what', ({ what, code }) => {
    const [operation = '', status = '', some] = what.replace(',', '').split(' ')
    expectShape(some ? schemasOfParts : schemas, String(schemaFor(operation, Number(status))), code)
  })

  test.each(ofKind('event'))('$what', ({ what, code }) => {
    const [name = ''] = what.split(',')
    const at = `testigo#/webhooks/${name}/post/requestBody/content/application~1json/schema`
    expectShape(schemasOfParts, at, code)
  })
})

test('every member that the PL/SQL reads or writes is one of the document', () => {
  const known = JSON.stringify(document)
  const named = [...page.matchAll(/\b(?:get_(?:string|number|object|array|boolean)|put)\('(\w+)'/g)].map(
    ([, name]) => name,
  )
  expect(new Set(named).size).toBeGreaterThan(20)
  for (const name of named) expect(known, name).toContain(`"${name}":`)
})

test('the addresses that the PL/SQL calls are those of operations', () => {
  const called = [
    ...page.matchAll(/testigo\.ask\('(\w+)', '([^']+)'( \|\| :testigo_id(?: \|\| '([^']*)')?)?/g),
  ]
  expect(called.length).toBeGreaterThanOrEqual(5)
  const there = operationsOf(document).map(({ method, path }) => `${method} ${path}`)
  for (const [, method, path, hasId, rest = ''] of called)
    expect(there).toContain(`${method} ${path}${hasId ? '{id}' : ''}${rest}`)
})

test('the reasons that the page tells to watch for are those of the API', () => {
  const table = page.slice(page.indexOf('| respuesta |'))
  const codes = [...table.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, code]) => code)
  const known = JSON.stringify(document.components.examples) + JSON.stringify(document.components.schemas)
  expect(codes.length).toBeGreaterThan(10)
  for (const code of codes) expect(known, code).toContain(`"${code}"`)
})

test('the signature in the page is what Standard Webhooks makes of its secret, and what the PL/SQL computes', () => {
  const cell = (name: string) => new RegExp(`\\| ${name} \\| \`([^\`]+)\``).exec(page)?.[1] ?? ''
  const [secret, id, sentAt, body] = ['secreto', '`webhook-id`', '`webhook-timestamp`', 'cuerpo'].map(cell)
  const signature = new Webhook(String(secret)).sign(
    String(id),
    new Date(Number(sentAt) * 1000),
    String(body),
  )
  expect(cell('`webhook-signature`')).toBe(signature)
  const key = Buffer.from(String(secret).replace('whsec_', ''), 'base64')
  const mac = createHmac('sha256', key).update(`${id}.${sentAt}.${body}`).digest('base64')
  expect(`v1,${mac}`).toBe(signature)
})
