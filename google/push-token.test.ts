import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { openReceiver } from '../sandbox/google/test-receiver.ts'
import { createPushTokens, PushTokenError } from './push-token.ts'
import { openTestGoogle } from './test-google.ts'

const audience = 'https://testigo.example/v1/hooks/google/events'
const email = 'pusher@clinica-sandbox.iam.gserviceaccount.com'
const good = { aud: audience, email }

async function open(clock = systemClock) {
  const at = await openTestGoogle()
  const tokens = createPushTokens({ audience, email, certsUrl: at.sandbox.baseUrls.certs }, { clock })
  const reasonOf = (token: string | undefined) =>
    tokens.verify(token === undefined ? undefined : `Bearer ${token}`).then(
      () => 'let in',
      (error: unknown) => {
        expect(error).toBeInstanceOf(PushTokenError)
        expect(String(error)).not.toContain(token)
        return (error as PushTokenError).reason
      },
    )
  return { at, reasonOf, token: (claims: object) => at.sandbox.identityToken({ ...good, ...claims }) }
}

test('a push of our own push subscription is let in, as Pub/Sub sends it', async () => {
  const { at } = await open()
  const receiver = await openReceiver()
  const tokens = createPushTokens(
    { audience: receiver.address, email, certsUrl: at.sandbox.baseUrls.certs },
    { clock: systemClock },
  )
  const topic = 'projects/clinica-sandbox/topics/meet'
  at.sandbox.subscribeTopic({ topic, endpoint: receiver.address, serviceAccountEmail: email })
  const { name } = await makeSubscription(at, topic)
  at.sandbox.passLifecycle('expirationReminder')
  await expect.poll(() => receiver.received).toHaveLength(1)
  await tokens.verify(receiver.received[0]?.headers.authorization)
  expect(name).toMatch(/^subscriptions\//)
})

const makeSubscription = (at: Awaited<ReturnType<typeof openTestGoogle>>, topic: string) =>
  at.google.subscriptions.subscribe('agenda@clinica.example', {
    target: { userId: at.sandbox.users[0]?.id ?? '' },
    kinds: ['conference.v2.started'],
    topic,
  })

describe('a push is kept out', () => {
  const now = Math.floor(Date.now() / 1000)
  test.each([
    ['audience', { aud: 'https://testigo.example/other' }],
    ['audience', { aud: undefined }],
    ['issuer', { iss: 'https://accounts.evil.example' }],
    ['issuer', { iss: undefined }],
    ['email', { email: 'somebody@evil.iam.gserviceaccount.com' }],
    ['email', { email: undefined }],
    ['email', { email_verified: false }],
    ['email', { email_verified: undefined }],
    ['expired', { exp: now - 600, iat: now - 4200 }],
    ['expired', { exp: undefined }],
    ['expired', { nbf: now + 3600 }],
  ])('for its %s: %j', async (reason, claims) => {
    const { reasonOf, token } = await open()
    expect(await reasonOf(token(claims))).toBe(reason)
  })

  test('without a token, or with something else in its place', async () => {
    const { reasonOf } = await open()
    expect(await reasonOf(undefined)).toBe('missing')
    expect(await reasonOf('not-a-token')).toBe('missing')
    expect(await reasonOf('bm90.YS4.dG9rZW4')).toBe('malformed')
  })

  test('when it was changed, signed by somebody else, or not signed at all', async () => {
    const { at, reasonOf, token } = await open()
    const [head = '', body = '', signature = ''] = token({}).split('.')
    const other = Buffer.from(JSON.stringify({ ...good, sub: 'x' })).toString('base64url')
    expect(await reasonOf(`${head}.${other}.${signature}`)).toBe('signature')
    const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')
    expect(await reasonOf(`${none}.${body}.${signature}`)).toBe('signature')
    const symmetric = Buffer.from(JSON.stringify({ alg: 'HS256' })).toString('base64url')
    expect(await reasonOf(`${symmetric}.${body}.${signature}`)).toBe('signature')
    const foreign = await openTestGoogle()
    expect(await reasonOf(foreign.sandbox.identityToken(good))).toBe('signature')
    expect(at.asked('certs')).toBeGreaterThan(0)
  })
})

test('the clock may differ by a few minutes, no more', async () => {
  const late = (ms: number) => ({ ...systemClock, now: () => Date.now() + ms })
  const [near, far] = [await open(late(3_600_000 + 240_000)), await open(late(3_600_000 + 360_000))]
  expect(await near.reasonOf(near.token({}))).toBe('let in')
  expect(await far.reasonOf(far.token({}))).toBe('expired')
})

test("Google's keys are asked for once, also by many pushes at a time", async () => {
  const { at, reasonOf, token } = await open()
  const tokens = Array.from({ length: 20 }, () => token({}))
  expect(new Set(await Promise.all(tokens.map(reasonOf)))).toEqual(new Set(['let in']))
  expect(await reasonOf(token({}))).toBe('let in')
  expect(at.asked('certs')).toBe(1)
})

test('while the keys cannot be had nothing is known: the push may come again', async () => {
  const { at, reasonOf, token } = await open()
  at.sandbox.faults.add({ kind: 'error', service: 'certs', status: 503 })
  expect(await reasonOf(token({}))).toBe('keys_unavailable')
  at.sandbox.faults.add({ kind: 'down', service: 'certs', count: 1 })
  expect(await reasonOf(token({}))).toBe('keys_unavailable')
  expect(await reasonOf(token({}))).toBe('let in')
})

test('keys that never come are not waited for without end', async () => {
  const server = createServer(() => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const certsUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const tokens = createPushTokens({ audience, email, certsUrl }, { clock: systemClock })
  const { token } = await open()
  await expect(tokens.verify(`Bearer ${token({})}`)).rejects.toMatchObject({
    reason: 'keys_unavailable',
    retryable: true,
  })
})
