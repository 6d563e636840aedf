import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { openReceiver } from '../sandbox/google/test-receiver.ts'
import { channelTokenHash, isFromChannel, readCalendarPush } from './calendar-push.ts'
import { isFault } from './fault.ts'
import { openTestGoogle, type TestGoogle } from './test-google.ts'

const HOST = 'agenda@clinica.example'
const of = { subject: HOST }
const channel = (address: string) => ({ channelId: randomUUID(), address, token: 'un secreto' })
const change = (at: TestGoogle) =>
  at.sandbox.personDoes({
    do: 'create',
    as: HOST,
    start: '2026-12-01T10:00:00Z',
    end: '2026-12-01T11:00:00Z',
  })
const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('it worked'),
    (error: unknown) => error,
  )

describe('a channel on a calendar', () => {
  test('is told of a change, by pushes that prove to be of it', async () => {
    const at = await openTestGoogle()
    const receiver = await openReceiver()
    const wanted = channel(receiver.address)
    const opened = await at.google.watch.watch(of, wanted)
    expect(opened.expiresAt.getTime()).toBeGreaterThan(Date.now() + 6.9 * 86_400_000)
    await change(at)
    await expect.poll(() => receiver.received).toHaveLength(2)
    const pushes = receiver.received.map(({ headers }) => readCalendarPush(headers))
    expect(pushes.map(push => push?.state)).toEqual(['sync', 'exists'])
    const tokenHash = channelTokenHash(wanted.token)
    for (const push of pushes) {
      if (!push) throw new Error('no push')
      expect(isFromChannel(push, { ...opened, tokenHash })).toBe(true)
      expect(isFromChannel(push, { ...opened, resourceId: null, tokenHash })).toBe(true)
      expect(isFromChannel(push, { ...opened, tokenHash: channelTokenHash('otro') })).toBe(false)
      expect(isFromChannel(push, { ...opened, tokenHash, resourceId: 'otro' })).toBe(false)
      expect(isFromChannel(push, { ...opened, tokenHash, channelId: 'otro' })).toBe(false)
      expect(push.expiresAt?.getTime()).toBe(Math.floor(opened.expiresAt.getTime() / 1000) * 1000)
    }
  })

  test('lives as long as was asked for', async () => {
    const at = await openTestGoogle()
    const { address } = await openReceiver()
    const expiresAt = new Date(Date.now() + 3600_000)
    expect((await at.google.watch.watch(of, { ...channel(address), expiresAt })).expiresAt).toEqual(expiresAt)
  })

  test('is stopped, and stopping what is over counts as done', async () => {
    const at = await openTestGoogle()
    const { address } = await openReceiver()
    const opened = await at.google.watch.watch(of, channel(address))
    await at.google.watch.stop(HOST, opened)
    expect(at.sandbox.state.channels.size).toBe(0)
    await at.google.watch.stop(HOST, opened)
  })

  test('is opened once, not again and again, when Google fails or the answer is lost', async () => {
    const at = await openTestGoogle()
    const { address } = await openReceiver()
    const wanted = channel(address)
    at.sandbox.faults.add({ kind: 'error', method: 'events.watch', status: 503 })
    expect(isFault(await faultOf(at.google.watch.watch(of, wanted)), 'unavailable')).toBe(true)
    at.sandbox.faults.add({ kind: 'cut', method: 'events.watch' })
    expect(isFault(await faultOf(at.google.watch.watch(of, wanted)), 'unavailable')).toBe(true)
    expect(at.asked('events.watch')).toBe(2)
    expect(await faultOf(at.google.watch.watch(of, wanted))).toMatchObject({ reason: 'channelIdNotUnique' })
    expect((await at.google.watch.watch(of, channel(address))).resourceId).not.toBe('')
  })

  test('needs an address with TLS, and the fault says so', async () => {
    const at = await openTestGoogle()
    const fault = await faultOf(at.google.watch.watch(of, channel('http://testigo.example/hook')))
    expect(fault).toMatchObject({ code: 'misconfigured', reason: 'push.webhookUrlNotHttps' })
    expect(String(fault)).toContain('takes https only')
  })
})

describe('a request that says it is a push', () => {
  const headers = {
    'x-goog-channel-id': 'a',
    'x-goog-resource-id': 'b',
    'x-goog-resource-state': 'exists',
    'x-goog-message-number': '7',
  }

  test('is one without a token and without an end too', () => {
    expect(readCalendarPush(headers)).toEqual({
      channelId: 'a',
      resourceId: 'b',
      state: 'exists',
      messageNumber: 7,
      token: null,
      expiresAt: null,
    })
  })

  test.each(Object.keys(headers))('is none without %s', name => {
    expect(readCalendarPush({ ...headers, [name]: undefined })).toBeNull()
  })

  test('without a token is not of a channel whose token is known', () => {
    const push = readCalendarPush(headers)
    expect(
      push && isFromChannel(push, { channelId: 'a', resourceId: 'b', tokenHash: channelTokenHash('') }),
    ).toBe(false)
  })
})
