import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { purgeRequests } from '../../db/idempotency.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openApiDocument } from '../openapi.ts'
import { operationsOf } from '../openapi-document.ts'
import { type Answer, newMeeting, openTestApi, signInUser, type TestApi } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
let skippedMs = 0
beforeAll(async () => {
  const nowMs = () => Date.now() + skippedMs
  google = await openGoogle({ nowMs })
  api = await openTestApi(google, undefined, { clock: { now: nowMs, sleep: async () => {} } })
})
afterEach(() => google.faults.clear())
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

let made = 0
const someKey = () => {
  made += 1
  return `key-${made}`
}
interface Sent {
  body?: unknown
  as?: string
  headers?: Record<string, string>
}
const send = (method: string, path: string, idempotencyKey: string, { body, as, headers }: Sent = {}) =>
  api.call(method, path, {
    ...(body === undefined ? {} : { body }),
    ...(as === undefined ? {} : { key: as }),
    headers: { 'idempotency-key': idempotencyKey, ...headers },
  })
const create = (key: string, body = newMeeting({ topic: key })) => send('POST', '/v1/meetings', key, { body })
const isReplayed = (answer: Answer) => answer.headers.get('idempotency-replayed') === 'true'
const eventsOf = (topic: string) =>
  [...google.state.events.values()].filter(event => event.resource.summary === topic)

/** Sends the same twice and expects one answer to both. */
async function twice(method: string, path: string, sent: Sent = {}): Promise<Answer> {
  const key = someKey()
  const first = await send(method, path, key, sent)
  expect(first.status, JSON.stringify(first.body)).toBeLessThan(300)
  expect(isReplayed(first)).toBe(false)
  const again = await send(method, path, key, sent)
  expect([again.status, isReplayed(again)]).toEqual([first.status, true])
  expect(again.body).toEqual(first.body)
  for (const name of ['location', 'etag', 'content-type'])
    expect(again.headers.get(name), name).toBe(first.headers.get(name))
  return first
}

test('a body nested beyond all measure is refused as the document says, also where none is asked for', async () => {
  const text = '['.repeat(50_000) + ']'.repeat(50_000)
  for (const { path, method, operation } of operationsOf(openApiDocument())) {
    if (!operation.parameters?.some(({ name }) => name === 'Idempotency-Key')) continue
    const id = '7d444840-9dc0-41d1-b245-5ffdce74fad2'
    const headers = { 'idempotency-key': someKey() }
    const answer = await api.call(method, path.replace(/\{\w+\}/g, id), { text, headers })
    const { status, body } = answer
    const said = operation.responses[status]?.content?.['application/problem+json']?.examples
    expect(Object.keys(said ?? {}), `${method} ${path} ${status}`).toContain(body.code)
  }
})

describe('the same request with the same key', () => {
  test('makes one meeting, and is answered as the first time', async () => {
    const answer = await twice('POST', '/v1/meetings', { body: newMeeting({ topic: 'una sola' }) })
    expect(answer.headers.get('location')).toBe(`/v1/meetings/${answer.body.id}`)
    expect(eventsOf('una sola')).toHaveLength(1)
  })

  test('makes one series', async () => {
    const soon = Math.floor((Date.now() + skippedMs) / 1000) * 1000 + 86_400_000
    const [start, end] = [soon, soon + 3_600_000].map(at => new Date(at).toISOString())
    const recurrence = ['RRULE:FREQ=WEEKLY;COUNT=3']
    const body = newMeeting({ topic: 'una serie', start, end, recurrence })
    const { body: meeting } = await twice('POST', '/v1/meetings', { body })
    const { items } = (await api.call('GET', `/v1/meetings?series=${meeting.series.id}`)).body
    expect(items).toHaveLength(3)
    expect(eventsOf('una serie')).toHaveLength(1)
  })

  test('changes and cancels a meeting once, with a version that held the first time', async () => {
    const { body: meeting, headers } = await create(someKey())
    const path = `/v1/meetings/${meeting.id}`
    const ifMatch = { 'if-match': headers.get('etag') ?? '' }
    await twice('PATCH', path, { body: { topic: 'Otro' }, headers: ifMatch })
    await twice('DELETE', path)
    const rows = await api.db.execute<{ kind: string }>(
      sql`select kind from meeting_events where meeting_id = ${meeting.id} and kind in ('meeting.changed', 'meeting.cancelled')`,
    )
    expect(rows.map(row => row.kind).sort()).toEqual(['meeting.cancelled', 'meeting.changed'])
  })

  test('makes one of everything else that is made, with its secret', async () => {
    const webhook = await twice('POST', '/v1/webhooks', { body: { url: 'https://127.0.0.1:9/hook' } })
    expect(webhook.body.secret).toMatch(/^whsec_/)
    const { items } = (await api.call('GET', '/v1/webhooks')).body
    expect(items).toHaveLength(1)
    const path = `/v1/webhooks/${webhook.body.id}`
    await twice('POST', `${path}/rotate-secret`, { body: {} })
    await twice('POST', `${path}/test`)
    const deliveries = (await api.call('GET', `${path}/deliveries`)).body.items
    expect(deliveries).toHaveLength(1)
    await twice('POST', `${path}/deliveries/${deliveries[0].id}/redeliver`)
    await twice('PATCH', path, { body: { description: 'x' } })
    await twice('DELETE', path)
    const { body: key } = await twice('POST', '/v1/keys', { body: { name: 'una', role: 'service' } })
    await twice('POST', `/v1/keys/${key.id}/rotate`, { body: {} })
    await twice('DELETE', `/v1/keys/${key.id}`)
    const user = { email: 'una@clinica.example', role: 'auditor' }
    const { body: person } = await twice('POST', '/v1/users', { body: user })
    await twice('POST', `/v1/users/${person.id}/password-link`)
    await twice('PATCH', `/v1/users/${person.id}`, { body: { name: 'Una' } })
    await twice('DELETE', `/v1/users/${person.id}/sessions`)
    const { body: meeting } = await create(someKey())
    await twice('PATCH', `/v1/meetings/${meeting.id}/retention`, { body: { retentionDays: 3 } })
    const guest = { email: 'una@clinica.example' }
    const { body: invited } = await twice('POST', `/v1/meetings/${meeting.id}/participants`, { body: guest })
    await twice('DELETE', `/v1/meetings/${meeting.id}/participants/${invited.id}`)
    await twice('PATCH', '/v1/organization', { body: { language: 'en' } })
    await twice('PUT', '/v1/organization/custom-fields', { body: { schema: { type: 'object' } } })
    await twice('PUT', '/v1/organization/custom-fields', { body: { schema: null } })
    await twice('POST', '/v1/erasures', { body: { email: 'nadie@clinica.example' } })
  })

  test('is refused once more as it was refused', async () => {
    const key = someKey()
    const first = await create(key, { topic: 'sin fecha' })
    expect(first.status).toBe(422)
    const again = await create(key, { topic: 'sin fecha' })
    expect(isReplayed(again)).toBe(true)
    expect(again.body).toEqual(first.body)
    expect(again.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  })

  test('is tried anew after it came too often', async () => {
    const person = { role: 'auditor', email: 'prisa@clinica.example' } as const
    const { accessToken: as } = await signInUser(api.url, api.key, person)
    const body = { currentPassword: 'incorrecta', newPassword: 'otra contraseña larga' }
    for (let tries = 1; tries <= 10; tries++) await send('POST', '/v1/me/password', someKey(), { body, as })
    const key = someKey()
    for (let times = 0; times < 2; times++) {
      const answer = await send('POST', '/v1/me/password', key, { body, as })
      expect([answer.body.code, isReplayed(answer)]).toEqual(['sign_in_locked', false])
    }
  })

  test('may have its members in another order, and the key in quotation marks', async () => {
    const key = someKey()
    const { body: meeting } = await create(key, { topic: 'a', ...newMeeting({ topic: key }) })
    const turned = Object.fromEntries(Object.entries(newMeeting({ topic: key })).reverse())
    const again = await send('POST', '/v1/meetings', `"${key}"`, { body: turned })
    expect([again.status, isReplayed(again), again.body.id]).toEqual([201, true, meeting.id])
  })

  test('is a new one after 24 hours', async () => {
    const key = someKey()
    const { body: meeting } = await create(key)
    skippedMs += 24 * 3_600_000 + 1000
    const again = await create(key)
    expect([again.status, isReplayed(again)]).toEqual([201, false])
    expect(again.body.id).not.toBe(meeting.id)
  })

  test('that comes at the same time is told to wait, and one meeting is made', async () => {
    const key = someKey()
    const answers = await Promise.all(Array.from({ length: 8 }, () => create(key)))
    const told = answers.filter(answer => answer.status === 409)
    for (const { body, headers } of told) {
      expect(body.code).toBe('idempotency_key_in_use')
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    }
    const done = answers.filter(answer => answer.status === 201)
    expect(done.length).toBeGreaterThan(0)
    expect(told.length + done.length).toBe(8)
    expect(new Set(done.map(answer => answer.body.id)).size).toBe(1)
    expect(done.filter(answer => !isReplayed(answer))).toHaveLength(1)
    expect(eventsOf(key)).toHaveLength(1)
  })

  test('goes on with the same meeting after Google refused it', async () => {
    const key = someKey()
    google.faults.add({ kind: 'error', service: 'calendar', method: 'events.insert', status: 400 })
    const first = await create(key)
    expect(first.body.code).toBe('google_refused')
    google.faults.clear()
    const again = await create(key)
    expect([again.status, isReplayed(again)]).toEqual([201, false])
    expect(again.body.id).toBe(first.body.meetingId)
    expect(eventsOf(key)).toHaveLength(1)
    expect((await create(key)).body).toEqual(again.body)
  })
})

describe('another request with the same key', () => {
  test.each<[string, string, (id: string) => string, Sent]>([
    ['another body', 'POST', () => '/v1/meetings', { body: newMeeting({ topic: 'otra' }) }],
    ['another address', 'POST', () => '/v1/webhooks', { body: newMeeting({ topic: 'x' }) }],
    ['another method', 'DELETE', id => `/v1/meetings/${id}`, {}],
    ['another query', 'POST', () => '/v1/meetings?x=1', { body: newMeeting({ topic: 'x' }) }],
  ])('is refused for %s', async (_what, method, path, sent) => {
    const key = someKey()
    const { body: meeting } = await create(key, newMeeting({ topic: 'x' }))
    const other = await send(method, path(meeting.id), key, sent)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused'])
    expect((await api.call('GET', `/v1/meetings/${meeting.id}`)).body.status).toBe('scheduled')
  })

  test('of somebody else is a request of its own', async () => {
    const key = someKey()
    const { body: mine } = await create(key, newMeeting({ topic: 'compartida' }))
    const body = newMeeting({ topic: 'compartida' })
    const callers = [
      await api.keyOf('Clínica Andina', 'service'),
      await api.keyOf('Hospital del Valle'),
      (await signInUser(api.url, api.key, { role: 'external', email: 'externa@clinica.example' }))
        .accessToken,
    ]
    const ids = [mine.id]
    for (const as of callers) {
      const answer = await send('POST', '/v1/meetings', key, { body, as })
      expect([answer.status, isReplayed(answer)]).toEqual([201, false])
      const again = await send('POST', '/v1/meetings', key, { body, as })
      expect([again.body.id, isReplayed(again)]).toEqual([answer.body.id, true])
      ids.push(answer.body.id)
    }
    expect(new Set(ids).size).toBe(4)
  })
})

test.each(['', 'con espacio', 'ñ', 'x'.repeat(256), '"open', '"a" b', '""'])(
  'a key that is none is refused: %s',
  async key => {
    const answer = await create(key, newMeeting())
    expect([answer.status, answer.body.code]).toEqual([400, 'bad_idempotency_key'])
  },
)

test('a key means nothing where nothing is changed, or nobody has signed in', async () => {
  for (let times = 0; times < 2; times++) {
    const read = await send('GET', '/v1/me', 'a b')
    expect([read.status, isReplayed(read)]).toEqual([200, false])
    const body = { email: 'nadie@clinica.example', password: 'incorrecta' }
    const signIn = await send('POST', '/v1/auth/sign-in', 'a b', { body, as: '' })
    expect([signIn.status, isReplayed(signIn)]).toEqual([401, false])
  }
})

test('who may not any more is not answered again', async () => {
  const { key: mine, id } = (await api.call('POST', '/v1/keys', { body: { name: 'corta', role: 'service' } }))
    .body
  const key = someKey()
  const body = newMeeting({ topic: key })
  expect((await send('POST', '/v1/meetings', key, { body, as: mine })).status).toBe(201)
  await api.call('DELETE', `/v1/keys/${id}`)
  expect((await send('POST', '/v1/meetings', key, { body, as: mine })).status).toBe(401)
})

test('what is kept of an answer cannot be read in the database', async () => {
  const key = someKey()
  const { body } = await send('POST', '/v1/keys', key, { body: { name: 'secreta', role: 'service' } })
  const [row] = await api.db.execute<{ all: string; sealed_body: string }>(
    sql`select idempotency_keys::text as all, sealed_body from idempotency_keys where key = ${key}`,
  )
  expect(row?.sealed_body).toMatch(/^v1\./)
  expect(row?.all).not.toContain(body.key)
  expect(row?.all).not.toContain('secreta')
})

test('what is kept no longer is removed, and nothing else', async () => {
  const key = someKey()
  await create(key)
  const at = (hours: number) => new Date(Date.now() + skippedMs + hours * 3_600_000)
  const isThere = async () =>
    (await api.db.execute(sql`select from idempotency_keys where key = ${key}`)).length === 1
  await purgeRequests(api.db, at(23.9), 1000)
  expect(await isThere()).toBe(true)
  await purgeRequests(api.db, at(24.1), 1000)
  expect(await isThere()).toBe(false)
})
