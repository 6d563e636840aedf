import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { openApiDocument } from './openapi.ts'
import { operationsOf, resolveRef, type SchemaObject } from './openapi-document.ts'
import { PROBLEMS } from './problem.ts'

const document = openApiDocument()
const operations = operationsOf(document)
const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema({ $id: 'testigo', components: document.components })

function faultsOf(schema: SchemaObject, value: unknown): unknown {
  const text = JSON.stringify(schema).replaceAll('"#/components/', '"testigo#/components/')
  const check = ajv.compile(JSON.parse(text))
  return check(value) ? null : check.errors
}

describe.each(operations)('$method $path', ({ operation }) => {
  test('has an example of every body, and each is as its schema says', () => {
    const contents = [operation.requestBody, ...Object.values(operation.responses)].flatMap(part =>
      Object.entries(part?.content ?? {}),
    )
    for (const [type, media] of contents) {
      const named = Object.values(media.examples ?? {}).map(one =>
        resolveRef<{ value: unknown }>(document, one),
      )
      const values = media.examples ? named.map(({ value }) => value) : [media.example]
      expect(values.length, type).toBeGreaterThan(0)
      for (const value of values) expect(faultsOf(media.schema, value), JSON.stringify(value)).toBeNull()
    }
  })

  test('says which refusals it answers with, each at its own status', () => {
    for (const [status, { content }] of Object.entries(operation.responses)) {
      const problem = content?.['application/problem+json']
      if (!problem) continue
      const codes = Object.keys(problem.examples ?? {})
      expect(codes.length).toBeGreaterThan(0)
      for (const code of codes) expect(`${PROBLEMS[code as keyof typeof PROBLEMS][0]}`, code).toBe(status)
    }
  })

  test('says that every answer names its request, and stands in a chapter', () => {
    for (const { headers } of Object.values(operation.responses))
      expect(headers).toHaveProperty('X-Request-Id')
    expect(document.tags.map(({ name }) => name)).toContain(operation.tags?.[0])
    expect(operation.tags).not.toContain('Others')
  })
})

test('every reason that the API knows belongs to an operation, but for those of no operation', () => {
  const named = operations.flatMap(({ operation }) =>
    Object.values(operation.responses).flatMap(({ content }) =>
      Object.keys(content?.['application/problem+json']?.examples ?? {}),
    ),
  )
  const missing = Object.keys(PROBLEMS).filter(code => !named.includes(code))
  expect(missing).toEqual(['route_not_found', 'method_not_allowed'])
})

describe.each(Object.entries(document.webhooks))('the event %s', (_name, { post }) => {
  test('has an example that is as its schema says', () => {
    const { schema, example } = post?.requestBody?.content['application/json'] ?? { schema: {} }
    expect(faultsOf(schema, example), JSON.stringify(example)).toBeNull()
  })
})
