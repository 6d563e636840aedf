import { randomBytes } from 'node:crypto'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { createLog } from '../../log.ts'
import { firstSecret, rotateSecret, signatureHeaders } from './secrets.ts'
import { openVault } from './vault.ts'

const vault = openVault({ key: randomBytes(32), dataDir: '/nowhere', log: createLog('silent') })
const HOUR_MS = 3_600_000
const later = (from: Date, ms: number) => new Date(from.getTime() + ms)

async function verifies(
  secret: string,
  endpoint: Parameters<typeof signatureHeaders>[1],
  now: Date,
  body = '{"a":"ñ"}',
) {
  const headers = await signatureHeaders(vault, endpoint, { id: 'evt_1', body }, now)
  // The library's own clock is the machine's: only a post of now is fresh.
  try {
    new Webhook(secret).verify(body, headers)
    return true
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false
    throw error
  }
}

test("a post is signed so that the library's verifier takes it, and not with another body, id or secret", async () => {
  const now = new Date()
  const { secret, secrets } = await firstSecret(vault, 'one', now)
  expect(Buffer.from(secret.replace('whsec_', ''), 'base64')).toHaveLength(32)
  const body = '{"topic":"Comité ✓"}'
  const headers = await signatureHeaders(vault, { id: 'one', secrets }, { id: 'evt_1', body }, now)
  const verifier = new Webhook(secret)
  expect(verifier.verify(body, headers)).toEqual({ topic: 'Comité ✓' })
  expect(() => verifier.verify(`${body} `, headers)).toThrow()
  expect(() => verifier.verify(body, { ...headers, 'webhook-id': 'evt_2' })).toThrow()
  const other = await firstSecret(vault, 'two', now)
  expect(() => new Webhook(other.secret).verify(body, headers)).toThrow()
})

test('after a rotation both secrets sign until the overlap is over, then the new one alone', async () => {
  const now = new Date()
  const made = await firstSecret(vault, 'one', later(now, -48 * HOUR_MS))
  const justNow = await rotateSecret(vault, { id: 'one', secrets: made.secrets }, 24 * HOUR_MS, now)
  expect(await verifies(made.secret, { id: 'one', ...justNow }, now)).toBe(true)
  expect(await verifies(justNow.secret, { id: 'one', ...justNow }, now)).toBe(true)
  const dayAgo = await rotateSecret(
    vault,
    { id: 'one', secrets: made.secrets },
    24 * HOUR_MS,
    later(now, -24 * HOUR_MS),
  )
  expect(await verifies(made.secret, { id: 'one', ...dayAgo }, now)).toBe(false)
  expect(await verifies(dayAgo.secret, { id: 'one', ...dayAgo }, now)).toBe(true)
})

test('a rotation without overlap ends the secret before at once, also one that had an overlap left', async () => {
  const now = new Date()
  const made = await firstSecret(vault, 'one', now)
  const second = await rotateSecret(vault, { id: 'one', ...made }, HOUR_MS, now)
  const third = await rotateSecret(vault, { id: 'one', ...second }, 0, now)
  expect(third.secrets).toHaveLength(1)
  expect(await verifies(made.secret, { id: 'one', ...third }, now)).toBe(false)
  expect(await verifies(second.secret, { id: 'one', ...third }, now)).toBe(false)
})

test('an overlap that runs is not made longer by the next rotation, and at most five secrets sign', async () => {
  const now = new Date()
  const made = await firstSecret(vault, 'one', now)
  let rotated = await rotateSecret(vault, { id: 'one', ...made }, HOUR_MS, now)
  const end = rotated.secrets[1]?.expiresAt
  rotated = await rotateSecret(vault, { id: 'one', ...rotated }, 24 * HOUR_MS, now)
  expect(rotated.secrets[2]?.expiresAt).toBe(end)
  for (let more = 0; more < 5; more++)
    rotated = await rotateSecret(vault, { id: 'one', ...rotated }, HOUR_MS, now)
  expect(rotated.secrets).toHaveLength(5)
})
