import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { openApiDocument } from './openapi.ts'
import { callApi, newMeeting, openTestApi, signInUser, type TestApi } from './test-api.ts'

/** Everything by which a request can name something outside its address: filters and fields of bodies. */

const EMAIL = 'externa@clinica.example'
const MARK = 'ajeno-7c1e'
const OF_NOBODY = 'names nothing of anybody'

type Query = Record<string, string>

interface Theirs {
  meetingId: string
  seriesId: string
  webhookId: string
  keyActor: string
  /** By operation: where the other organisation's own list goes on. */
  cursors: Record<string, string>
}

/** For every filter: what the other organisation would find by it. One that is added to the API has to be added here. */
const FILTERS: Record<string, typeof OF_NOBODY | ((theirs: Theirs, operation: string) => string | Query)> = {
  externalId: () => MARK,
  participant: () => EMAIL,
  host: () => 'agenda@clinica.example',
  series: ({ seriesId }) => seriesId,
  relatedType: () => ({ relatedType: MARK, relatedId: MARK }),
  relatedId: () => ({ relatedType: MARK, relatedId: MARK }),
  customFields: () => ({ 'customFields[caso]': MARK }),
  text: () => MARK,
  status: (_theirs, operation) => (operation === 'listWebhookDeliveries' ? 'pending' : 'scheduled'),
  recordingStatus: () => 'pending',
  meetingId: ({ meetingId }) => meetingId,
  actor: ({ keyActor }) => keyActor,
  action: () => 'meeting.*',
  subject: ({ meetingId }) => `meeting:${meetingId}`,
  event: () => 'meeting.created',
  cursor: ({ cursors }, operation) => cursors[operation] ?? '',
  at: () => '2050-01-01T00:00:00Z',
  retentionDays: () => '1',
  from: () => '2000-01-01T00:00:00Z',
  to: () => '2100-01-01T00:00:00Z',
  sort: OF_NOBODY,
  limit: OF_NOBODY,
  scope: OF_NOBODY,
  code: OF_NOBODY,
  state: OF_NOBODY,
}

// Fields of bodies that could name something, and where what they do across organisations is tried.
const REFERENCES: Record<string, string> = {
  'createMeeting.externalId': 'below',
  'createMeeting.related.id': 'the customer’s own id: Testigo looks nothing up by it',
  'changeMeeting.related.id': 'the customer’s own id: Testigo looks nothing up by it',
  'createMeeting.organizer': 'below',
  'createMeeting.participants[].email': 'below',
  'changeMeeting.participants[].email': 'below',
  'addParticipant.email': 'the same list of a meeting as changeMeeting’s',
  'takeWorkspaceEvent.message.messageId': 'Google’s own, and nothing is looked up by it',
  'createUser.email': 'below',
  'erasePerson.email': 'below',
  'signIn.organizationId': 'people.test.ts: only where the password is right there too',
  'signIn.email': 'people.test.ts',
  'createToken.client_id': 'oauth.test.ts: another client’s id',
}
const MAY_REFER = /(^|[._\]])(id|ids|email|organizer|host|hosts|series)$|Ids?$|_id$/

type Node = Record<string, unknown> & { $ref?: string }
const document = openApiDocument() as unknown as {
  components: { schemas: Record<string, Node> }
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string
        parameters?: { in: string; name: string }[]
        requestBody?: { content: Record<string, { schema: Node }> }
      }
    >
  >
}
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([, { operationId }]) => operationId !== undefined)
    .map(([method, operation]) => ({ path, method, ...operation })),
)

function fieldsOf(given: Node | undefined, at = '', depth = 0): string[] {
  if (!given || depth > 8) return []
  if (given.$ref)
    return fieldsOf(document.components.schemas[given.$ref.split('/').at(-1) ?? ''], at, depth + 1)
  const { properties = {}, items, anyOf = [], oneOf = [], allOf = [] } = given as Record<string, never>
  const choices = [anyOf, oneOf, allOf].flat() as Node[]
  return [
    ...choices.flatMap(choice => fieldsOf(choice, at, depth + 1)),
    ...(items ? fieldsOf(items, `${at}[]`, depth + 1) : []),
    ...Object.entries(properties as Record<string, Node>).flatMap(([name, field]) => {
      const path = at ? `${at}.${name}` : name
      return [path, ...fieldsOf(field, path, depth + 1)]
    }),
  ]
}

const FILTERED = operations.flatMap(({ operationId, method, path, parameters = [] }) =>
  parameters
    .filter(parameter => parameter.in === 'query')
    .map(({ name }) => ({ operationId, method, path, name })),
)

let google: GoogleSandbox
let api: TestApi
let other: string
let theirs: Theirs
/** Of this organisation: its webhook, for what lies below one. */
let webhookId: string
let external: string

beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, undefined, {
    env: { TESTIGO_RATE_LIMIT: '0', TESTIGO_SIGN_IN_RATE_LIMIT: '0' },
  })
  other = await api.keyOf('Hospital del Valle')
  const as = async (key: string, method: string, path: string, body?: unknown) => {
    const answer = await api.call(method, path, { key, ...(body === undefined ? {} : { body }) })
    expect(answer.status, `${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300)
    return answer.body
  }
  const webhook = { url: 'https://127.0.0.1:9/hook' }
  webhookId = (await as(api.key, 'POST', '/v1/webhooks', webhook)).id
  const theirWebhook = (await as(other, 'POST', '/v1/webhooks', webhook)).id
  const marked = {
    topic: `Comité ${MARK}`,
    related: { type: MARK, id: MARK },
    participants: [{ email: EMAIL, name: MARK }],
  }
  const { id: meetingId } = await as(
    other,
    'POST',
    '/v1/meetings',
    newMeeting({ ...marked, externalId: MARK, customFields: { caso: MARK } }),
  )
  const start = new Date(Math.ceil(Date.now() / 1000) * 1000 + 86_400_000)
  const series = await as(
    other,
    'POST',
    '/v1/meetings',
    newMeeting({
      ...marked,
      start: start.toISOString(),
      end: new Date(start.getTime() + 3_600_000).toISOString(),
      recurrence: ['RRULE:FREQ=WEEKLY;COUNT=3'],
    }),
  )
  for (const name of ['uno', 'dos']) {
    await as(other, 'POST', '/v1/users', { email: `${name}.${MARK}@valle.example`, role: 'auditor' })
    await as(other, 'POST', '/v1/keys', { name: `${name} ${MARK}`, role: 'service' })
    await as(other, 'POST', `/v1/webhooks/${theirWebhook}/test`)
  }
  const cursors: Record<string, string> = {}
  for (const { operationId, path } of FILTERED.filter(({ name }) => name === 'cursor')) {
    const at = path.replace('{id}', theirWebhook)
    const due = path === '/v1/retention' ? '&at=2090-01-01T00:00:00Z&retentionDays=1' : ''
    cursors[operationId] = (await as(other, 'GET', `${at}?limit=1${due}`)).nextCursor ?? ''
  }
  theirs = {
    meetingId,
    seriesId: series.series.id,
    webhookId: theirWebhook,
    keyActor: `api_key:${other.slice(3, 11)}`,
    cursors,
  }
  external = (await signInUser(api.url, api.key, { role: 'external', email: EMAIL })).accessToken
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

/** Undefined where there is nothing to ask by. */
function queryBy(name: string, operation: string): URLSearchParams | undefined {
  const value = FILTERS[name] as Exclude<(typeof FILTERS)[string], string>
  const given = value(theirs, operation)
  if (given === '') return undefined
  return new URLSearchParams(typeof given === 'string' ? { [name]: given } : given)
}

function expectNothingOfTheirs(body: unknown) {
  // What was asked for in an export stands in the log of who asked.
  const isEcho = (line: string) => line.includes('"action":"audit.exported"')
  const items = (body as { items?: unknown[] }).items?.map(item => JSON.stringify(item))
  const lines = items ?? (typeof body === 'string' ? body : JSON.stringify(body)).split('\n')
  const text = lines.filter(line => !isEcho(line)).join('\n')
  const { meetingId, seriesId, webhookId: theirWebhook, keyActor } = theirs
  for (const word of [MARK, meetingId, seriesId, theirWebhook, keyActor]) expect(text).not.toContain(word)
}

test('every filter of every list is known here', () => {
  expect(FILTERED.map(({ operationId, name }) => [operationId, name])).not.toEqual([])
  expect(FILTERED.filter(({ name }) => FILTERS[name] === undefined)).toEqual([])
})

const NAMING = FILTERED.filter(({ method, name, path }) => {
  const value = FILTERS[name]
  return method === 'get' && value !== OF_NOBODY && !path.startsWith('/v1/auth/')
})

test.each(NAMING)(
  '$operationId finds nothing of another organisation by $name',
  async ({ operationId, path, name }) => {
    const given = queryBy(name, operationId)
    if (name === 'cursor' && given === undefined) {
      // It is short even where the most is there: nothing to go on with.
      expect(operationId).toBe('previewRetention')
      return
    }
    const ask = (key: string, id: string) =>
      callApi(api.url, 'GET', `${path.replace('{id}', id)}?${given}`, { key })
    const mine = await ask(api.key, webhookId)
    // A cursor may be refused, a filter not.
    expect(name === 'cursor' ? [200, 400] : [200], JSON.stringify(mine.body)).toContain(mine.status)
    expectNothingOfTheirs(mine.body)
    const outsider = await ask(external, webhookId)
    expect([200, 400, 403]).toContain(outsider.status)
    expectNothingOfTheirs(outsider.body)
  },
)

test.each([
  'externalId',
  'participant',
  'series',
  'relatedId',
  'customFields',
  'text',
  'meetingId',
  'subject',
  'actor',
])(
  'the other organisation itself finds what it is by %s, so that finding nothing means something',
  async name => {
    const { path, operationId } = FILTERED.find(one => one.name === name) ?? { path: '', operationId: '' }
    const at = `${path.replace('{id}', theirs.webhookId)}?${queryBy(name, operationId)}`
    const answer = await callApi(api.url, 'GET', at, { key: other })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(answer.body.items.length).toBeGreaterThan(0)
  },
)

describe('a body', () => {
  test('has no field that could name something and is not known here', () => {
    const found = operations.flatMap(({ operationId, requestBody }) =>
      Object.values(requestBody?.content ?? {}).flatMap(({ schema }) =>
        fieldsOf(schema)
          .filter(field => MAY_REFER.test(field))
          .map(field => `${operationId}.${field}`),
      ),
    )
    expect(found.filter(field => !(field in REFERENCES))).toEqual([])
    expect(Object.keys(REFERENCES).filter(field => !found.includes(field))).toEqual([])
  })

  test('with another organisation’s external id makes a meeting of one’s own', async () => {
    const body = newMeeting({ externalId: MARK, topic: 'Propio' })
    const answer = await api.call('POST', '/v1/meetings', { body })
    expect(answer.status).toBe(201)
    expect(answer.body.id).not.toBe(theirs.meetingId)
    const shown = await api.call('GET', `/v1/meetings/${theirs.meetingId}`, { key: other })
    expect(shown.body.topic).toBe(`Comité ${MARK}`)
  })

  test('with the address of another organisation’s person invites or makes somebody new', async () => {
    const { id } = (await api.call('POST', '/v1/meetings', { body: newMeeting() })).body
    const email = `uno.${MARK}@valle.example`
    const changed = await api.call('PATCH', `/v1/meetings/${id}`, { body: { participants: [{ email }] } })
    expect(changed.status).toBe(200)
    const made = await api.call('POST', '/v1/users', { body: { email, role: 'auditor' } })
    expect(made.status).toBe(201)
    const users = (await api.call('GET', '/v1/users?limit=200', { key: other })).body.items
    expect(users.map((user: { id: string }) => user.id)).not.toContain(made.body.id)
  })

  test('with the file of another organisation’s meeting makes a meeting of one’s own, or none', async () => {
    const at = `/v1/meetings/${theirs.meetingId}`
    const before = (await api.call('GET', at, { key: other })).body
    const file = (await api.call('GET', `${at}/ics`, { key: other })).body
    expect(file).toContain('BEGIN:VEVENT')
    for (const text of [file, file.replace('BEGIN:VEVENT', 'BEGIN:VEVENT\r\nSTATUS:CANCELLED')]) {
      const headers = { 'content-type': 'text/calendar' }
      const answer = await api.call('POST', '/v1/meetings/import', { text, headers })
      expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(500)
      expect(answer.body.results).toHaveLength(1)
      // The UID of the file is repeated; what it is here is another meeting.
      for (const { meetingId = null, seriesId = null } of answer.body.results)
        for (const id of [meetingId, seriesId]) expect([theirs.meetingId, theirs.seriesId]).not.toContain(id)
    }
    expect((await api.call('GET', at, { key: other })).body).toEqual(before)
  })

  test('that asks for the erasure of a person reaches nothing of another organisation', async () => {
    const answer = await api.call('POST', '/v1/erasures', { body: { email: EMAIL, names: [MARK] } })
    expect(answer.status, JSON.stringify(answer.body)).toBe(201)
    expect(JSON.stringify(answer.body)).not.toContain(theirs.meetingId)
    const people = await api.call('GET', `/v1/meetings/${theirs.meetingId}/participants`, { key: other })
    expect(JSON.stringify(people.body)).toContain(EMAIL)
  })
})
