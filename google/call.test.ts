import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { eventIdFor } from './event-body.ts'
import { GoogleFault } from './fault.ts'
import { hurriedClock, openTestGoogle, type TestGoogle } from './test-google.ts'

const meetingId = '6f1c7f0e-3c55-4f0e-9a52-6f7f3f1e2a10'
const eventId = eventIdFor(meetingId)

const put = (at: TestGoogle, signal?: AbortSignal) =>
  at.google.calendar.putEvent(
    {
      meetingId,
      topic: 'Junta',
      start: new Date('2026-12-01T15:00:00Z'),
      end: new Date('2026-12-01T16:00:00Z'),
      participants: [],
    },
    signal,
  )

const cancelFault = (at: TestGoogle, signal?: AbortSignal) =>
  at.google.calendar.cancelEvent(eventId, signal).then(
    () => expect.fail('it worked'),
    (error: unknown) => error,
  )

test('Retry-After is waited for to the second', async () => {
  const { clock, waitsMs } = hurriedClock()
  const at = await openTestGoogle({}, { clock })
  at.sandbox.faults.add({
    kind: 'error',
    method: 'events.insert',
    status: 429,
    reason: 'rateLimitExceeded',
    retryAfterSeconds: 7,
  })
  await put(at)
  expect(waitsMs).toEqual([7000])
})

test('without Retry-After the waits double, each with up to a second of jitter', async () => {
  const { clock, waitsMs } = hurriedClock()
  const at = await openTestGoogle({}, { clock })
  at.sandbox.faults.add({ kind: 'error', method: 'events.insert', status: 503, count: 3 })
  await put(at)
  expect(waitsMs.map(ms => Math.floor(ms / 1000))).toEqual([1, 2, 4])
  expect(waitsMs.every(ms => ms % 1000 !== 0)).toBe(true)
})

for (const reason of ['rateLimitExceeded', 'userRateLimitExceeded'])
  test(`a 403 ${reason} is tried again`, async () => {
    const at = await openTestGoogle()
    at.sandbox.faults.add({ kind: 'error', method: 'events.insert', status: 403, reason })
    await put(at)
    expect(at.asked('events.insert')).toBe(2)
  })

for (const status of [408, 500, 502, 504])
  test(`a ${status} is tried again`, async () => {
    const at = await openTestGoogle()
    at.sandbox.faults.add({ kind: 'error', method: 'events.insert', status })
    await put(at)
    expect(at.asked('events.insert')).toBe(2)
  })

test.each([
  { status: 403, reason: 'quotaExceeded', code: 'quota', retryable: true, retryAfterSeconds: 3600 },
  { status: 403, reason: 'forbiddenForNonOrganizer', code: 'forbidden', retryable: false },
  { status: 400, reason: 'timeRangeEmpty', code: 'invalid', retryable: false },
])('a $status $reason is not tried again and is called $code', async ({ status, reason, ...fault }) => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({ kind: 'error', method: 'events.delete', status, reason })
  const error = await cancelFault(at)
  expect(error).toBeInstanceOf(GoogleFault)
  expect(error).toMatchObject({ service: 'calendar', httpStatus: status, reason, ...fault })
  expect(at.asked('events.delete')).toBe(1)
})

test('a Retry-After beyond the wall clock is not waited for but handed on', async () => {
  const { clock, waitsMs } = hurriedClock()
  const at = await openTestGoogle({}, { clock })
  at.sandbox.faults.add({ kind: 'error', method: 'events.delete', status: 429, retryAfterSeconds: 120 })
  expect(await cancelFault(at)).toMatchObject({
    code: 'rate_limited',
    retryable: true,
    retryAfterSeconds: 120,
  })
  expect(waitsMs).toEqual([])
})

test('a Google that never gets well ends in a fault inside the wall clock', async () => {
  const { clock, waitsMs } = hurriedClock()
  const at = await openTestGoogle({}, { clock })
  at.sandbox.faults.add({ kind: 'down', service: 'calendar' })
  expect(await cancelFault(at)).toMatchObject({ code: 'unavailable', retryable: true })
  expect(waitsMs.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(at.settings.timeoutMs)
  expect(waitsMs.length).toBeGreaterThan(2)
})

test('a request that is never answered is sent again after half the wall clock', async () => {
  const at = await openTestGoogle({}, { settings: { timeoutMs: 5000 } })
  at.sandbox.faults.add({ kind: 'hang', method: 'events.insert' })
  await put(at)
  expect(at.asked('events.insert')).toBe(2)
})

test('a Google that never answers at all ends at the wall clock', async () => {
  const at = await openTestGoogle({}, { settings: { timeoutMs: 600 }, clock: systemClock })
  at.sandbox.faults.add({ kind: 'hang', service: 'calendar', count: 50 })
  const began = performance.now()
  expect(await cancelFault(at)).toMatchObject({ code: 'unavailable', reason: 'timeout', retryable: true })
  expect(performance.now() - began).toBeLessThan(3000)
})

test('a token endpoint that never answers ends the call at the wall clock too', async () => {
  const at = await openTestGoogle({}, { settings: { timeoutMs: 600 }, clock: systemClock })
  at.sandbox.faults.add({ kind: 'hang', service: 'token', count: 50 })
  expect(await cancelFault(at)).toMatchObject({ code: 'unavailable', reason: 'timeout' })
})

test('a caller that aborts gets its own reason back', async () => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({ kind: 'hang', service: 'calendar' })
  const stop = new AbortController()
  const cancelled = cancelFault(at, stop.signal)
  await expect.poll(() => at.asked('events.delete')).toBe(1)
  const reason = new Error('the process stops')
  stop.abort(reason)
  expect(await cancelled).toBe(reason)
})

test('a call aborted while its token is on the way hurts no other call', async () => {
  const at = await openTestGoogle()
  const stop = new AbortController()
  const aborted = put(at, stop.signal)
  stop.abort(new Error('the process stops'))
  await expect(aborted).rejects.toThrow('the process stops')
  // The token arrives for a call that is over; what its request does then must not bring the process down.
  await put(at)
  expect(at.asked('events.insert')).toBe(1)
})

test('a token revoked before its time is replaced once and the call goes on', async () => {
  const at = await openTestGoogle()
  await put(at)
  at.sandbox.revokeTokens()
  await at.google.calendar.cancelEvent(eventId)
  expect(at.asked('token')).toBe(2)
})

test('a Google that refuses every token is a fault, not a loop', async () => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({
    kind: 'error',
    method: 'events.delete',
    status: 401,
    reason: 'authError',
    count: 9,
  })
  expect(await cancelFault(at)).toMatchObject({ code: 'unauthorized', retryable: false })
  expect(at.asked('events.delete')).toBe(2)
})
