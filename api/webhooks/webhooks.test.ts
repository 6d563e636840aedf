import { sql } from 'drizzle-orm'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../config.ts'
import { createLog } from '../../log.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { startApi } from '../start.ts'
import { callApi, newMeeting, openTestApi, type TestApi, until } from '../test-api.ts'
import { EVENTS, envelopeSchema } from './events.schema.ts'
import { type Receiver, startReceiver } from './receiver-for-tests.ts'
import {
  deliveryListSchema,
  deliveryViewSchema,
  webhookListSchema,
  webhookViewSchema,
  webhookWithSecretSchema,
} from './views.schema.ts'

let google: GoogleSandbox
let api: TestApi
const receivers: Receiver[] = []
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google)
})
afterEach(async () => {
  await Promise.all(receivers.splice(0).map(one => one[Symbol.asyncDispose]()))
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

async function receiver(answer?: Receiver['answer']): Promise<Receiver> {
  const started = await startReceiver(answer)
  receivers.push(started)
  return started
}

/** A webhook of an organisation that has no other. */
async function made(body: Record<string, unknown>) {
  const key = await api.keyOf(`Clínica ${Math.random()}`)
  const call = (method: string, path: string, content?: unknown) =>
    api.call(method, `/v1/webhooks${path}`, { key, body: content })
  const answer = await call('POST', '', body)
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  const webhook = answer.body as { id: string; secret: string }
  return {
    ...webhook,
    body: answer.body,
    key,
    call,
    at: (method: string, rest = '', content?: unknown) => call(method, `/${webhook.id}${rest}`, content),
  }
}

const eventsAt = ({ received }: Receiver) => received.map(({ body }) => JSON.parse(body))

describe('a webhook', () => {
  test('is made, shown without its secret, changed and removed', async () => {
    const body = { url: 'http://127.0.0.1:9/hook', description: ' XOMA ', events: ['meeting.ended'] }
    const webhook = await made(body)
    webhookWithSecretSchema.strict().parse(webhook.body)
    const { body: shown } = await webhook.at('GET')
    webhookViewSchema.strict().parse(shown)
    expect(shown).toMatchObject({
      ...body,
      description: 'XOMA',
      status: 'enabled',
      secrets: [{ expiresAt: null }],
    })
    const list = await webhook.call('GET', '')
    expect(webhookListSchema.parse(list.body).items).toEqual([shown])
    const changed = await webhook.at('PATCH', '', { events: null, description: null })
    expect(changed.body).toMatchObject({ events: null, description: null, url: body.url })
    expect((await webhook.at('DELETE')).status).toBe(204)
    expect((await webhook.at('GET')).body.code).toBe('webhook_not_found')
    expect((await webhook.at('DELETE')).status).toBe(404)
  })

  test('shows its secret in no answer but the one that made it, and the database holds it sealed', async () => {
    const webhook = await made({ url: 'http://127.0.0.1:9/hook' })
    expect(webhook.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const answers = [
      await webhook.at('GET'),
      await webhook.call('GET', ''),
      await webhook.at('PATCH', '', { events: null }),
    ]
    for (const { body } of answers) {
      expect(JSON.stringify(body)).not.toContain('whsec_')
      expect(JSON.stringify(body)).not.toContain('sealed')
    }
    const rows = await api.db.execute(
      sql`select secrets::text from webhook_endpoints where id = ${webhook.id}::uuid`,
    )
    expect(JSON.stringify(rows)).not.toContain(webhook.secret.slice(6, 20))
  })

  test.each([
    [{}, 'missing_field'],
    [{ url: 'nonsense' }, 'webhook_url_refused'],
    [{ url: 'ftp://erp.example/' }, 'webhook_url_refused'],
    [{ url: 'https://u:p@erp.example/' }, 'webhook_url_refused'],
    [{ url: 'https://169.254.169.254/' }, 'webhook_url_refused'],
    [{ url: 'https://erp.example/', events: ['meeting.exploded'] }, 'invalid_field'],
    [{ url: 'https://erp.example/', events: [] }, 'invalid_field'],
    [{ url: 'https://erp.example/', events: ['meeting.ended', 'meeting.ended'] }, 'invalid_field'],
    [{ url: 'https://erp.example/', secret: 'mine' }, 'unknown_field'],
    [{ url: 'https://erp.example/', description: 'a\0b' }, 'invalid_field'],
  ])('asked for with %j is refused as %s', async (body, code) => {
    const answer = await api.call('POST', '/v1/webhooks', { body })
    expect(answer).toMatchObject({ status: 422, body: { code } })
  })

  test('of an organisation that has too many is refused', async () => {
    const webhook = await made({ url: 'https://erp.example/0' })
    for (let more = 1; more < 20; more++)
      await webhook.call('POST', '', { url: `https://erp.example/${more}` })
    const answer = await webhook.call('POST', '', { url: 'https://erp.example/20' })
    expect(answer).toMatchObject({ status: 409, body: { code: 'too_many_webhooks' } })
  })

  test('goes to no private address and over no plain http unless the settings allow it', async () => {
    const config = readConfig({ ...api.env, TESTIGO_WEBHOOK_ALLOW_PRIVATE: 'off' })
    await using strict = await startApi(config, { databaseUrl: api.databaseUrl, log: createLog('silent') })
    const ask = (url: string) => callApi(strict.url, 'POST', '/v1/webhooks', { key: api.key, body: { url } })
    for (const url of [
      'https://127.0.0.1/',
      'https://[::1]/',
      'https://10.0.0.7/',
      'https://localhost/',
      'http://erp.example/',
    ])
      expect((await ask(url)).body, url).toMatchObject({ code: 'webhook_url_refused', status: 422 })
    expect((await ask('https://erp.example/')).status).toBe(201)
  })
})

describe('a test', () => {
  test('is posted to its webhook alone, whatever that asked for, and stands in its log', async () => {
    const { url, ...to } = await receiver(response => response.writeHead(200).end('hola'))
    const webhook = await made({ url, events: ['meeting.ended'] })
    await webhook.call('POST', '', { url: `${url}/other` })
    const asked = await webhook.at('POST', '/test')
    expect(asked.status).toBe(202)
    deliveryViewSchema.strict().parse(asked.body)
    await until('the post', () => to.received.length > 0)
    const [{ body, headers } = { body: '', headers: {} }] = to.received
    const told = new Webhook(webhook.secret).verify(body, headers as Record<string, string>)
    envelopeSchema('webhook.ping').strict().parse(told)
    const log = await until('the log', async () => {
      const { items } = (await webhook.at('GET', '/deliveries')).body
      return items[0]?.status === 'succeeded' && items
    })
    expect(deliveryListSchema.parse({ items: log, nextCursor: null }).items).toMatchObject([
      { id: asked.body.id, event: 'webhook.ping', attempts: [{ status: 200, error: null, answer: 'hola' }] },
    ])
    expect(to.received.map(({ path }) => path)).toEqual(['/hook'])
  })

  test('of a disabled webhook is refused until it is enabled', async () => {
    const to = await receiver()
    const webhook = await made({ url: to.url })
    const disabled = await webhook.at('PATCH', '', { status: 'disabled' })
    expect(disabled.body).toMatchObject({ status: 'disabled', disabledReason: 'by_request' })
    expect(await webhook.at('POST', '/test')).toMatchObject({
      status: 409,
      body: { code: 'webhook_disabled' },
    })
    const enabled = await webhook.at('PATCH', '', { status: 'enabled' })
    expect(enabled.body).toMatchObject({ status: 'enabled', disabledReason: null, disabledAt: null })
    expect((await webhook.at('POST', '/test')).status).toBe(202)
    await until('the post', () => to.received.length > 0)
  })
})

test('a rotated secret signs beside the one before, which an overlap of none ends', async () => {
  const to = await receiver()
  const webhook = await made({ url: to.url })
  const rotated = await webhook.at('POST', '/rotate-secret')
  expect(rotated.status).toBe(200)
  expect(rotated.body.secret).not.toBe(webhook.secret)
  expect(rotated.body.secrets).toHaveLength(2)
  const overlapMs =
    Date.parse(rotated.body.secrets[1].expiresAt) - Date.parse(rotated.body.secrets[0].createdAt)
  expect(overlapMs).toBe(24 * 3_600_000)
  const verify = (secret: string, at: number) => () =>
    new Webhook(secret).verify(
      to.received[at]?.body ?? '',
      (to.received[at]?.headers ?? {}) as Record<string, string>,
    )
  await webhook.at('POST', '/test')
  await until('the first post', () => to.received.length === 1)
  expect(verify(webhook.secret, 0)).not.toThrow()
  expect(verify(rotated.body.secret, 0)).not.toThrow()
  const last = (await webhook.at('POST', '/rotate-secret', { overlapHours: 0 })).body
  expect(last.secrets).toHaveLength(1)
  await webhook.at('POST', '/test')
  await until('the second post', () => to.received.length === 2)
  expect(verify(last.secret, 1)).not.toThrow()
  expect(verify(webhook.secret, 1)).toThrow()
  expect(verify(rotated.body.secret, 1)).toThrow()
  expect((await webhook.at('POST', '/rotate-secret', { overlapHours: 999 })).status).toBe(422)
})

describe('a delivery', () => {
  test('that failed is posted again when asked, with the same id', async () => {
    const to = await receiver(response => response.writeHead(500).end('down'))
    const webhook = await made({ url: to.url })
    const { id } = (await webhook.at('POST', '/test')).body
    const listed = () => webhook.at('GET', '/deliveries').then(({ body }) => body.items[0])
    await until('the first attempt', async () => (await listed()).attempts.length === 1)
    to.answer = response => response.writeHead(204).end()
    const again = await webhook.at('POST', `/deliveries/${id}/redeliver`)
    expect(again).toMatchObject({ status: 202, body: { id, status: 'pending' } })
    await until('success', async () => (await listed()).status === 'succeeded')
    expect((await webhook.at('POST', `/deliveries/${id}/redeliver`)).status).toBe(202)
    await until('a third post', () => to.received.length === 3)
    expect(new Set(to.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(new Set(to.received.map(({ body }) => body)).size).toBe(1)
    await until('the log of it', async () => (await listed()).attempts.length === 3)
  })

  test('is found by its filters, and pages do not overlap', async () => {
    const to = await receiver()
    const webhook = await made({ url: to.url })
    for (let sent = 0; sent < 5; sent++) await webhook.at('POST', '/test')
    const list = async (query: string) => (await webhook.at('GET', `/deliveries${query}`)).body
    await until('all posted', async () => (await list('?status=succeeded')).items.length === 5)
    const ids = (await list('')).items.map(({ id }: { id: string }) => id)
    const pages: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: { items: { id: string }[]; nextCursor: string | null } = await list(
        `?limit=2${cursor && `&cursor=${cursor}`}`,
      )
      pages.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    }
    expect(pages).toEqual(ids)
    expect((await list('?status=failed')).items).toEqual([])
    expect((await list('?event=webhook.ping')).items).toHaveLength(5)
    expect((await list('?event=meeting.ended')).items).toEqual([])
    expect((await list('?meetingId=5f0e7a52-5a52-4c7f-9a51-0c4f1a2b3c4d')).items).toEqual([])
    expect((await list('?to=2020-01-01T00:00:00Z')).items).toEqual([])
    expect((await list('?from=2020-01-01T00:00:00Z')).items).toHaveLength(5)
    expect((await list('?cursor=nonsense')).code).toBe('bad_cursor')
    expect((await list('?event=meeting.exploded')).code).toBe('invalid_query')
  })
})

test("a meeting's life is told in order to whoever asked, and of each step once", async () => {
  const to = await receiver()
  const webhook = await made({
    url: to.url,
    events: ['meeting.created', 'meeting.updated', 'meeting.cancelled'],
  })
  const call = (method: string, path: string, body?: unknown) =>
    api.call(method, path, { key: webhook.key, body })
  const { id, joinUrl } = (await call('POST', '/v1/meetings', newMeeting({ externalId: 'XOMA-7' }))).body
  await call('PATCH', `/v1/meetings/${id}`, { topic: 'Otro', end: '2031-03-04T11:30:00-05:00' })
  await call('DELETE', `/v1/meetings/${id}`)
  await call('DELETE', `/v1/meetings/${id}`)
  await until('three events', () => to.received.length >= 3)
  const told = eventsAt(to).sort((a, b) => a.sequence - b.sequence)
  expect(told.map(({ type }) => type)).toEqual(['meeting.created', 'meeting.updated', 'meeting.cancelled'])
  for (const event of told) envelopeSchema(event.type as keyof typeof EVENTS).parse(event)
  expect(told[0].data.meeting).toMatchObject({ id, joinUrl, externalId: 'XOMA-7', related: null })
  expect(told[1].data).toMatchObject({ changed: ['topic', 'end'], meeting: { topic: 'Otro' } })
  expect(told[2].data.meeting.status).toBe('cancelled')
  expect((await webhook.at('GET', `/deliveries?meetingId=${id}`)).body.items).toHaveLength(3)
})

describe('another organisation', () => {
  test.each([
    ['GET', '', undefined],
    ['PATCH', '', { status: 'disabled' }],
    ['DELETE', '', undefined],
    ['POST', '/rotate-secret', undefined],
    ['POST', '/test', undefined],
    ['GET', '/deliveries', undefined],
    ['POST', '/deliveries/:delivery/redeliver', undefined],
  ])('is told by %s of %s that there is no such webhook', async (method, rest, body) => {
    const to = await receiver()
    const webhook = await made({ url: to.url })
    const { id: delivery } = (await webhook.at('POST', '/test')).body
    const stranger = await api.keyOf('Hospital del Valle')
    const ask = (id: string) =>
      api.call(method, `/v1/webhooks/${id}${rest.replace(':delivery', delivery)}`, { key: stranger, body })
    const [answer, nothing] = [await ask(webhook.id), await ask('5f0e7a52-5a52-4c7f-9a51-0c4f1a2b3c4d')]
    expect(answer.status).toBe(404)
    const said = ({ detail, code, title }: Record<string, unknown>) => ({ detail, code, title })
    expect(said(answer.body)).toEqual(said(nothing.body))
    expect((await webhook.at('GET')).body).toMatchObject({
      status: 'enabled',
      secrets: [{ expiresAt: null }],
    })
    expect((await api.call('GET', '/v1/webhooks', { key: stranger })).body.items).toEqual([])
  })

  test("cannot replay a delivery of another's webhook through its own, nor page on with its cursor", async () => {
    const to = await receiver()
    const webhook = await made({ url: to.url })
    const mine = await made({ url: to.url })
    const { id } = (await webhook.at('POST', '/test')).body
    await webhook.at('POST', '/test')
    const { nextCursor } = (await webhook.at('GET', '/deliveries?limit=1')).body
    expect(await mine.at('POST', `/deliveries/${id}/redeliver`)).toMatchObject({
      status: 404,
      body: { code: 'delivery_not_found' },
    })
    expect((await mine.at('GET', `/deliveries?cursor=${nextCursor}`)).body.items).toEqual([])
  })

  test('hears nothing of what is not its own', async () => {
    const [to, others] = [await receiver(), await receiver()]
    const webhook = await made({ url: to.url })
    const other = await made({ url: others.url })
    await api.call('POST', '/v1/meetings', { key: webhook.key, body: newMeeting() })
    await until('the event', () => to.received.length > 0)
    expect((await other.at('GET', '/deliveries')).body.items).toEqual([])
    expect(others.received).toEqual([])
  })
})

test('the OpenAPI document shows every event with the shape of its payload', async () => {
  const { body } = await api.call('GET', '/openapi.json', { key: '' })
  expect(Object.keys(body.webhooks).sort()).toEqual(Object.keys(EVENTS).sort())
  const post = body.webhooks['coverage.alert'].post
  const { properties } = post.requestBody.content['application/json'].schema
  expect(properties.type.const).toBe('coverage.alert')
  expect(properties.data.required).toEqual(['meeting', 'recording', 'coverage', 'thresholdPercent'])
  expect(JSON.stringify(body.webhooks)).not.toContain('"additionalProperties":false')
})
