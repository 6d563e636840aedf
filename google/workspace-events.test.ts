import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { openReceiver, type Receiver } from '../sandbox/google/test-receiver.ts'
import { isFault } from './fault.ts'
import { openTestGoogle, type TestGoogle } from './test-google.ts'
import { NotAWorkspaceEvent, readWorkspaceEvent } from './workspace-event.ts'
import type { MeetEventKind } from './workspace-events.ts'

const HOST = 'agenda@clinica.example'
const topic = 'projects/clinica-sandbox/topics/meet'
const kinds: MeetEventKind[] = ['conference.v2.started', 'conference.v2.ended', 'participant.v2.joined']

const wanted = (at: TestGoogle) => ({ target: { userId: at.sandbox.users[0]?.id ?? '' }, kinds, topic })
const put = (at: TestGoogle) =>
  at.google.calendar.putEvent({
    meetingId: randomUUID(),
    topic: 'Junta',
    start: new Date('2026-12-01T10:00:00Z'),
    end: new Date('2026-12-01T11:00:00Z'),
    participants: [],
  })
const eventsAt = ({ received }: Receiver) => received.map(({ body }) => readWorkspaceEvent(JSON.parse(body)))
const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('it worked'),
    (error: unknown) => error,
  )

describe('a subscription', () => {
  test('lives for a week and is renewed', async () => {
    const at = await openTestGoogle()
    const made = await at.google.subscriptions.subscribe(HOST, wanted(at))
    expect(made).toMatchObject({ ...wanted(at), state: 'active', userId: at.sandbox.users[0]?.id })
    const stored = at.sandbox.state.subscriptions.get(made.name)
    if (stored) stored.expiresAtMs = Date.now() + 3600_000
    const soon = await at.google.subscriptions.read(HOST, made.name)
    const renewed = await at.google.subscriptions.renew(HOST, made.name)
    expect(renewed.expiresAt.getTime() - soon.expiresAt.getTime()).toBeGreaterThan(6 * 86_400_000)
  })

  test('is made once: asking again, or after a lost answer, gives the one that is there, with what is wanted now', async () => {
    const at = await openTestGoogle()
    at.sandbox.faults.add({ kind: 'cut', method: 'subscriptions.create' })
    const made = await at.google.subscriptions.subscribe(HOST, wanted(at))
    const more = { ...wanted(at), kinds: ['recording.v2.fileGenerated'] as const }
    const again = await at.another().subscriptions.subscribe(HOST, more)
    expect(again).toMatchObject({ name: made.name, kinds: more.kinds })
    expect(at.sandbox.state.subscriptions.size).toBe(1)
  })

  test('that was suspended is woken by subscribing again, and by reactivating it once or twice', async () => {
    const at = await openTestGoogle()
    const { name } = await at.google.subscriptions.subscribe(HOST, wanted(at))
    at.sandbox.passLifecycle('suspended', 'ENDPOINT_NOT_FOUND')
    expect(await at.google.subscriptions.read(HOST, name)).toMatchObject({
      state: 'suspended',
      suspensionReason: 'ENDPOINT_NOT_FOUND',
    })
    expect((await at.google.subscriptions.subscribe(HOST, wanted(at))).state).toBe('active')
    at.sandbox.passLifecycle('suspended')
    at.sandbox.faults.add({ kind: 'cut', method: 'subscriptions.reactivate' })
    expect((await at.google.subscriptions.reactivate(HOST, name)).state).toBe('active')
    expect((await at.google.subscriptions.reactivate(HOST, name)).state).toBe('active')
  })

  test('that ran out cannot be renewed, and one that is gone counts as removed', async () => {
    const at = await openTestGoogle()
    const { name } = await at.google.subscriptions.subscribe(HOST, wanted(at))
    at.sandbox.passLifecycle('expired')
    expect(isFault(await faultOf(at.google.subscriptions.renew(HOST, name)), 'not_found')).toBe(true)
    await at.google.subscriptions.remove(HOST, name)
    const second = await at.google.subscriptions.subscribe(HOST, wanted(at))
    await at.google.subscriptions.remove(HOST, second.name)
    expect(at.sandbox.state.subscriptions.size).toBe(0)
  })

  test('to another topic stays in the way and is named', async () => {
    const at = await openTestGoogle()
    const { name } = await at.google.subscriptions.subscribe(HOST, wanted(at))
    const other = { ...wanted(at), topic: 'projects/clinica-sandbox/topics/other' }
    const fault = await faultOf(at.google.subscriptions.subscribe(HOST, other))
    expect(fault).toMatchObject({ code: 'conflict', reason: 'other_topic' })
    expect(String(fault)).toContain(name)
  })

  test('to what one may not see is forbidden', async () => {
    const at = await openTestGoogle()
    const nobody = { ...wanted(at), target: { userId: '1' } }
    expect(isFault(await faultOf(at.google.subscriptions.subscribe(HOST, nobody)), 'forbidden')).toBe(true)
  })
})

describe('what is told', () => {
  test('of a call in a space: who came, when it began and ended', async () => {
    const at = await openTestGoogle({ conferences: { endShowsAfterMs: 0 } })
    const receiver = await openReceiver()
    at.sandbox.subscribeTopic({ topic, endpoint: receiver.address })
    const { meetingCode } = await put(at)
    const space = [...at.sandbox.state.spaces.keys()][0] ?? ''
    const made = await at.google.subscriptions.subscribe(HOST, { ...wanted(at), target: { space } })
    at.sandbox.peopleAre(meetingCode, [{ id: '1', displayName: 'Ana' }])
    at.sandbox.peopleAre(meetingCode, [])
    await expect.poll(() => receiver.received).toHaveLength(3)
    const events = eventsAt(receiver)
    const conference = at.sandbox.state.conferences[0]?.name
    for (const kind of ['conference.v2.started', 'conference.v2.ended'])
      expect(events).toContainEqual({
        eventId: expect.any(String),
        type: `google.workspace.meet.${kind}`,
        happenedAt: expect.any(Date),
        subscription: made.name,
        space,
        about: { conference },
      })
    const [session] = events.flatMap(({ about }) =>
      'participantSession' in about ? about.participantSession : [],
    )
    expect(session).toMatch(new RegExp(`^${conference}/participants/\\d+/participantSessions/1$`))
  })

  test('twice is known by the id of the event', async () => {
    const at = await openTestGoogle()
    const receiver = await openReceiver()
    at.sandbox.subscribeTopic({ topic, endpoint: receiver.address })
    await at.google.subscriptions.subscribe(HOST, { ...wanted(at), kinds: ['conference.v2.started'] })
    at.sandbox.faults.add({ kind: 'duplicatePush', service: 'pubsub' })
    at.sandbox.peopleAre((await put(at)).meetingCode, [{ id: '1', displayName: 'Ana' }])
    await expect.poll(() => receiver.received).toHaveLength(2)
    const [first, second] = eventsAt(receiver)
    expect(second).toEqual(first)
  })

  test.each([
    ['suspended', 'suspended', 'USER_SCOPE_REVOKED'],
    ['expirationReminder', 'expiration_reminder', null],
    ['expired', 'expired', null],
  ] as const)('of its own life: %s', async (happening, lifecycle, suspensionReason) => {
    const at = await openTestGoogle()
    const receiver = await openReceiver()
    at.sandbox.subscribeTopic({ topic, endpoint: receiver.address })
    const { name } = await at.google.subscriptions.subscribe(HOST, wanted(at))
    at.sandbox.passLifecycle(happening)
    await expect.poll(() => receiver.received).toHaveLength(1)
    expect(eventsAt(receiver)).toMatchObject([
      {
        subscription: name,
        space: null,
        about: { lifecycle, suspensionReason, expiresAt: expect.any(Date) },
      },
    ])
  })
})

describe('a body that is no such event', () => {
  const attributes = {
    'ce-id': '1',
    'ce-type': 'google.workspace.meet.tea.v2.served',
    'ce-source': '//workspaceevents.googleapis.com/subscriptions/a',
    'ce-time': '2026-12-01T10:00:00Z',
  }
  const data = Buffer.from('{"tea":{"name":"teas/1"}}').toString('base64')

  test('is read when only its kind is unknown', () => {
    expect(readWorkspaceEvent({ message: { attributes, data } })).toMatchObject({ about: { other: true } })
  })

  test.each([
    ['nothing', null],
    ['no message', {}],
    ['no attributes', { message: { data } }],
    ['another source', { message: { data, attributes: { ...attributes, 'ce-source': '//x/y' } } }],
    ['no time', { message: { data, attributes: { ...attributes, 'ce-time': 'soon' } } }],
    ['data that is not base64', { message: { attributes, data: '{}' } }],
    ['data that is not JSON', { message: { attributes, data: Buffer.from('{').toString('base64') } }],
    ['data that is no object', { message: { attributes, data: Buffer.from('7').toString('base64') } }],
  ])('is refused: %s', (_what, body) => {
    expect(() => readWorkspaceEvent(body)).toThrow(NotAWorkspaceEvent)
  })
})
