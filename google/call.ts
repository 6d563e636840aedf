import type { MethodOptions } from 'googleapis/build/src/apis/calendar/index.js'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import type { Access, AuthClient } from './access.ts'
import { GoogleFault, type GoogleService, readFault } from './fault.ts'
import { retryConfig, TRANSPORT } from './retry.ts'

/** One request to Google, described for the call path. */
export interface Call {
  service: 'calendar' | 'meet' | 'drive' | 'workspaceEvents'
  /** Google's name of the method, e.g. `events.insert`. */
  method: string
  /** Workspace user who is impersonated. */
  subject: string
  scopes: readonly string[]
  /** POST and PATCH only: sending it twice has the effect of sending it once. */
  idempotent?: boolean
  /** Tries after the first one, 8 when absent; the wall clock usually ends them sooner. */
  retries?: number
  /** Wall clock of the call, retries and token included; the settings' when absent. */
  timeoutMs?: number
  /** Limit of a single try; half the wall clock when absent. */
  tryTimeoutMs?: number
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

/** What a send function hands to googleapis as the per-call options, or to `auth.request`. */
export type CallOptions = MethodOptions & { auth: AuthClient; rootUrl: string }

/**
 * The one way to Google: token, base URL, retries, a wall clock, typed faults.
 * @param send makes one request with the options given; the per-call `rootUrl` is the one that also holds for media
 * (google-apis.md §0.4)
 * @throws {GoogleFault}; the reason of `call.signal` when the caller aborted
 */
export type CallGoogle = <T>(call: Call, send: (options: CallOptions) => Promise<T>) => Promise<T>

export type CallSettings = Pick<Config['google'], 'apiUrl' | 'meetUrl' | 'timeoutMs'> & {
  /** Root of the Workspace Events API; Google's when absent. */
  workspaceEventsUrl?: string | undefined
}

const RETRIES = 8
const WORKSPACE_EVENTS_URL = 'https://workspaceevents.googleapis.com'

/** Makes the call path over one set of tokens. */
export function createCalls(
  settings: CallSettings,
  deps: { access: Access; log: Log; clock: Clock },
): CallGoogle {
  const { access, log, clock } = deps
  const roots: Record<Call['service'], string> = {
    calendar: settings.apiUrl,
    drive: settings.apiUrl,
    meet: settings.meetUrl,
    workspaceEvents: settings.workspaceEventsUrl ?? WORKSPACE_EVENTS_URL,
  }

  return async (call, send) => {
    call.signal?.throwIfAborted()
    const timeoutMs = call.timeoutMs ?? settings.timeoutMs
    const deadlineMs = clock.now() + timeoutMs
    const limit = AbortSignal.timeout(timeoutMs)
    const signal = call.signal ? AbortSignal.any([limit, call.signal]) : limit
    const what = `${call.service}.${call.method}`

    const attempt = () => {
      const options: CallOptions = {
        ...TRANSPORT,
        auth: access.client(call.subject, call.scopes),
        rootUrl: `${roots[call.service]}/`,
        signal,
        timeout: call.tryTimeoutMs ?? Math.max(1, Math.ceil(timeoutMs / 2)),
        retry: true,
        retryConfig: retryConfig({
          service: call.service,
          what,
          idempotent: call.idempotent ?? false,
          retries: call.retries ?? RETRIES,
          deadlineMs,
          signal,
          clock,
          log,
        }),
        ...(call.headers && { headers: call.headers }),
      }
      return settleBefore(signal, send(options))
    }

    const failed = (error: unknown): GoogleFault => {
      call.signal?.throwIfAborted()
      if (limit.aborted) return timedOut(call.service, what, timeoutMs)
      return readFault(error, call.service, what, clock.now())
    }

    try {
      return await attempt()
    } catch (error) {
      const fault = failed(error)
      if (fault.code !== 'unauthorized') throw fault
      // A token can be revoked before it expires; a 401 did nothing, so any method may be sent again.
      access.forget(call.subject, call.scopes)
    }
    try {
      return await attempt()
    } catch (error) {
      throw failed(error)
    }
  }
}

/** The fault of a call that used up its wall clock. */
export function timedOut(service: GoogleService, what: string, timeoutMs: number): GoogleFault {
  return new GoogleFault(
    { service, code: 'unavailable', reason: 'timeout' },
    `${what}: Google did not answer within ${timeoutMs} ms`,
  )
}

/** Rejects as soon as the signal aborts, also while a token is awaited that other calls share. */
async function settleBefore<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort)
  }
}
