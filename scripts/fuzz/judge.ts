import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import {
  type DocumentedOperation,
  type HeaderObject,
  type OpenApiDocument,
  operationsOf,
  type ResponseObject,
  resolveRef,
} from '../../api/openapi-document.ts'
import { type DocumentedId, permissionOf, reachOf } from '../../api/permissions.ts'
import type { Ask } from './ask.ts'
import { NO_ANSWER, type RawAnswer, type RawRequest } from './send.ts'
import type { Foreign } from './world.ts'

/** Something the API must not do. `name` groups those of one cause. */
export interface Defect {
  name: string
  detail: string
}

/** Headers that HTTP and helmet bring; the document tells of those that callers use. */
const PLAIN_HEADERS = new Set(
  `connection content-length content-type date keep-alive transfer-encoding vary allow
  content-security-policy cross-origin-opener-policy cross-origin-resource-policy origin-agent-cluster referrer-policy
  strict-transport-security x-content-type-options x-dns-prefetch-control x-download-options x-frame-options
  x-permitted-cross-domain-policies x-xss-protection pragma`.split(/\s+/),
)
const INSIDE =
  /\.ts:\d+|node_modules|\bat (async )?\w+ \(|PostgresError|drizzle|select .+ from |syntax error/i
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
const MOST_BYTES = 256 * 1024
const OF_NO_OPERATION = new Set(['route_not_found', 'method_not_allowed'])
const ROLE_OF = {
  admin: 'admin',
  service: 'service',
  auditor: 'auditor',
  external: 'external',
  client: 'service',
  person: 'admin',
} as const

/** What was asked and what came back. */
export interface Exchange {
  ask: Ask
  sent: RawRequest
  answer: RawAnswer
}

/** Judges answers by the document and by what must never be in them. */
export function createJudge(document: OpenApiDocument, foreign: Foreign) {
  const ajv = new Ajv2020({ strict: false, validateFormats: true })
  addFormats.default(ajv)
  ajv.addSchema({ ...document, $id: 'testigo' })
  const byId = new Map(operationsOf(document).map(one => [one.operation.operationId, one]))
  const validators = new Map<string, ValidateFunction>()
  const validate = (pointer: string) => {
    const known = validators.get(pointer) ?? ajv.compile({ $ref: `testigo#${pointer}` })
    validators.set(pointer, known)
    return known
  }

  function judge({ ask, sent, answer }: Exchange, recorded: ReadonlySet<string>): Defect | undefined {
    const documented = byId.get(ask.operationId)
    if (!documented) throw new Error(`the document has no ${ask.operationId}`)
    // Whoever sends more than is taken may be cut off while still sending.
    if (answer.status === NO_ANSWER)
      return (sent.payload?.length ?? 0) > MOST_BYTES ? undefined : fault('no answer', answer)
    if (answer.status >= 500) return fault('5xx', answer)
    if (INSIDE.test(answer.text) && !INSIDE.test(String(sent.payload) + sent.target))
      return fault('tells of its inside', answer)
    const leak = leakIn(foreign, { ask, sent, answer }, recorded)
    if (leak) return leak
    const isItsOwn =
      ask.method === documented.method && ask.path === documented.path && !ask.ids.some(goesElsewhere)
    return isItsOwn ? ofOperation(documented, ask, sent, answer) : ofNoOperation(answer, ask)
  }

  function ofOperation(
    { operation, path, method }: DocumentedOperation,
    ask: Ask,
    sent: RawRequest,
    answer: RawAnswer,
  ): Defect | undefined {
    const key = operation.responses[answer.status] ? `${answer.status}` : undefined
    if (!key) return fault(`${answer.status} is not documented`, answer)
    const at = `/paths/${pointerPart(path)}/${method.toLowerCase()}/responses/${key}`
    const response = resolveRef<ResponseObject>(document, operation.responses[key] ?? { description: '' })
    return (
      bodyFault(response, at, answer) ??
      headerFault(document, response, answer) ??
      permissionFault(ask, operation.operationId as DocumentedId, answer) ??
      acceptedFault(operation, path, method, sent, answer)
    )
  }

  function bodyFault({ content }: ResponseObject, at: string, answer: RawAnswer): Defect | undefined {
    if (!content) return answer.text === '' ? undefined : fault(`${answer.status} has a body`, answer)
    const type = (answer.headers['content-type'] ?? '').replace(/;.*$/, '')
    const media = content[type]
    if (!media) return fault(`${answer.status} has the content type "${type}"`, answer)
    const values = valuesIn(type, answer.text)
    if (!values) return fault(`${answer.status} is no ${type}`, answer)
    const check = validate(`${at}/content/${pointerPart(type)}/schema`)
    for (const value of values) {
      if (!check(value)) {
        const [first] = check.errors ?? []
        const where = `${first?.instancePath.replaceAll(/\/\d+/g, '/0')} ${first?.message}`
        return fault(`${answer.status} is not as its schema says: ${where}`, answer, JSON.stringify(first))
      }
      const { code } = Object(value) as { code?: string }
      if (type === 'application/problem+json' && !media.examples?.[String(code)])
        return fault(`${answer.status} has the reason ${code}, which is not documented`, answer)
    }
    return undefined
  }

  /** What the document forbids must not be taken. */
  function acceptedFault(
    { requestBody }: DocumentedOperation['operation'],
    path: string,
    method: string,
    { payload, headers }: RawRequest,
    answer: RawAnswer,
  ): Defect | undefined {
    if (!requestBody?.content['application/json'] || answer.status >= 300 || !payload) return undefined
    if (answer.headers['idempotency-replayed'] || !headers['content-type']?.startsWith('application/json'))
      return undefined
    const check = validate(
      `/paths/${pointerPart(path)}/${method.toLowerCase()}/requestBody/content/application~1json/schema`,
    )
    if (check(trimmed(JSON.parse(payload.replace(/^\ufeff/, ''))))) return undefined
    const [first] = check.errors ?? []
    return fault(
      `takes what the document forbids: ${first?.instancePath} ${first?.message}`,
      answer,
      payload.slice(0, 2000),
    )
  }

  return judge
}

/** What a body holds: each line of ndjson, or the whole of it; what is no JSON as text. Undefined for broken JSON. */
function valuesIn(type: string, text: string): unknown[] | undefined {
  if (!/json$/.test(type)) return [text]
  const parts = type === 'application/x-ndjson' ? text.split('\n').filter(Boolean) : [text]
  try {
    return parts.map(part => JSON.parse(part))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function fault(name: string, { status, text }: RawAnswer, more = ''): Defect {
  return { name, detail: `${status} ${text.slice(0, 1500)}${more && `\n${more}`}` }
}

const pointerPart = (text: string) => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))
const goesElsewhere = (id: string) => id === '' || (id.startsWith('raw:') && /%2e|%2f|\//i.test(id))

/** Spaces around texts are taken off before they are measured. */
function trimmed(value: unknown): unknown {
  if (typeof value === 'string') return value.trim()
  if (Array.isArray(value)) return value.map(trimmed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, trimmed(part)]))
}

function headerFault(
  document: OpenApiDocument,
  { headers = {} }: ResponseObject,
  answer: RawAnswer,
): Defect | undefined {
  const documented = new Map(Object.entries(headers).map(([name, header]) => [name.toLowerCase(), header]))
  const unknown = Object.keys(answer.headers).find(name => !documented.has(name) && !PLAIN_HEADERS.has(name))
  if (unknown) return fault(`${answer.status} has the header ${unknown}, which is not documented`, answer)
  for (const [name, header] of documented) {
    const { required, schema } = resolveRef<HeaderObject>(document, header)
    const value = answer.headers[name]
    if (value === undefined) {
      if (required) return fault(`${answer.status} lacks the header ${name}`, answer)
      continue
    }
    const fits = (schema.const ?? value) === value && new RegExp(schema.pattern ?? '').test(value)
    if (!fits) return fault(`${answer.status} has a header ${name} that is not as documented`, answer, value)
  }
  return undefined
}

function permissionFault(ask: Ask, operation: DocumentedId, answer: RawAnswer): Defect | undefined {
  if (answer.status >= 400 || ask.headers.authorization !== undefined) return undefined
  const { caller } = ask
  const may =
    caller === 'limited' || (caller in ROLE_OF && reachOf(operation, ROLE_OF[caller as keyof typeof ROLE_OF]))
  const isPublic = permissionOf(operation).roles === 'everybody'
  return may || isPublic ? undefined : fault(`lets ${caller} in`, answer)
}

/** An address or a method that the document does not have. */
function ofNoOperation(answer: RawAnswer, { method }: Ask): Defect | undefined {
  const type = answer.headers['content-type'] ?? ''
  if (method === 'HEAD' || answer.status < 300 || (method === 'OPTIONS' && answer.status < 400))
    return undefined
  if (!type.startsWith('application/problem+json') && !/^\/v1\/oauth/.test(''))
    return type.startsWith('application/json') && /"error":/.test(answer.text)
      ? undefined
      : fault(`${answer.status} of no operation is no problem document`, answer)
  const { code, status } = JSON.parse(answer.text)
  if (status !== answer.status) return fault('a problem document with another status', answer)
  if (OF_NO_OPERATION.has(code) && code === 'method_not_allowed' && !answer.headers.allow)
    return fault('405 lacks the header allow', answer)
  return undefined
}

function leakIn(
  { marker, ids }: Foreign,
  { ask, sent, answer }: Exchange,
  recorded: ReadonlySet<string>,
): Defect | undefined {
  const told = `${answer.text}\n${Object.values(answer.headers).join('\n')}`
  if (told.includes(marker)) return fault('a text of another organisation', answer)
  const asked = `${sent.target}\n${sent.payload ?? ''}\n${Object.values(sent.headers).join('\n')}`
  for (const [id] of told.matchAll(UUID)) {
    if (!ids.has(id)) continue
    const isEcho = asked.includes(id) && answer.status >= 400
    const isRecord = recorded.has(id) && /^(list|export)Audit$/.test(ask.operationId)
    if (!isEcho && !isRecord) return fault('an id of another organisation', answer, id)
  }
  const isTheirs =
    ask.ids.some(id => id.startsWith('§other:')) && ask.headers['idempotency-key'] === undefined
  if (isTheirs && (answer.status < 300 || answer.status === 409))
    return fault('something of another organisation is answered for', answer)
  return undefined
}
