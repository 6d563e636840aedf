import type { MethodOptions } from 'googleapis/build/src/apis/calendar/index.js'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import { type GoogleService, readFault } from './fault.ts'

export interface RetryRule {
  service: GoogleService
  /** Words for the log, e.g. `calendar.events.insert`. */
  what: string
  /** Allows POST and PATCH to be sent again. */
  idempotent: boolean
  /** Tries after the first one. */
  retries: number
  /** Milliseconds since the epoch after which nothing is tried again. */
  deadlineMs: number
  /** Aborts the wait between two tries. */
  signal: AbortSignal
  clock: Clock
  log: Log
}

/**
 * Node's own fetch for every request. gaxios would take node-fetch, which, when a limit has passed before the request
 * is made, destroys the body with an error that nobody listens to: the whole process dies of it.
 */
export const TRANSPORT = { fetchImplementation: fetch } satisfies MethodOptions

const ALWAYS_REPEATABLE = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])
const CAP_MS = 32_000

/**
 * One retry rule for all of Google's APIs, in the form gaxios takes it: 408, 429, 5xx, a network without answer and
 * 403 rate limits; `Retry-After` when sent, else 2^n s + up to 1 s of jitter, capped; never past the deadline.
 * gaxios' own rule repeats no POST, no PATCH and no 403, and ignores `Retry-After` (google-apis.md §0.6, §4.12).
 */
export function retryConfig(rule: RetryRule): NonNullable<MethodOptions['retryConfig']> {
  let tries = 0
  let waitMs = 0
  return {
    retry: rule.retries,
    shouldRetry: error => {
      if (rule.signal.aborted || tries >= rule.retries) return false
      if (!rule.idempotent && !ALWAYS_REPEATABLE.has(error.config.method?.toUpperCase() ?? 'GET'))
        return false
      const nowMs = rule.clock.now()
      const fault = readFault(error, rule.service, rule.what, nowMs)
      if (fault.code !== 'rate_limited' && fault.code !== 'unavailable') return false
      waitMs = fault.retryAfterSeconds === undefined ? backoffMs(tries) : fault.retryAfterSeconds * 1000
      if (nowMs + waitMs >= rule.deadlineMs) return false
      tries += 1
      rule.log.info(
        { call: rule.what, reason: fault.reason, httpStatus: fault.httpStatus, tries, waitMs },
        'asking Google again',
      )
      return true
    },
    retryBackoff: () => rule.clock.sleep(waitMs, rule.signal),
  }
}

/** Google's backoff: 2^n s + random(0…1000 ms), at most 32 s (google-apis.md §4.12). `tries` counts from 0. */
export function backoffMs(tries: number): number {
  return Math.min(2 ** tries * 1000 + Math.random() * 1000, CAP_MS)
}
