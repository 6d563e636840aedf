import { expect, test } from 'vitest'
import { openApiDocument } from '../../api/openapi.ts'
import { operationsOf } from '../../api/openapi-document.ts'
import { postmanCollection } from './collection.ts'

const document = openApiDocument()
const collection = postmanCollection(document)
const items = collection.item.flatMap(({ item }) => item)

test('the collection has every operation once, at its address', () => {
  const asked = items.map(({ name, request }) => `${name} ${request.method} ${request.url.raw}`)
  const documented = operationsOf(document).map(
    ({ operation, method, path }) =>
      `${operation.operationId} ${method} {{baseUrl}}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
  )
  expect(asked.sort()).toEqual(documented.sort())
})

test('a request that needs a body has one, which is JSON where it says so', () => {
  for (const { operation } of operationsOf(document)) {
    const { request } = items.find(({ name }) => name === operation.operationId) ?? {}
    if (!operation.requestBody?.required) continue
    const { body } = request ?? {}
    expect(body, operation.operationId).toBeDefined()
    if (body && 'options' in body)
      expect(JSON.parse(body.raw ?? ''), operation.operationId).toBeTypeOf('object')
  }
})

test('the token is asked for by the client’s id and secret, and kept for the other requests', () => {
  const { request, event } = items.find(({ name }) => name === 'createToken') ?? {}
  expect(request?.auth?.type).toBe('basic')
  expect(JSON.stringify(request?.body)).toBe(
    '{"mode":"urlencoded","urlencoded":[{"key":"grant_type","value":"client_credentials"},{"key":"scope","value":"meetings:read meetings:write"}]}',
  )
  expect(event?.[0]?.script.exec.join('')).toContain('.set("token", pm.response.json().access_token)')
  expect(collection.auth.bearer[0]?.value).toBe('{{token}}')
})
