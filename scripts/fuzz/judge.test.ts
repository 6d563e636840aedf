import { describe, expect, test } from 'vitest'
import { openApiDocument } from '../../api/openapi.ts'
import type { Ask } from './ask.ts'
import { createJudge, type Exchange } from './judge.ts'
import { Pool } from './pool.ts'

const THEIRS = '018f6d3c-5b1e-7c44-9d0a-3f1e2d4c5b6a'
const judge = createJudge(openApiDocument(), {
  marker: 'SECRETO1',
  ids: new Set([THEIRS]),
  pool: new Pool(),
  look: async () => '',
})
const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'x-request-id': 'x',
  'cache-control': 'no-store',
}
const ME = {
  kind: 'api_key',
  id: 'key:1',
  organizationId: '118f6d3c-5b1e-7c44-9d0a-3f1e2d4c5b6b',
  role: 'admin',
  scopes: [],
  email: null,
}

function exchange(changes: {
  ask?: Partial<Ask>
  sent?: Partial<Exchange['sent']>
  status?: number
  headers?: Record<string, string>
  body?: unknown
  text?: string
}): Exchange {
  const { ask, sent, status = 200, headers, body = ME, text = JSON.stringify(body) } = changes
  return {
    ask: {
      operationId: 'getMe',
      method: 'GET',
      path: '/v1/me',
      caller: 'admin',
      ids: [],
      query: [],
      headers: {},
      ...ask,
    },
    sent: { method: 'GET', target: '/v1/me', headers: {}, payload: undefined, ...sent },
    answer: { status, headers: { ...HEADERS, ...headers }, text },
  }
}

const problem = (code: string, status: number) => ({
  type: `urn:testigo:problem:${code}`,
  title: 'x',
  status,
  detail: 'x',
  code,
  instance: '/v1/me',
  requestId: 'x',
})
const PROBLEM = { 'content-type': 'application/problem+json; charset=utf-8' }
const verdict = (changes: Parameters<typeof exchange>[0]) => judge(exchange(changes), new Set())?.name

test('an answer as the document has it is no defect', () => {
  expect(verdict({})).toBeUndefined()
  expect(verdict({ status: 403, headers: PROBLEM, body: problem('forbidden', 403) })).toBeUndefined()
})

describe('a defect is', () => {
  test.each([
    ['an answer of 500 and more', '5xx', { status: 503 }],
    ['no answer', 'no answer', { status: 0 }],
    ['a status that is not documented', '418 is not documented', { status: 418 }],
    ['a body with a field more', '200 is not as its schema says', { body: { ...ME, extra: 1 } }],
    ['a body with a field less', '200 is not as its schema says', { body: { ...ME, role: undefined } }],
    ['another content type', '200 has the content type', { headers: { 'content-type': 'text/html' } }],
    ['a header that is not documented', 'which is not documented', { headers: { 'x-inside': '1' } }],
    ['a header that is not as documented', 'not as documented', { headers: { 'cache-control': 'public' } }],
    [
      'a reason that the operation does not name',
      'has the reason meeting_closed',
      { status: 403, headers: PROBLEM, body: problem('meeting_closed', 403) },
    ],
    ['a trace of its inside', 'tells of its inside', { text: 'Error at x (/app/api/server.ts:12)' }],
    ['a caller who may not and is let in', 'lets nobody in', { ask: { caller: 'nobody' as const } }],
    ["another organisation's text", 'a text of another organisation', { body: { ...ME, email: 'SECRETO1' } }],
    [
      "another organisation's id",
      'an id of another organisation',
      { body: { ...ME, organizationId: THEIRS } },
    ],
    [
      "another organisation's id in an answer that grants what was asked",
      'an id of another organisation',
      { body: { ...ME, id: THEIRS }, sent: { target: `/v1/me?x=${THEIRS}` } },
    ],
  ])('%s', (_what, name, changes) => {
    expect(verdict(changes)).toContain(name)
  })
})

test('an id that a refusal gives back to who sent it is no defect', () => {
  const body = { ...problem('bad_request', 400), instance: `/v1/${THEIRS}` }
  expect(verdict({ status: 400, headers: PROBLEM, body, sent: { target: `/v1/${THEIRS}` } })).toBeUndefined()
})

test('a body that the document forbids and the API takes is a defect', () => {
  const taken = (payload: string) => ({
    ask: { operationId: 'signOut', method: 'POST', path: '/v1/auth/sign-out' },
    sent: { payload, headers: { 'content-type': 'application/json' } },
    status: 204,
    text: '',
  })
  expect(verdict(taken('{"refreshToken":"x"}'))).toBeUndefined()
  expect(verdict(taken('{"refreshToken":1}'))).toContain('takes what the document forbids')
})
