import { afterAll, beforeAll, expect, test } from 'vitest'
import { failureOf, officialClients } from './official-client.ts'
import type { GoogleSandbox } from './server.ts'
import { openGoogle } from './test-google.ts'
import { openReceiver } from './test-receiver.ts'

const host = 'agenda@clinica.example'
const topic = 'projects/clinica-sandbox/topics/meet'

let google: GoogleSandbox
beforeAll(async () => {
  google = await openGoogle({ pushTimes: { delayMs: 0 } })
})
afterAll(() => google.stop())

const ask = (method: string, path: string, body?: object) =>
  fetch(`${google.url}/_sandbox/${path}`, { method, ...(body && { body: JSON.stringify(body) }) })

test('sync tokens and channels are made to run out from outside', async () => {
  const { calendar } = await officialClients(google, host)
  const { nextSyncToken } = (await calendar.events.list({ calendarId: 'primary' })).data
  const { address } = await openReceiver()
  await calendar.events.watch({
    calendarId: 'primary',
    requestBody: { id: 'c1', type: 'web_hook', address, token: 'un secreto' },
  })
  expect((await ask('DELETE', 'sync-tokens')).status).toBe(204)
  const list = calendar.events.list({ calendarId: 'primary', syncToken: nextSyncToken ?? '' })
  expect((await failureOf(list)).reason).toBe('fullSyncRequired')
  expect((await ask('DELETE', 'channels')).status).toBe(204)
  expect(google.state.channels.get('c1')?.expiresAtMs).toBeLessThanOrEqual(Date.now())
  const state = await (await ask('GET', 'state')).text()
  expect(state).toContain('"c1"')
  expect(state).not.toContain('un secreto')
})

test('Pub/Sub is told from outside where to push, and subscriptions what happens to them', async () => {
  const receiver = await openReceiver()
  const made = await ask('POST', 'pubsub', { topic, endpoint: receiver.address })
  expect(await made.json()).toEqual({ name: 'projects/clinica-sandbox/subscriptions/push-1' })
  const { events } = await officialClients(google, host)
  const requestBody = {
    targetResource: `//cloudidentity.googleapis.com/users/${google.users[0]?.id}`,
    eventTypes: ['google.workspace.meet.conference.v2.started'],
    notificationEndpoint: { pubsubTopic: topic },
  }
  await events.subscriptions.create({ requestBody })
  expect((await ask('POST', 'subscriptions', { happening: 'expired' })).status).toBe(204)
  await expect.poll(() => receiver.received).toHaveLength(1)
  expect(receiver.received[0]?.body).toContain('subscription.v1.expired')
})

test.each([
  ['POST', 'pubsub', { topic: 'meet', endpoint: 'http://127.0.0.1/' }, 400],
  ['POST', 'subscriptions', { happening: 'party' }, 400],
  ['POST', 'faults', { kind: 'flood' }, 400],
  ['POST', 'doors', {}, 404],
])('%s %s with something else is refused and explained', async (method, path, body, status) => {
  const answer = await ask(method, path, body)
  expect(answer.status).toBe(status)
  expect(await answer.json()).toEqual({ error: expect.any(String) })
})
