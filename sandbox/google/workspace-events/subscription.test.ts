import { auth, type calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import type { workspaceevents_v1 } from 'googleapis/build/src/apis/workspaceevents/index.js'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'
import { openReceiver, type Received, type Receiver } from '../test-receiver.ts'

type Subscription = workspaceevents_v1.Schema$Subscription

const host = 'agenda@clinica.example'
const topic = 'projects/clinica-sandbox/topics/meet'
const pusher = 'pusher@clinica-sandbox.iam.gserviceaccount.com'
const meetType = (kind: string) => `google.workspace.meet.${kind}`
const eventTypes = ['conference.v2.started', 'conference.v2.ended', 'participant.v2.joined'].map(meetType)

let google: GoogleSandbox
let events: workspaceevents_v1.Workspaceevents
let calendar: calendar_v3.Calendar
beforeAll(async () => {
  google = await openGoogle({
    pushTimes: { delayMs: 0, retryMs: 5 },
    conferences: { endShowsAfterMs: 0, fileAfterMs: 0 },
  })
  const clients = await officialClients(google, host)
  events = clients.events
  calendar = clients.calendar
})
afterEach(() => {
  google.state.subscriptions.clear()
  google.state.pushSubscriptions.clear()
  google.faults.clear()
})
afterAll(() => google.stop())

const target = () => `//cloudidentity.googleapis.com/users/${google.users[0]?.id}`
async function create(body: Partial<Subscription> = {}): Promise<Subscription> {
  const notificationEndpoint = { pubsubTopic: topic }
  const requestBody = { targetResource: target(), eventTypes, notificationEndpoint, ...body }
  const { data } = await events.subscriptions.create({ requestBody })
  expect(data.done).toBe(true)
  return data.response as Subscription
}
async function space(): Promise<{ name: string; code: string }> {
  const start = { dateTime: '2026-12-01T10:00:00Z' }
  const end = { dateTime: '2026-12-01T11:00:00Z' }
  const conferenceData = { createRequest: { requestId: 'r' } }
  const requestBody = { start, end, conferenceData }
  const made = await calendar.events.insert({ calendarId: 'primary', conferenceDataVersion: 1, requestBody })
  const code = made.data.conferenceData?.conferenceId ?? ''
  const [name = ''] = [...google.state.spaces.values()].flatMap(one =>
    one.meetingCode === code ? one.name : [],
  )
  return { name, code }
}
function subscribe(receiver: Receiver, more: object = {}): string {
  return google.subscribeTopic({ topic, endpoint: receiver.address, serviceAccountEmail: pusher, ...more })
}
function read({ body }: Received) {
  const { message, subscription } = JSON.parse(body) as {
    subscription: string
    message: { attributes: Record<string, string>; data: string; messageId: string; orderingKey: string }
  }
  const data: unknown = JSON.parse(Buffer.from(message.data, 'base64').toString())
  return { ...message, data, type: message.attributes['ce-type'], subscription }
}
const types = ({ received }: Receiver) => received.map(one => read(one).type)
const tokenIn = (received: Received | undefined) =>
  received?.headers.authorization?.replace('Bearer ', '') ?? ''

describe('a subscription', () => {
  test('is made for a week, read, and found by event type and target', async () => {
    const made = await create()
    expect(made).toMatchObject({ state: 'ACTIVE', targetResource: target(), eventTypes })
    expect(Date.parse(made.expireTime ?? '') - Date.now()).toBeGreaterThan(6.9 * 86_400_000)
    const name = made.name ?? ''
    expect((await events.subscriptions.get({ name })).data).toMatchObject({ name, uid: made.uid })
    const found = async (filter: string) =>
      ((await events.subscriptions.list({ filter })).data.subscriptions ?? []).map(one => one.name)
    expect(await found(`event_types:"${eventTypes[0]}"`)).toEqual([name])
    const other = meetType('recording.v2.started')
    expect(await found(`event_types:"${other}"`)).toEqual([])
    const either = `event_types:"${other}" OR event_types:"${eventTypes[1]}"`
    expect(await found(`${either} AND target_resource="${target()}"`)).toEqual([name])
    expect((await failureOf(events.subscriptions.list({ filter: 'state="ACTIVE"' }))).status).toBe(400)
  })

  test('is there once for each target, and belongs to who made it', async () => {
    const { name } = await create()
    expect(await failureOf(create())).toMatchObject({ status: 409, reason: 'ALREADY_EXISTS' })
    const other = (await officialClients(google, 'testigo@clinica.example')).events
    expect((await failureOf(other.subscriptions.get({ name: name ?? '' }))).status).toBe(404)
  })

  test('is renewed, changed, deleted once, and gone when it ran out', async () => {
    const { name = '', etag, expireTime } = await create({ ttl: '3600s' })
    const at = { name: name ?? '' }
    const renewed = await events.subscriptions.patch({ ...at, updateMask: 'ttl', requestBody: { ttl: '0s' } })
    const after = renewed.data.response as Subscription
    expect(Date.parse(after.expireTime ?? '')).toBeGreaterThan(Date.parse(expireTime ?? '') + 86_400_000)
    expect(after.eventTypes).toEqual(eventTypes)
    const both = { ...at, updateMask: 'ttl,event_types', requestBody: { ttl: '0s', eventTypes } }
    expect((await failureOf(events.subscriptions.patch(both))).status).toBe(400)
    const fewer = eventTypes.slice(0, 1)
    const changed = await events.subscriptions.patch({ ...at, requestBody: { eventTypes: fewer } })
    expect(changed.data.response).toMatchObject({ eventTypes: fewer, expireTime: after.expireTime })
    const stale = events.subscriptions.delete({ ...at, etag: etag ?? '' })
    expect(await failureOf(stale)).toMatchObject({ status: 409, reason: 'ABORTED' })
    await events.subscriptions.delete(at)
    expect((await failureOf(events.subscriptions.delete(at))).status).toBe(404)
    expect((await events.subscriptions.delete({ ...at, allowMissing: true })).status).toBe(200)
    const { name: second } = await create()
    google.passLifecycle('expired')
    expect((await failureOf(events.subscriptions.get({ name: second ?? '' }))).status).toBe(404)
  })

  test.each([
    ['an unknown event type', { eventTypes: ['google.workspace.meet.tea.v2.served'] }, 400],
    ['no event type', { eventTypes: [] }, 400],
    ['a topic of another project', { notificationEndpoint: { pubsubTopic: 'projects/x/topics/y' } }, 400],
    ['another user', { targetResource: '//cloudidentity.googleapis.com/users/1' }, 403],
    ['a space that is not there', { targetResource: '//meet.googleapis.com/spaces/nada' }, 403],
    ['a life of eight days', { ttl: '691200s' }, 400],
  ])('is refused for %s', async (_what, body, status) => {
    expect((await failureOf(create(body))).status).toBe(status)
  })
})

describe('what happens in a call', () => {
  test('comes as CloudEvents with names only, each with an id of its own', async () => {
    const receiver = await openReceiver()
    const pushSubscription = subscribe(receiver)
    const { name } = await create()
    const { code, name: spaceName } = await space()
    google.peopleAre(code, [{ id: '1', displayName: 'Ana' }])
    google.peopleAre(code, [])
    await expect.poll(() => types(receiver).sort()).toEqual(eventTypes.toSorted())
    const started = receiver.received.map(read).find(one => one.type === eventTypes[0])
    const record = google.state.conferences.find(one => one.space === spaceName)?.name
    expect(started?.data).toEqual({ conferenceRecord: { name: record } })
    expect(started?.subscription).toBe(pushSubscription)
    expect(started?.orderingKey).toBe(`//workspaceevents.googleapis.com/${name}`)
    expect(started?.attributes).toMatchObject({
      'ce-source': `//workspaceevents.googleapis.com/${name}`,
      'ce-subject': `//meet.googleapis.com/${spaceName}`,
      'ce-specversion': '1.0',
    })
    const joined = receiver.received.map(read).find(one => one.type === eventTypes[2])
    expect(joined?.data).toEqual({
      participantSession: {
        name: expect.stringMatching(`^${record}/participants/\\d+/participantSessions/1$`),
      },
    })
    expect(new Set(receiver.received.map(one => read(one).attributes['ce-id'])).size).toBe(3)
  })

  test('is told of one space only, and not of everything, to who asked for that', async () => {
    const receiver = await openReceiver()
    subscribe(receiver)
    const [one, other] = [await space(), await space()]
    const invitee = (await officialClients(google, 'testigo@clinica.example')).events
    const targetResource = `//meet.googleapis.com/${one.name}`
    const requestBody = { targetResource, eventTypes, notificationEndpoint: { pubsubTopic: topic } }
    await invitee.subscriptions.create({ requestBody })
    google.peopleAre(other.code, [{ id: '2', displayName: 'Ana' }])
    google.peopleAre(one.code, [{ id: '3', displayName: 'Luis' }])
    await expect.poll(() => types(receiver)).toEqual([eventTypes[0]])
  })

  test('is told again until it is acknowledged, and may come twice', async () => {
    const receiver = await openReceiver()
    subscribe(receiver)
    await create({ eventTypes: eventTypes.slice(0, 1) })
    receiver.answers.push(500, 404, 204)
    google.peopleAre((await space()).code, [{ id: '4', displayName: 'Ana' }])
    await expect.poll(() => receiver.received).toHaveLength(3)
    google.faults.add({ kind: 'duplicatePush', service: 'pubsub' })
    google.peopleAre((await space()).code, [{ id: '5', displayName: 'Ana' }])
    await expect.poll(() => receiver.received).toHaveLength(5)
    expect(new Set(receiver.received.map(one => read(one).messageId)).size).toBe(2)
  })
})

describe('the life of a subscription', () => {
  test('is told in snake_case; a suspended one is silent until it is reactivated', async () => {
    const receiver = await openReceiver()
    subscribe(receiver)
    const { name = '' } = await create({ eventTypes: eventTypes.slice(0, 1) })
    google.passLifecycle('expirationReminder')
    google.passLifecycle('suspended', 'USER_SCOPE_REVOKED')
    const life = (what: string) => `google.workspace.events.subscription.v1.${what}`
    await expect.poll(() => types(receiver).sort()).toEqual([life('expirationReminder'), life('suspended')])
    const suspended = receiver.received.map(read).find(one => one.type === life('suspended'))
    expect(suspended?.data).toMatchObject({
      subscription: { name, state: 'SUSPENDED', suspension_reason: 'USER_SCOPE_REVOKED' },
    })
    google.peopleAre((await space()).code, [{ id: '6', displayName: 'Ana' }])
    const woken = await events.subscriptions.reactivate({ name: name ?? '', requestBody: {} })
    expect(woken.data.response).toMatchObject({ state: 'ACTIVE' })
    google.peopleAre((await space()).code, [{ id: '7', displayName: 'Ana' }])
    await expect.poll(() => types(receiver)).toHaveLength(3)
  })
})

describe('the token of a push', () => {
  async function pushed(more: object = {}): Promise<string> {
    const receiver = await openReceiver()
    subscribe(receiver, more)
    await create()
    google.passLifecycle('expirationReminder')
    await expect.poll(() => receiver.received).toHaveLength(1)
    return tokenIn(receiver.received[0])
  }

  test("is accepted by Google's own library, with the sandbox's certificates", async () => {
    const idToken = await pushed({ audience: 'https://testigo.example/hook' })
    const client = new auth.OAuth2({
      endpoints: { oauth2FederatedSignonPemCertsUrl: `${google.url}/oauth2/v1/certs` },
    })
    const ticket = await client.verifyIdToken({ idToken, audience: 'https://testigo.example/hook' })
    expect(ticket.getPayload()).toMatchObject({ email: pusher, email_verified: true })
    await expect(client.verifyIdToken({ idToken, audience: 'https://other.example' })).rejects.toThrow()
  })

  test('is accepted by the published keys, also after they changed, until they are withdrawn', async () => {
    const keys = () => createRemoteJWKSet(new URL(google.baseUrls.certs))
    const first = await pushed()
    await google.rotateIdentityKeys()
    google.state.subscriptions.clear()
    const second = await pushed()
    for (const token of [first, second])
      expect((await jwtVerify(token, keys())).payload.iss).toBe('https://accounts.google.com')
    await google.rotateIdentityKeys('withdrawn')
    await expect(jwtVerify(first, keys())).rejects.toThrow('no applicable key')
  })

  test('is missing where the push subscription has no account', async () => {
    expect(await pushed({ serviceAccountEmail: undefined })).toBe('')
  })
})
