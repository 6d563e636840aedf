import { randomUUID } from 'node:crypto'
import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'
import { openReceiver, type Receiver } from '../test-receiver.ts'

let google: GoogleSandbox
let calendar: calendar_v3.Calendar
beforeAll(async () => {
  google = await openGoogle({ pushTimes: { delayMs: 5, retryMs: 5 } })
  calendar = (await officialClients(google, 'agenda@clinica.example')).calendar
})
afterEach(() => {
  google.state.channels.clear()
  google.faults.clear()
})
afterAll(() => google.stop())

async function watch(address: string, body: calendar_v3.Schema$Channel = {}) {
  const requestBody = { id: randomUUID(), type: 'web_hook', address, ...body }
  return (await calendar.events.watch({ calendarId: 'primary', requestBody })).data
}
async function insert(body: calendar_v3.Schema$Event = {}): Promise<string> {
  const start = { dateTime: '2026-12-01T10:00:00Z' }
  const end = { dateTime: '2026-12-01T11:00:00Z' }
  const { data } = await calendar.events.insert({
    calendarId: 'primary',
    requestBody: { start, end, ...body },
  })
  return data.id ?? ''
}
const states = ({ received }: Receiver) => received.map(({ headers }) => headers['x-goog-resource-state'])

describe('a channel', () => {
  test('begins with a sync push and tells each change with rising numbers and no body', async () => {
    const receiver = await openReceiver()
    const channel = await watch(receiver.address, { token: 'secreto' })
    expect(channel).toMatchObject({ kind: 'api#channel', token: 'secreto' })
    expect(Number(channel.expiration) - Date.now()).toBeGreaterThan(6.9 * 86_400_000)
    await expect.poll(() => states(receiver)).toEqual(['sync'])
    await insert()
    await expect.poll(() => states(receiver)).toEqual(['sync', 'exists'])
    const [first, second] = receiver.received
    expect(first?.headers).toMatchObject({
      'x-goog-channel-id': channel.id,
      'x-goog-channel-token': 'secreto',
      'x-goog-channel-expiration': new Date(Number(channel.expiration)).toUTCString(),
      'x-goog-message-number': '1',
      'x-goog-resource-id': channel.resourceId,
      'content-length': '0',
    })
    expect(Number(second?.headers['x-goog-message-number'])).toBeGreaterThan(1)
    expect(second?.body).toBe('')
  })

  test('is told of what others do to an event its owner is invited to', async () => {
    const receiver = await openReceiver()
    await watch(receiver.address)
    await expect.poll(() => states(receiver)).toEqual(['sync'])
    const [start, end] = ['2026-12-01T10:00:00Z', '2026-12-01T11:00:00Z']
    const attendees = ['agenda@clinica.example']
    await google.personDoes({ do: 'create', as: 'testigo@clinica.example', start, end, attendees })
    await expect.poll(() => states(receiver)).toEqual(['sync', 'exists'])
  })

  test('says nothing after it was stopped, which only its owner may do, and once', async () => {
    const receiver = await openReceiver()
    const { id, resourceId } = await watch(receiver.address)
    await expect.poll(() => states(receiver)).toEqual(['sync'])
    const requestBody = { id: id ?? null, resourceId: resourceId ?? null }
    const other = (await officialClients(google, 'testigo@clinica.example')).calendar
    expect((await failureOf(other.channels.stop({ requestBody }))).status).toBe(404)
    expect((await calendar.channels.stop({ requestBody })).status).toBe(204)
    const again = await failureOf(calendar.channels.stop({ requestBody }))
    expect(again).toMatchObject({ status: 404, reason: 'notFound' })
    expect(again.message).toContain(`Channel '${id}' not found`)
    const witness = await openReceiver()
    await watch(witness.address)
    await insert()
    await expect.poll(() => states(witness)).toContain('exists')
    expect(states(receiver)).toEqual(['sync'])
  })

  test('says nothing after it ran out', async () => {
    const receiver = await openReceiver()
    await watch(receiver.address)
    await expect.poll(() => states(receiver)).toEqual(['sync'])
    google.expireChannels()
    const witness = await openReceiver()
    await watch(witness.address)
    await insert()
    await expect.poll(() => states(witness)).toContain('exists')
    expect(states(receiver)).toEqual(['sync'])
  })

  test('lives as long as is asked for, at most 30 days', async () => {
    const { address } = await openReceiver()
    const lifeDays = async (body: calendar_v3.Schema$Channel) =>
      Math.round((Number((await watch(address, body)).expiration) - Date.now()) / 86_400_000)
    expect(await lifeDays({ params: { ttl: '172800' } })).toBe(2)
    expect(await lifeDays({ expiration: String(Date.now() + 3 * 86_400_000) })).toBe(3)
    expect(await lifeDays({ params: { ttl: String(90 * 86_400) } })).toBe(30)
  })

  test.each([
    ['an address without TLS', { address: 'http://testigo.example/hook' }, 'push.webhookUrlNotHttps'],
    ['another type', { type: 'smoke' }, 'push.channelTypeNotSupported'],
    ['an id that is too long', { id: 'x'.repeat(65) }, 'channelIdInvalid'],
    ['a token that is too long', { token: 'x'.repeat(257) }, 'invalid'],
  ])('is refused with %s', async (_what, body, reason) => {
    expect(await failureOf(watch('https://testigo.example/hook', body))).toMatchObject({
      status: 400,
      reason,
    })
  })

  test('is refused with an id that is taken', async () => {
    const { address } = await openReceiver()
    const { id } = await watch(address)
    expect(await failureOf(watch(address, { id: id ?? '' }))).toMatchObject({ reason: 'channelIdNotUnique' })
  })
})

describe('a push', () => {
  async function opened(): Promise<Receiver> {
    const receiver = await openReceiver()
    await watch(receiver.address)
    await expect.poll(() => states(receiver)).toEqual(['sync'])
    return receiver
  }

  test('is tried again after 503, and not after 400', async () => {
    const receiver = await opened()
    receiver.answers.push(503, 204)
    await insert()
    await expect.poll(() => states(receiver)).toEqual(['sync', 'exists', 'exists'])
    const [, first, second] = receiver.received
    expect(second?.headers['x-goog-message-number']).toBe(first?.headers['x-goog-message-number'])
    receiver.answers.push(400, 204)
    await insert()
    await expect.poll(() => google.state.pushes.at(-1)?.outcome).toBe(400)
    await insert()
    await expect.poll(() => google.state.pushes.at(-1)?.outcome).toBe(204)
    expect(states(receiver)).toHaveLength(5)
  })

  test('can be lost', async () => {
    const receiver = await opened()
    google.faults.add({ kind: 'losePush', service: 'calendarPush' })
    await insert()
    await expect.poll(() => google.state.pushes.at(-1)?.outcome).toBe('lost')
    expect(states(receiver)).toEqual(['sync'])
  })

  test('can come twice', async () => {
    const receiver = await opened()
    google.faults.add({ kind: 'duplicatePush', service: 'calendarPush' })
    await insert()
    await expect.poll(() => states(receiver)).toEqual(['sync', 'exists', 'exists'])
  })

  test('can come after the one that was sent later', async () => {
    const receiver = await opened()
    google.faults.add({ kind: 'delayPush', service: 'calendarPush', delayMs: 200 })
    await insert()
    await expect.poll(() => google.faults.active).toEqual([])
    await insert()
    await expect.poll(() => states(receiver)).toHaveLength(3)
    const [, first, second] = receiver.received.map(({ headers }) => Number(headers['x-goog-message-number']))
    expect(first).toBeGreaterThan(second ?? 0)
  })

  test('can come before the answer to the watch', async () => {
    const receiver = await openReceiver()
    google.faults.add({ kind: 'earlySync' })
    await watch(receiver.address)
    expect(states(receiver)).toEqual(['sync'])
  })
})
