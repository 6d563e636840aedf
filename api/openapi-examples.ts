import { ALL_DAY } from './meetings.schema.ts'
import {
  type MediaType,
  type OpenApiDocument,
  type OperationObject,
  resolveRef,
  type SchemaObject,
} from './openapi-document.ts'
import { BY_FIELD, BY_SCHEMA, SAMPLE_ID, SAMPLE_INSTANT } from './openapi-samples.ts'
import { PROBLEMS, type ProblemCode } from './problem.ts'

type Document = Pick<OpenApiDocument, 'components'>

/** Gives every body that is sent, answered or posted to a webhook an example, and every refusal one for each reason. */
export function withExamples(document: OpenApiDocument): OpenApiDocument {
  document.components.examples = problemExamples()
  for (const item of [...Object.values(document.paths), ...Object.values(document.webhooks)])
    for (const operation of Object.values(item)) addExamples(document, operation)
  return document
}

function addExamples(document: Document, { requestBody, responses }: OperationObject): void {
  const contents = [requestBody?.content, ...Object.values(responses).map(({ content }) => content)]
  for (const media of contents.flatMap(content => Object.values(content ?? {})))
    if (!hasExample(media)) media.example = exampleOf(document, media.schema)
}

const hasExample = ({ example, examples }: MediaType) => example !== undefined || examples !== undefined

/** A value as the schema wants it. The same every time. @throws {Error} for a schema that nothing is known for */
export function exampleOf(document: Document, schema: SchemaObject, field = ''): unknown {
  const { $ref } = schema
  const meant = resolveRef<SchemaObject>(document, schema)
  if (meant.example !== undefined) return meant.example
  if ($ref === undefined) return valueFor(document, meant, field)
  const fixed = BY_SCHEMA[$ref.split('/').at(-1) ?? '']
  const made = valueFor(document, meant, field)
  return fixed ? { ...(made as object), ...fixed } : made
}

function valueFor(document: Document, schema: SchemaObject, field: string): unknown {
  if (schema.const !== undefined) return schema.const
  const known = BY_FIELD[field]
  if (known !== undefined && isOfType(known, schema)) return known
  if (schema.enum) return schema.enum[0]
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return exampleOf(document, firstSaying(document, choices), field)
  if (schema.default !== undefined) return schema.default
  return ofType(document, schema, field)
}

function firstSaying(document: Document, choices: SchemaObject[]): SchemaObject {
  const saying = choices.find(choice => resolveRef<SchemaObject>(document, choice).type !== 'null')
  return saying ?? { type: 'null' }
}

function ofType(document: Document, schema: SchemaObject, field: string): unknown {
  switch (typesOf(schema)[0]) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, part]) => [
          name,
          exampleOf(document, part, name),
        ]),
      )
    case 'array':
      return schema.items ? [exampleOf(document, schema.items)] : []
    case 'string':
      return ofFormat(schema, field)
    case 'integer':
    case 'number':
      return Math.max(schema.minimum ?? 1, 1)
    case 'boolean':
      return false
    case 'null':
      return null
    default:
      return {}
  }
}

function ofFormat({ format, pattern }: SchemaObject, field: string): string {
  if (format === 'uuid') return SAMPLE_ID
  if (format === 'date-time') return SAMPLE_INSTANT
  if (format === 'email' || /email$/i.test(field)) return 'ana@clinica.example'
  if (format === 'uri') return 'https://testigo.example/'
  if (pattern === '^[0-9a-f]{64}$') return '0'.repeat(64)
  return field || 'texto'
}

const typesOf = ({ type }: SchemaObject): string[] => (Array.isArray(type) ? type : type ? [type] : [])

function isOfType(value: unknown, schema: SchemaObject): boolean {
  if (schema.enum) return schema.enum.includes(value)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.some(choice => isOfType(value, choice))
  const types = typesOf(schema)
  if (value === null) return types.includes('null')
  if (Array.isArray(value)) return types.includes('array') && schema.items?.type === 'string'
  if (typeof value === 'object')
    return types.includes('object') && Object.keys(value).every(name => fits(schema, name))
  if (typeof value === 'number') return types.includes('integer') || types.includes('number')
  return types.includes(typeof value) && fitsFormat(String(value), schema)
}

const fits = ({ properties, additionalProperties }: SchemaObject, name: string) =>
  properties?.[name] !== undefined || (!properties && additionalProperties !== false)

const fitsFormat = (text: string, { format, pattern }: SchemaObject) =>
  format === undefined
    ? !pattern || new RegExp(pattern).test(text)
    : format !== 'uuid' || pattern === undefined

const OF_FIELD = new Set<ProblemCode>(['missing_field', 'unknown_field', 'invalid_field'])

// What is answered where there is no operation.
const OF_NO_OPERATION = new Set<ProblemCode>(['route_not_found', 'method_not_allowed'])

function problemExamples(): OpenApiDocument['components']['examples'] {
  const codes = (Object.keys(PROBLEMS) as ProblemCode[]).filter(code => !OF_NO_OPERATION.has(code))
  return Object.fromEntries(
    codes.map(code => [code, { summary: PROBLEMS[code][1], value: problemExample(code) }]),
  )
}

function problemExample(code: ProblemCode) {
  const [status, title] = PROBLEMS[code]
  const isOfField = OF_FIELD.has(code)
  return {
    type: `urn:testigo:problem:${code}`,
    title,
    status,
    detail: isOfField ? 'topic: is missing' : `${title}.`,
    code,
    instance: '/v1/meetings',
    requestId: '7d9c2a54-6a0e-4f57-9a41-0f4f8f1f1d11',
    ...(isOfField && { errors: [{ path: 'topic', code, message: 'is missing' }] }),
    ...(code === 'all_day' && {
      detail: `start: ${ALL_DAY}`,
      errors: [{ path: 'start', code, message: ALL_DAY }],
    }),
    ...(code === 'external_id_taken' && {
      meetingId: SAMPLE_ID,
      joinUrl: 'https://meet.google.com/abc-defg-hij',
    }),
    ...(status === 429 && { retryAfterSeconds: 30 }),
  }
}
