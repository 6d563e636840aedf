import { setTimeout as delay } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openTestApi, type TestApi, until } from '../test-api.ts'
import { type Receiver, startReceiver } from './receiver-for-tests.ts'

/** What becomes of events whose receiver misbehaves, from the API's outside: what its owner sees, and can do about it. */

let google: GoogleSandbox
let api: TestApi
/** Another one, as it is by default: private addresses are refused. */
let strict: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, undefined, { env: { TESTIGO_WEBHOOK_TIMEOUT_SECONDS: '3' } })
  strict = await openTestApi(google, undefined, { env: { TESTIGO_WEBHOOK_ALLOW_PRIVATE: 'off' } })
})
afterAll(async () => {
  await strict?.close()
  await api?.close()
  await google?.stop()
})

async function receiver(answer?: Receiver['answer']): Promise<Receiver> {
  const started = await startReceiver(answer)
  onTestFinished(() => started[Symbol.asyncDispose]())
  return started
}

async function webhookAt(url: string, at = api) {
  const made = await at.call('POST', '/v1/webhooks', { body: { url } })
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  const { id, secret } = made.body as { id: string; secret: string }
  const call = (method: string, rest: string) => at.call(method, `/v1/webhooks/${id}${rest}`)
  onTestFinished(async () => void (await call('DELETE', '')))
  const attempts = async () => (await call('GET', '/deliveries')).body.items[0]?.attempts ?? []
  return { id, secret, call, attempts }
}

const verifies = (secret: string, { body, headers }: Receiver['received'][number]) =>
  new Webhook(secret).verify(body, headers as Record<string, string>)

const elsewhere: string[] = []

describe('a receiver that', () => {
  test.each<[string, Receiver['answer'], object]>([
    ['fails', response => response.writeHead(500).end('down'), { status: 500, error: 'not_accepted' }],
    ['hangs', () => {}, { status: null, error: 'timed_out' }],
    ['hangs up', response => response.destroy(), { status: null, error: 'connection_failed' }],
    [
      'redirects',
      response => response.writeHead(307, { location: elsewhere[0] }).end(),
      { status: 307, error: 'redirected' },
    ],
    [
      'redirects to where clouds keep credentials',
      response => response.writeHead(302, { location: 'http://169.254.169.254/latest/' }).end(),
      { status: 302, error: 'redirected' },
    ],
    [
      'answers after the limit',
      response => void delay(4500).then(() => response.writeHead(204).end()),
      { status: null, error: 'timed_out' },
    ],
  ])('%s: its owner sees why, and gets the event, signed, once it is mended', async (_what, answer, seen) => {
    const other = await receiver()
    elsewhere.splice(0, 1, other.url)
    const to = await receiver(answer)
    const webhook = await webhookAt(to.url)
    const { id } = (await webhook.call('POST', '/test')).body
    const [first] = await until('the first attempt', async () => {
      const attempts = await webhook.attempts()
      return attempts.length > 0 && attempts
    })
    expect(first).toMatchObject(seen)
    expect((await webhook.call('GET', '')).body).toMatchObject({
      status: 'enabled',
      failingSince: expect.any(String),
    })
    expect(other.received).toEqual([])

    to.answer = response => response.writeHead(204).end()
    await webhook.call('POST', `/deliveries/${id}/redeliver`)
    await until('success', async () => (await webhook.attempts()).at(-1)?.error === null)
    expect((await webhook.call('GET', '')).body.failingSince).toBeNull()
    const last = to.received.at(-1)
    if (!last) throw new Error('nothing came')
    expect(verifies(webhook.secret, last)).toMatchObject({ type: 'webhook.ping' })
    expect(() => verifies(webhook.secret, { ...last, body: `${last.body} ` })).toThrow()
    // Whoever kept the first post drops the second by this.
    expect(new Set(to.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  })

  test('answers slowly, but within the limit, has its event at the first try', async () => {
    const to = await receiver(response => void delay(400).then(() => response.writeHead(202).end()))
    const webhook = await webhookAt(to.url)
    await webhook.call('POST', '/test')
    await until('success', async () => (await webhook.attempts()).at(-1)?.error === null)
    expect(to.received).toHaveLength(1)
    for (const one of to.received) expect(verifies(webhook.secret, one)).toBeDefined()
  })
})

describe('a private address', () => {
  test.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '10.0.0.7', '169.254.169.254', '2130706433'])(
    'is refused when the webhook is made: %s',
    async host => {
      const answer = await strict.call('POST', '/v1/webhooks', { body: { url: `https://${host}/` } })
      expect(answer).toMatchObject({ status: 422, body: { code: 'webhook_url_refused' } })
    },
  )

  test('that a webhook came to have later gets no post, and its owner sees why', async () => {
    const to = await receiver()
    const webhook = await webhookAt('https://erp.example/', strict)
    const url = to.url.replace('http:', 'https:')
    await strict.db.execute(`update webhook_endpoints set url = '${url}' where id = '${webhook.id}'`)
    await webhook.call('POST', '/test')
    const [first] = await until('the first attempt', async () => {
      const attempts = await webhook.attempts()
      return attempts.length > 0 && attempts
    })
    expect(first).toMatchObject({ status: null, error: 'address_refused', answer: null })
    expect(to.received).toEqual([])
  })
})
