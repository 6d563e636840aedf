import { AsyncLocalStorage } from 'node:async_hooks'

/** From where something was asked, as the audit log keeps it. */
export interface Origin {
  /** Address of the caller, as the API's proxy settings make it known. */
  ip?: string | undefined
  userAgent?: string | undefined
  requestId?: string | undefined
}

const origins = new AsyncLocalStorage<Origin>()
const LONGEST_USER_AGENT = 256

/** Everything done within `work` is written into the audit log with this origin. */
export function fromOrigin<T>(origin: Origin, work: () => T): T {
  const { userAgent } = origin
  return origins.run({ ...origin, userAgent: userAgent?.slice(0, LONGEST_USER_AGENT) }, work)
}

/** Where the work under way was asked from; `undefined` for what Testigo does by itself. */
export function currentOrigin(): Origin | undefined {
  return origins.getStore()
}
