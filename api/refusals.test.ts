import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { PROBLEMS, type ProblemCode } from './problem.ts'
import { newMeeting, openTestApi, type TestApi } from './test-api.ts'
import { problemSchema } from './views.schema.ts'

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

function expectProblem(answer: { status: number; headers: Headers; body: unknown }, code: ProblemCode) {
  const problem = problemSchema.parse(answer.body)
  expect(problem.code, problem.detail).toBe(code)
  expect(answer.headers.get('content-type')).toContain('application/problem+json')
  expect(answer.status).toBe(PROBLEMS[code][0])
  expect(problem.status).toBe(answer.status)
  expect(problem.type).toBe(`urn:testigo:problem:${code}`)
  expect(answer.headers.get('x-request-id')).toBe(problem.requestId)
  return problem
}

const people = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ email: `persona${at}@clinica.example` }))
const nested = (levels: number): unknown => (levels === 0 ? 1 : { inner: nested(levels - 1) })
const soon = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()

const BODIES: [string, ProblemCode, string, Record<string, unknown>][] = [
  ['a missing topic', 'missing_field', 'topic', { topic: undefined }],
  ['an empty topic', 'invalid_field', 'topic', { topic: '   ' }],
  ['a topic that is a number', 'invalid_field', 'topic', { topic: 7 }],
  ['a topic with a NUL', 'invalid_field', 'topic', { topic: 'a\0b' }],
  ['a topic with half a character', 'invalid_field', 'topic', { topic: 'a\ud83d' }],
  ['an unknown field', 'unknown_field', 'topik', { topik: 'Comité' }],
  [
    'an unknown field of a participant',
    'unknown_field',
    'participants[0].mail',
    { participants: [{ email: 'a@b.example', mail: 'x' }] },
  ],
  ['an unknown limit', 'unknown_field', 'patience.joinLead', { patience: { joinLead: 5 } }],
  ['a date-time without offset', 'bad_date_time', 'start', { start: '2031-03-04T10:00:00' }],
  ['a day that does not exist', 'bad_date_time', 'start', { start: '2031-02-30T10:00:00Z' }],
  ['a whole day as the start', 'all_day', 'start', { start: '2031-03-04' }],
  ['a whole day as the end', 'all_day', 'end', { end: '2031-03-05' }],
  ['an end before the start', 'end_before_start', 'end', { end: '2031-03-04T09:00:00-05:00' }],
  ['an end at the start', 'end_before_start', 'end', { end: '2031-03-04T15:00:00Z' }],
  ['an end in the past', 'end_in_past', 'end', { start: soon(-60), end: soon(-1) }],
  ['more than 24 hours', 'too_long', 'end', { end: '2031-03-05T10:00:01-05:00' }],
  ['an unknown time zone', 'unknown_time_zone', 'timeZone', { timeZone: 'America/Macondo' }],
  ['an offset as time zone', 'unknown_time_zone', 'timeZone', { timeZone: '-05:00' }],
  [
    'a bad e-mail address',
    'bad_email',
    'participants[1].email',
    { participants: [{ email: 'ana@clinica.example' }, { email: 'ana@' }] },
  ],
  [
    'somebody invited twice, in other letters',
    'duplicate_participant',
    'participants[1].email',
    { participants: [{ email: 'ana@clinica.example' }, { email: 'Ana@Clinica.example' }] },
  ],
  ['201 participants', 'too_many_participants', 'participants', { participants: people(201) }],
  [
    'custom fields of more than 16 kB',
    'custom_fields_too_large',
    'customFields',
    { customFields: { notes: 'ñ'.repeat(8200) } },
  ],
  ['custom fields that go too deep', 'invalid_field', 'customFields', { customFields: nested(40) }],
  ['custom fields with a NUL', 'invalid_field', 'customFields', { customFields: { a: ['\0'] } }],
  [
    'a limit out of range',
    'invalid_field',
    'patience.joinLeadSeconds',
    { patience: { joinLeadSeconds: -1 } },
  ],
  [
    'a role that does not exist',
    'invalid_field',
    'participants[0].role',
    { participants: [{ email: 'a@b.example', role: 'boss' }] },
  ],
]

describe('POST /v1/meetings refuses', () => {
  test.each(BODIES)('%s', async (_what, code, path, changes) => {
    const problem = expectProblem(await api.call('POST', '/v1/meetings', { body: newMeeting(changes) }), code)
    expect(problem.errors?.map(error => error.path)).toEqual([path])
    expect(problem.errors?.[0]?.code).toBe(code)
    expect(problem.detail).toContain(path)
  })

  test('several faults of different kinds at once, and names each', async () => {
    const body = newMeeting({ topic: '', timeZone: 'Luna', extra: 1 })
    const problem = expectProblem(await api.call('POST', '/v1/meetings', { body }), 'invalid_request')
    expect(new Set(problem.errors?.map(error => error.code))).toEqual(
      new Set(['invalid_field', 'unknown_time_zone', 'unknown_field']),
    )
  })

  test('malformed JSON', async () => {
    expectProblem(await api.call('POST', '/v1/meetings', { text: '{"topic": ' }), 'malformed_json')
  })

  test('a body that is no object, or none at all', async () => {
    expectProblem(await api.call('POST', '/v1/meetings', { body: [] }), 'invalid_request')
    expectProblem(await api.call('POST', '/v1/meetings'), 'invalid_request')
  })

  test('a body that is too large', async () => {
    const text = JSON.stringify(newMeeting({ description: 'x'.repeat(300_000) }))
    expectProblem(await api.call('POST', '/v1/meetings', { text }), 'body_too_large')
  })

  test('a body that is not JSON by its type', async () => {
    const headers = { 'content-type': 'text/plain' }
    expectProblem(await api.call('POST', '/v1/meetings', { text: '{}', headers }), 'unsupported_media_type')
  })

  test('a body in an encoding it does not know', async () => {
    const headers = { 'content-encoding': 'zstd-nope' }
    expectProblem(await api.call('POST', '/v1/meetings', { text: '{}', headers }), 'unsupported_media_type')
  })

  test('and makes nothing of what it refuses', async () => {
    expect((await api.call('GET', '/v1/meetings')).body.items).toEqual([])
    expect(google.state.events.size).toBe(0)
  })
})

describe('every request is refused', () => {
  test('without an API key', async () => {
    const answer = await api.call('GET', '/v1/meetings', { key: '' })
    expectProblem(answer, 'missing_api_key')
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
  })

  test.each(['tk_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'tk_short', "' or 1=1 --"])(
    'with the wrong key %s',
    async key => {
      const headers = { authorization: `Bearer ${key.replaceAll(' ', '')}` }
      expectProblem(await api.call('GET', '/v1/meetings', { headers }), 'wrong_api_key')
    },
  )

  test('at an address that is not there', async () => {
    expectProblem(await api.call('GET', '/v1/reuniones'), 'route_not_found')
    expectProblem(await api.call('GET', '/nada', { key: '' }), 'route_not_found')
  })

  test('with a method that the address does not know', async () => {
    const answer = await api.call('PUT', '/v1/meetings', { body: {} })
    expectProblem(answer, 'method_not_allowed')
    expect(answer.headers.get('allow')).toBe('GET, POST')
  })

  test('with a path that cannot be decoded', async () => {
    expectProblem(await api.call('GET', '/v1/meetings/%E0%A4%A'), 'bad_request')
  })
})

describe('GET /v1/meetings refuses', () => {
  test.each([
    ['status=sleeping', 'status[0]'],
    ['from=yesterday', 'from'],
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=many', 'limit'],
    ['participant=ana', 'participant'],
    ['color=red', 'color'],
    ['limit=1&limit=2', 'limit'],
  ])('the query %s', async (query, path) => {
    const problem = expectProblem(await api.call('GET', `/v1/meetings?${query}`), 'invalid_query')
    expect(problem.errors?.map(error => error.path)).toEqual([path])
  })

  test.each(['nonsense', Buffer.from('["2031","x"]').toString('base64url'), '%00'])(
    'the cursor %s',
    async cursor => {
      expectProblem(await api.call('GET', `/v1/meetings?cursor=${cursor}`), 'bad_cursor')
    },
  )
})

test('PATCH /v1/meetings/{id} refuses whole days, with what to send instead, and leaves the meeting as it is', async () => {
  const { body: meeting } = await api.call('POST', '/v1/meetings', { body: newMeeting() })
  const days = { start: '2031-03-05', end: '2031-03-06' }
  const at = `/v1/meetings/${meeting.id}`
  const problem = expectProblem(await api.call('PATCH', at, { body: days }), 'all_day')
  expect(problem.errors?.map(({ path, code }) => [path, code])).toEqual([
    ['start', 'all_day'],
    ['end', 'all_day'],
  ])
  expect(problem.detail).toContain('all-day events are not recorded')
  expect((await api.call('GET', at)).body).toEqual(meeting)
})

test('an unknown meeting is refused before its body is looked at', async () => {
  const id = '5f0e7a52-5a52-4c7f-9a51-0c4f1a2b3c4d'
  for (const [method, path] of [
    ['GET', id],
    ['PATCH', id],
    ['DELETE', id],
    ['GET', `${id}/participants`],
    ['GET', `${id}/recording`],
    ['GET', 'not-a-uuid'],
  ] as const) {
    const answer = await api.call(
      method,
      `/v1/meetings/${path}`,
      method === 'PATCH' ? { body: { x: 1 } } : {},
    )
    expectProblem(answer, 'meeting_not_found')
  }
})

test.each(['GET', 'DELETE'])('a body that comes with %s is not looked at', async method => {
  const { body: webhook } = await api.call('POST', '/v1/webhooks', { body: { url: 'https://127.0.0.1:9/x' } })
  const { hostname, port } = new URL(api.url)
  const status = await new Promise(resolve => {
    const headers = {
      authorization: `Bearer ${api.key}`,
      'content-type': 'application/json',
      'content-length': 5,
    }
    httpRequest({ hostname, port, method, path: `/v1/webhooks/${webhook.id}`, headers }, answer =>
      resolve(answer.resume().statusCode),
    ).end('{"x":')
  })
  expect(status).toBe(method === 'GET' ? 200 : 204)
})

test('what has no version is sent again whatever If-None-Match says', async () => {
  const answer = await api.call('GET', '/v1/meetings', { headers: { 'if-none-match': '*' } })
  expect(answer.status).toBe(200)
  expect(answer.body.items).toBeInstanceOf(Array)
})

test('an error nobody foresaw tells the caller a request id and nothing else', async () => {
  const id = 'caso-42'
  await api.db.execute('alter table meetings rename to meetings_away')
  try {
    const problem = expectProblem(
      await api.call('GET', '/v1/meetings', { headers: { 'x-request-id': id } }),
      'internal_error',
    )
    expect(problem.requestId).toBe(id)
    expect(JSON.stringify(problem)).not.toMatch(/select|relation|meetings_away|\.ts/)
  } finally {
    await api.db.execute('alter table meetings_away rename to meetings')
  }
})

test('a body cut off in the middle is answered and harms nobody', async () => {
  const { hostname, port } = new URL(api.url)
  const cut = httpRequest({
    hostname,
    port,
    method: 'POST',
    path: '/v1/meetings',
    headers: {
      authorization: `Bearer ${api.key}`,
      'content-type': 'application/json',
      'content-length': 1000,
    },
  })
  const gone = new Promise<void>(resolve => cut.once('error', () => resolve()))
  cut.write('{"topic":', () => cut.destroy(new Error('the caller goes away')))
  await gone
  expect((await api.call('GET', '/v1/meetings')).status).toBe(200)
})
