import type { S3ClientConfig } from '@aws-sdk/client-s3'
import type { Log } from '../log.ts'
import { readStorageFault, StorageFault } from './fault.ts'

type RetryStrategy = Extract<
  Exclude<S3ClientConfig['retryStrategy'], undefined>,
  { refreshRetryTokenForRetry: unknown }
>

const FIRST_WAIT_MS = 250
const CAP_MS = 20_000

/**
 * Tries again as long as the store's trouble may pass: exponential waits with full jitter, 250 ms to 20 s. It has no
 * count of its own, since every request carries a signal that ends it at its wall clock. The SDK's own strategy gives
 * up after three tries, which a restart of the store outlasts.
 */
export function untilAborted(log: Log): RetryStrategy {
  return {
    acquireInitialRetryToken: async () => token(0, 0),
    refreshRetryTokenForRetry: async (used, { error, retryAfterHint }) => {
      const fault = readStorageFault(error, 'a request')
      if (!fault.retryable) throw fault
      const retries = used.getRetryCount() + 1
      const hintMs = retryAfterHint ? retryAfterHint.getTime() - Date.now() : 0
      const waitMs = Math.max(hintMs, waitBefore(retries))
      log.info(
        { reason: fault.reason, httpStatus: fault.httpStatus, retries, waitMs },
        'asking the object store again',
      )
      return token(retries, waitMs)
    },
    recordSuccess: () => {},
  }
}

/** Never tries again. */
export const once: RetryStrategy = {
  acquireInitialRetryToken: async () => token(0, 0),
  refreshRetryTokenForRetry: async (_, { error }) => {
    throw error
  },
  recordSuccess: () => {},
}

/** Wait before the n-th retry, n from 1. */
export function waitBefore(retries: number): number {
  const ceilingMs = Math.min(FIRST_WAIT_MS * 2 ** (retries - 1), CAP_MS)
  return Math.round(ceilingMs / 2 + (Math.random() * ceilingMs) / 2)
}

function token(retries: number, waitMs: number) {
  return { getRetryCount: () => retries, getRetryDelay: () => waitMs }
}

/**
 * Gives work with the store a wall clock, and its errors our words.
 * @param work must end when the signal it is given aborts
 * @throws {StorageFault}; the reason of `signal` when the caller aborted
 */
export async function withinWallClock<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    return await work(signal ? AbortSignal.any([limit, signal]) : limit)
  } catch (error) {
    signal?.throwIfAborted()
    if (limit.aborted)
      throw new StorageFault(
        { code: 'timeout', retryable: true, reason: 'timeout' },
        `S3: ${what} did not finish within ${timeoutMs} ms`,
      )
    throw readStorageFault(error, what)
  }
}
