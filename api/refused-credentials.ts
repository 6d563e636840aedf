import { createHash } from 'node:crypto'
import { ipKeyGenerator, MemoryStore, type Options } from 'express-rate-limit'
import { Problem } from './problem.ts'

/** How often each address may come with keys and tokens that are refused, within a minute and in each API process. */
export interface Refusals {
  /**
   * Refuses a credential of an address that had too many refused, unless it was good here before: one program with a bad
   * key must not shut out the others behind the same address.
   * @throws {Problem} `too_many_requests`
   */
  throwIfTooMany(address: string | undefined, credential: string): Promise<void>
  /** Counts one that was refused. */
  count(address: string | undefined, credential: string): Promise<void>
  /** Notes one that is good. */
  remember(credential: string): void
}

const WINDOW_MS = 60_000
const MOST_REMEMBERED = 10_000

/** @param perMinute 0: no limit */
export function openRefusals(perMinute: number): Refusals {
  if (perMinute === 0) return { throwIfTooMany: async () => {}, count: async () => {}, remember: () => {} }
  const counted = new MemoryStore()
  counted.init({ windowMs: WINDOW_MS } as Options)
  // The longest unused first. Hashes, so that no key lies in memory for longer than its request.
  const good = new Set<string>()
  const hashOf = (credential: string) => createHash('sha256').update(credential).digest('base64url')
  return {
    async throwIfTooMany(address, credential) {
      const found = await counted.get(ipKeyGenerator(address ?? ''))
      if (!found || found.totalHits < perMinute || good.has(hashOf(credential))) return
      const waitMs = (found.resetTime?.getTime() ?? Date.now() + WINDOW_MS) - Date.now()
      if (waitMs <= 0) return
      throw new Problem(
        'too_many_requests',
        'Too many keys or tokens that are not good came from this address. Wait, and send a good one.',
        { retryAfterSeconds: Math.ceil(waitMs / 1000) },
      )
    },
    async count(address, credential) {
      good.delete(hashOf(credential))
      await counted.increment(ipKeyGenerator(address ?? ''))
    },
    remember(credential) {
      const hash = hashOf(credential)
      good.delete(hash)
      good.add(hash)
      if (good.size <= MOST_REMEMBERED) return
      const [oldest] = good
      if (oldest !== undefined) good.delete(oldest)
    },
  }
}
