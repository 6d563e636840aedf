import {
  type DocumentedOperation,
  type OpenApiDocument,
  operationsOf,
  type ParameterObject,
} from '../../api/openapi-document.ts'
import { exampleOf } from '../../api/openapi-examples.ts'

/** What a request stores for those that come after it, by operation: the variable, and where it is in the answer. */
const REMEMBERED: Record<string, [variable: string, member: string]> = {
  createToken: ['token', 'access_token'],
  createMeeting: ['meetingId', 'id'],
  createWebhook: ['webhookId', 'id'],
  createKey: ['keyId', 'id'],
  createUser: ['userId', 'id'],
}
const VARIABLES = [
  'token',
  'clientId',
  'clientSecret',
  'meetingId',
  'webhookId',
  'keyId',
  'userId',
  'seriesId',
]
const BASE = '{{baseUrl}}'

/**
 * A Postman collection (format 2.1.0) with every operation of the document: a folder for each chapter, its examples as
 * bodies and as saved answers. Set `baseUrl`, `clientId` and `clientSecret`, send "Get an access token" first, and the rest
 * is signed in.
 */
export function postmanCollection(document: OpenApiDocument) {
  const operations = operationsOf(document)
  return {
    info: {
      _postman_id: '0b0d7c5e-4f3a-4a53-9d5e-7e57190a0001',
      name: 'Testigo',
      description: `${document.info.description}\n\nSet baseUrl, clientId (the id of an API key) and clientSecret (the key), and send "createToken" first.`,
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{token}}', type: 'string' }] },
    variable: [
      { key: 'baseUrl', value: 'https://testigo.example' },
      ...VARIABLES.map(key => ({ key, value: '' })),
    ],
    item: document.tags.map(({ name, description }) => ({
      name,
      description,
      item: operations
        .filter(({ operation }) => operation.tags?.includes(name))
        .map(one => itemOf(document, one)),
    })),
  }
}

function itemOf(document: OpenApiDocument, { method, path, operation }: DocumentedOperation) {
  const { operationId, summary, description, security } = operation
  const request = {
    method,
    ...authOf(operationId, security),
    header: headersOf(document, operation),
    ...bodyOf(document, operationId, operation.requestBody),
    url: urlOf(document, path, operation.parameters ?? []),
    description: description ? `${summary}\n\n${description}` : summary,
  }
  const kept = REMEMBERED[operationId]
  return {
    name: operationId,
    request,
    response: answersOf(document, operation, request),
    ...(kept && { event: [rememberScript(...kept)] }),
  }
}

function rememberScript(variable: string, member: string) {
  const exec = [
    'if (pm.response.code < 300) {',
    `  pm.collectionVariables.set(${JSON.stringify(variable)}, pm.response.json().${member})`,
    '}',
  ]
  return { listen: 'test', script: { type: 'text/javascript', exec } }
}

function authOf(operationId: string, security: Record<string, string[]>[] | undefined) {
  if (operationId === 'createToken') {
    const basic = [
      { key: 'username', value: '{{clientId}}', type: 'string' },
      { key: 'password', value: '{{clientSecret}}', type: 'string' },
    ]
    return { auth: { type: 'basic', basic } }
  }
  return security?.length === 0 ? { auth: { type: 'noauth' } } : {}
}

type Operation = DocumentedOperation['operation']

function headersOf(document: OpenApiDocument, { parameters = [], requestBody }: Operation) {
  const [type] = Object.keys(requestBody?.content ?? {})
  const own = parameters.filter(({ in: where }) => where === 'header')
  return [
    ...(type ? [{ key: 'Content-Type', value: type }] : []),
    ...own.map(parameter => ({
      key: parameter.name,
      value: /idempotency/i.test(parameter.name) ? '{{$guid}}' : sampleOf(document, parameter),
      ...described(parameter),
      ...(!parameter.required && { disabled: true }),
    })),
  ]
}

function bodyOf(document: OpenApiDocument, operationId: string, body: Operation['requestBody']) {
  const [entry] = Object.entries(body?.content ?? {})
  if (!entry) return {}
  const [type, { schema, example }] = entry
  const value = example ?? exampleOf(document, schema)
  if (type === 'application/x-www-form-urlencoded') {
    // Who asks stands in the header.
    const isOfHeader = (key: string) => operationId === 'createToken' && key.startsWith('client_')
    const urlencoded = Object.entries(value as Record<string, string>)
      .filter(([key]) => !isOfHeader(key))
      .map(([key, text]) => ({ key, value: text }))
    return { body: { mode: 'urlencoded', urlencoded } }
  }
  if (typeof value === 'string') return { body: { mode: 'raw', raw: value } }
  const options = { raw: { language: 'json' } }
  return { body: { mode: 'raw', raw: JSON.stringify(value, null, 2), options } }
}

function urlOf(document: OpenApiDocument, path: string, parameters: ParameterObject[]) {
  const segments = path
    .slice(1)
    .replaceAll(/\{(\w+)\}/g, ':$1')
    .split('/')
  const query = parameters
    .filter(({ in: where }) => where === 'query')
    .map(parameter => ({
      ...queryOf(document, parameter),
      ...described(parameter),
      ...(!parameter.required && { disabled: true }),
    }))
  const variable = parameters
    .filter(({ in: where }) => where === 'path')
    .map(parameter => ({
      key: parameter.name,
      value: variableFor(segments[1], parameter.name),
      ...described(parameter),
    }))
  return {
    raw: `${BASE}/${segments.join('/')}`,
    host: [BASE],
    path: segments,
    ...(query.length > 0 && { query }),
    ...(variable.length > 0 && { variable }),
  }
}

/** What is an object becomes `name[member]=value`. */
function queryOf(document: OpenApiDocument, parameter: ParameterObject) {
  if (parameter.style !== 'deepObject') return { key: parameter.name, value: sampleOf(document, parameter) }
  const [entry = ['', '']] = Object.entries(exampleOf(document, parameter.schema) as object)
  return { key: `${parameter.name}[${entry[0]}]`, value: String(entry[1]) }
}

const described = ({ description }: ParameterObject) => (description ? { description } : {})
const sampleOf = (document: OpenApiDocument, { schema, name }: ParameterObject) =>
  String(exampleOf(document, schema, name))

/** `/v1/meetings/:id` is asked with the meeting that was made last. */
function variableFor(collection: string | undefined, name: string): string {
  const variable = name === 'id' && collection ? `${collection.replace(/s$/, '')}Id` : ''
  return VARIABLES.includes(variable) ? `{{${variable}}}` : ''
}

function answersOf(document: OpenApiDocument, { responses }: Operation, originalRequest: unknown) {
  return Object.entries(responses)
    .filter(([status]) => /^[23]\d\d$/.test(status))
    .map(([status, { description, content }]) => {
      const [type, media] = Object.entries(content ?? {})[0] ?? []
      const value = media && (media.example ?? exampleOf(document, media.schema))
      return {
        name: description,
        originalRequest,
        code: Number(status),
        header: type ? [{ key: 'Content-Type', value: type }] : [],
        ...(media && {
          _postman_previewlanguage: 'json',
          body: typeof value === 'string' ? value : JSON.stringify(value, null, 2),
        }),
      }
    })
}
