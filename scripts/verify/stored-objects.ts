import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { readStorageFault, StorageFault } from '../../storage/fault.ts'
import type { Store } from '../../storage/s3.ts'
import type { Finding } from './findings.ts'

/** An object and what it should be. */
export interface Expected {
  what: Finding['what']
  key: string
  sha256: string
  sizeBytes: number
  /** What it means when it is not there; without this it is a fault. */
  whenGone?: { state: 'removed' | 'lost'; because: string }
}

const AT_ONCE = 4
const TRIES = 3

/**
 * Downloads objects, four at once, keeps nothing of them, and compares size and SHA-256. When the store is away the rest
 * is not checked.
 */
export async function checkStoredObjects(
  store: Pick<Store, 'get'>,
  expected: readonly Expected[],
): Promise<Finding[]> {
  const findings = new Map<Expected, Finding>()
  const waiting = [...expected]
  let away: StorageFault | undefined
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        if (!away) findings.set(next, await checkObject(store, next))
      } catch (error) {
        if (!(error instanceof StorageFault)) throw error
        away ??= error
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  const why = away?.message ?? 'The store was away.'
  return expected.map(
    one =>
      findings.get(one) ?? {
        what: one.what,
        key: one.key,
        state: 'not_checked',
        sentence: `${one.key} was not looked at. ${why}`,
      },
  )
}

async function checkObject(store: Pick<Store, 'get'>, expected: Expected): Promise<Finding> {
  const { what, key, whenGone } = expected
  const found = await hashObject(store, key)
  if (!found)
    return whenGone
      ? { what, key, state: whenGone.state, sentence: `${key} ${whenGone.because}` }
      : { what, key, state: 'missing', sentence: `${key} is not in the bucket.` }
  const fault = differenceOf(found, expected)
  return fault
    ? { what, key, state: 'different', sentence: `${key} ${fault}` }
    : {
        what,
        key,
        state: 'ok',
        sentence: `${key} is there: ${found.sizeBytes} bytes, SHA-256 ${found.sha256}.`,
      }
}

/** What is wrong with bytes, as the end of a sentence; nothing when they are the expected ones. */
export function differenceOf(
  found: { sizeBytes: number; sha256: string },
  expected: { sizeBytes: number; sha256: string },
): string | undefined {
  if (found.sizeBytes !== expected.sizeBytes)
    return `has ${found.sizeBytes} bytes instead of ${expected.sizeBytes}.`
  if (found.sha256 !== expected.sha256) return `has SHA-256 ${found.sha256} instead of ${expected.sha256}.`
  return undefined
}

/** Size and SHA-256 of what comes out of a stream. */
export async function hashStream(source: Readable): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const piece of source as AsyncIterable<Buffer>) {
    hash.update(piece)
    sizeBytes += piece.length
  }
  return { sizeBytes, sha256: hash.digest('hex') }
}

/** Size and SHA-256 of an object; `undefined` when there is none. @throws {StorageFault} */
async function hashObject(store: Pick<Store, 'get'>, key: string) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await hashStream(await store.get(key))
    } catch (error) {
      const fault = readStorageFault(error, `get ${key}`)
      if (fault.code === 'not_found') return undefined
      // A download that broke in its middle begins again; a store that stayed away was waited for already.
      if (error instanceof StorageFault || !fault.retryable || tries === TRIES) throw fault
    }
  }
}
