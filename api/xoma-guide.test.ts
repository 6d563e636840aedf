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

describe('the PL/SQL, as far as it can be judged without Oracle', () => {
  const units = [...page.matchAll(/```sql\n(.*?)```/gs)].flatMap(([, code = '']) => code.split(/^\/$/m))
  const unit = (start: string, holds = '') => {
    const head = `create or replace package ${start} `
    const found = units.filter(one => one.includes(head) && one.includes(holds))
    expect(found, start).toHaveLength(1)
    return found[0] ?? ''
  }
  const steps = page.split(/^## /m).filter(section => /^\d+\. /.test(section))

  test('both transports keep what their specification promises, each with its own means', () => {
    const [promised] = subprograms(unit('testigo_http'))
    expect(promised?.name).toBe('send')
    for (const [own, others] of [
      ['utl_http', 'apex_web_service'],
      ['apex_web_service', 'utl_http'],
    ] as const) {
      const body = unit('body testigo_http', `${own}.`)
      expect(subprograms(body)).toContainEqual(promised)
      expect(body).not.toContain(others)
    }
    const above = units.filter(one => !one.includes('package body testigo_http'))
    expect(above.join('')).not.toMatch(/\b(utl_http|apex_web_service)\./)
    expect(subprograms(unit('body testigo'))).toEqual(expect.arrayContaining(subprograms(unit('testigo'))))
  })

  test('every step has in PL/SQL whatever it has in curl', () => {
    expect(steps).toHaveLength(9)
    for (const step of steps) {
      const title = step.slice(0, step.indexOf('\n'))
      const shown = [...step.matchAll(/<!-- curl: (\w+) .*?-->\n```bash/g)].map(([, name = '']) => name)
      const code = [...step.matchAll(/```sql\n(.*?)```/gs)].map(([, sql = '']) => sql).join('/\n')
      const called = callsOf(code)
        .filter(({ name }) => name === 'ask')
        .map(call => operationOf(call, code))
      expect(shown.length, title).toBeGreaterThan(0)
      for (const operation of new Set(shown)) {
        if (operation === 'createToken') expect(code).toContain('testigo.token')
        else if (operation === 'none') expect(callsOf(code).map(({ name }) => name)).toContain('download')
        else expect(called, title).toContain(operation)
      }
    }
  })

  test('every call of the package names what it has, with arguments that it takes', () => {
    const there = new Map(subprograms(unit('testigo')).map(one => [one.name, one.parameters]))
    const calls = callsOf(steps.join(''))
    expect(calls.length).toBeGreaterThan(25)
    for (const { name, given } of calls) {
      const parameters = there.get(name) ?? []
      expect([...there.keys()]).toContain(name)
      expect(given.length, name).toBeLessThanOrEqual(parameters.length)
      const filled = given.map((one, at) => /^(\w+)\s*=>/.exec(one)?.[1] ?? parameters[at]?.name)
      for (const one of filled) expect(parameters.map(parameter => parameter.name)).toContain(one)
      expect(new Set(filled).size, name).toBe(filled.length)
      for (const one of parameters) if (!one.hasDefault) expect(filled, name).toContain(one.name)
    }
    for (const [, name] of withoutTexts(units.join('')).matchAll(/\btestigo\.(\w+)/g))
      expect([...there.keys(), 't_answer'], name).toContain(name)
  })

  test('every variable is declared, and every bracket and block is closed', () => {
    for (const text of units.map(withoutTexts)) {
      const count = (pattern: RegExp) => [...text.matchAll(pattern)].length
      expect(count(/\(/g), text).toBe(count(/\)/g))
      if (!/\b(begin|package)\b/.test(text)) continue
      // Each if, loop and case has an end of its own, and so has each begin; a package has one more.
      const opened = count(/(?<!end )\b(begin|if|loop|case)\b/g) + count(/\bcreate or replace package\b/g)
      expect(count(/\bend\b/g), text).toBe(opened)
      const declared = [
        ...text.matchAll(DECLARED),
        ...text.matchAll(/\bfor (\w+) in\b/g),
        ...text.matchAll(/\b(p_\w+)\s+(?:in|out)\b/g),
      ].map(([, name]) => name)
      // A body sees the constants of its specification.
      const [, own] = /package body (\w+)/.exec(text) ?? []
      if (own) declared.push(...[...unit(own).matchAll(/\b(c_\w+)\s+constant\b/g)].map(([, name]) => name))
      for (const [, name] of text.matchAll(/(?<![.\w:])([lgcp]_\w+)(?!\w*\s*=>)/g))
        expect(declared, text).toContain(name)
    }
  })
})

const DECLARED =
  /\b([lgc]_\w+)\s+(?:constant\s+)?(?:varchar2|number|\w*integer|boolean|[bc]lob|raw|date|json_\w+_t|t_\w+|\w+\.\w+)\b/g

interface Subprogram {
  name: string
  parameters: { name: string; type: string; hasDefault: boolean }[]
  returns: string | undefined
}

/** PL/SQL without its comments; its texts are empty. */
function withoutTexts(code: string): string {
  return code.replaceAll(/q'\[.*?\]'|'(?:[^']|'')*'|--[^\n]*/gs, part => (part.startsWith('--') ? '' : "''"))
}

/** The functions and procedures that a package declares or defines at its own level. */
function subprograms(code: string): Subprogram[] {
  const heads = /^ {2}(?:function|procedure) (\w+)\s*(?:\(([^)]*)\))?(?:\s*return (\w+))?/gm
  return [...withoutTexts(code).matchAll(heads)].map(([, name = '', list = '', returns]) => ({
    name,
    parameters: list
      .split(',')
      .map(one => one.trim().replaceAll(/\s+/g, ' '))
      .filter(Boolean)
      .map(one => {
        const [, parameter = '', type = '', byDefault] = /^(\w+) (.*?)( default .*)?$/.exec(one) ?? []
        return { name: parameter, type, hasDefault: byDefault !== undefined }
      }),
    returns,
  }))
}

/** The calls of the package's members, each with its arguments as they are written. */
function callsOf(code: string): { name: string; given: string[]; at: number }[] {
  return [...code.matchAll(/\btestigo\.(\w+)\(/g)].map(({ 0: head, 1: name = '', index }) => {
    const start = index + head.length
    const given = ['']
    let depth = 1
    for (const [part] of code.slice(start).matchAll(/'(?:[^']|'')*'|[^']/g)) {
      if (part === '(') depth += 1
      if (part === ')') depth -= 1
      if (depth === 0) break
      if (part === ',' && depth === 1) given.push('')
      else given.push(`${given.pop()}${part}`)
    }
    return { name, given: given.map(one => one.trim()).filter(Boolean), at: index }
  })
}

/** Which operation a call of `testigo.ask` is; its method and address where there is none. */
function operationOf({ given, at }: { given: string[]; at: number }, code: string): string {
  const [method = '', path = ''] = given
  const before = code.slice(0, at)
  const isVariable = /^\w+$/.test(path)
  const written = isVariable ? before.slice(before.lastIndexOf(`${path} := `) + path.length + 4) : path
  const [address = ''] = written
    .split('||')
    .map(part => part.trim())
    .map(part => /^'([^']*)'/.exec(part)?.[1] ?? '{}')
    .join('')
    .split('?')
  const asked = `${method.replaceAll("'", '')} ${address}`
  const found = operationsOf(document).find(
    one => `${one.method} ${one.path.replaceAll(/\{\w+\}/g, '{}')}` === asked,
  )
  return found?.operation.operationId ?? asked
}

test('the addresses that the PL/SQL calls are those of operations', () => {
  const calls = callsOf(page).filter(({ name }) => name === 'ask')
  expect(calls.length).toBeGreaterThan(12)
  const known = operationsOf(document).map(({ operation }) => operation.operationId)
  for (const call of calls) expect(known).toContain(operationOf(call, page))
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
