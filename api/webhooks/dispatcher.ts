import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, within } from '../../clock.ts'
import type { Config } from '../../config.ts'
import type { Database } from '../../db/connect.ts'
import {
  type ClaimedDelivery,
  claimDueDeliveries,
  dropDelivery,
  giveBackDelivery,
  isBusy,
  listenForDeliveries,
  purgeEvents,
  settleDelivery,
  type Verdict,
} from '../../db/webhook-queue.ts'
import type { Log } from '../../log.ts'
import type { Resolve } from './destination.ts'
import { envelopeOf } from './envelope.ts'
import { type Posted, post } from './post.ts'
import { retryDelayMs } from './retry-delay.ts'
import { signatureHeaders } from './secrets.ts'
import { CannotUnseal, type Vault } from './vault.ts'

export interface DispatcherDeps {
  db: Database
  databaseUrl: string
  vault: Vault
  settings: Config['webhooks']
  resolve: Resolve
  clock: Clock
  log: Log
  /** How often to look without a notice; two seconds unless given. */
  lookEveryMs?: number
}

export interface Dispatcher {
  /** Takes no more, gives posts on their way `graceMs` to end, and gives the others back. */
  close(graceMs: number): Promise<void>
}

const AT_ONCE = 32
// The safety net under the database's notices, and what finds retries that have become due.
const LOOK_EVERY_MS = 2000
// Beyond the limit of one post: the time to write down how it went.
const LEASE_BEYOND_POST_MS = 15_000
const UNREADABLE_SECRET_RETRY_MS = 60_000
const PURGE_EVERY_MS = 3_600_000
const PURGE_AT_ONCE = 5000

/**
 * Posts deliveries as they become due, until closed. Any number of processes may do so side by side: each delivery is
 * leased to one of them. One that dies between a post and its note leaves the delivery to be posted again, with the same
 * webhook-id: at least once, never less.
 */
export async function startDispatcher(deps: DispatcherDeps): Promise<Dispatcher> {
  const { db, settings, log, lookEveryMs = LOOK_EVERY_MS } = deps
  const stopping = new AbortController()
  const cutOff = new AbortController()
  const onTheirWay = new Map<string, { delivery: ClaimedDelivery; work: Promise<void> }>()
  let wake = () => {}
  let due = false
  const look = () => {
    due = true
    wake()
  }

  async function takeDue(): Promise<void> {
    const free = AT_ONCE - onTheirWay.size
    if (free <= 0) return
    const counts = Map.groupBy(onTheirWay.values(), ({ delivery }) => delivery.endpoint.id)
    const busy = [...counts]
      .filter(([, on]) => on[0] && isBusy(on[0].delivery.endpoint, on.length))
      .map(([id]) => id)
    const leaseMs = settings.timeoutMs + LEASE_BEYOND_POST_MS
    for (const claimed of await claimDueDeliveries(db, { limit: free, leaseMs, busy })) {
      const { id } = claimed.delivery
      const work = deliver(deps, claimed, cutOff.signal)
        .catch((error: unknown) =>
          // The lease runs out and the delivery is posted again.
          log.error({ error, deliveryId: id }, 'how a webhook went could not be written down'),
        )
        .finally(() => {
          onTheirWay.delete(id)
          look()
        })
      onTheirWay.set(id, { delivery: claimed, work })
    }
  }

  async function run(): Promise<void> {
    let purgeAt = 0
    while (!stopping.signal.aborted) {
      due = false
      try {
        await takeDue()
        if (performance.now() >= purgeAt) {
          purgeAt = performance.now() + PURGE_EVERY_MS
          while ((await purgeEvents(db, settings.logDays, PURGE_AT_ONCE)) === PURGE_AT_ONCE)
            stopping.signal.throwIfAborted()
        }
      } catch (error) {
        if (!stopping.signal.aborted) log.error({ error }, 'webhooks that are due could not be looked up')
      }
      if (!due && !stopping.signal.aborted) await pause()
    }
  }

  async function pause(): Promise<void> {
    const woken = new AbortController()
    wake = () => woken.abort()
    const signal = AbortSignal.any([woken.signal, stopping.signal])
    await delay(lookEveryMs, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
    wake = () => {}
  }

  const listening = await listenForDeliveries(deps.databaseUrl, look)
  const running = run()
  let closed: Promise<void> | undefined
  async function close(graceMs: number): Promise<void> {
    stopping.abort()
    await listening.close()
    await running
    const works = Promise.all([...onTheirWay.values()].map(({ work }) => work))
    await within(graceMs, works)
    cutOff.abort()
    await works
  }
  return {
    close(graceMs) {
      closed ??= close(graceMs)
      return closed
    },
  }
}

async function deliver(deps: DispatcherDeps, claimed: ClaimedDelivery, signal: AbortSignal): Promise<void> {
  const { db, vault, settings, clock, log } = deps
  const { delivery, event, endpoint } = claimed
  const about = { deliveryId: delivery.id, eventId: event.id, type: event.type, webhookId: endpoint.id }
  if (endpoint.status === 'disabled') return dropDelivery(db, delivery)
  const at = new Date(clock.now())
  const body = JSON.stringify(envelopeOf(event))
  let posted: Posted
  try {
    const signed = await signatureHeaders(vault, endpoint, { id: event.id, body }, at)
    const headers = { 'content-type': 'application/json', 'user-agent': 'Testigo-Webhooks/1', ...signed }
    posted = await post(
      { url: endpoint.url, headers, body },
      {
        timeoutMs: settings.timeoutMs,
        allowPrivate: settings.allowPrivate,
        resolve: deps.resolve,
        signal,
      },
    )
  } catch (error) {
    if (signal.aborted) return giveBackDelivery(db, delivery, 0)
    if (!(error instanceof CannotUnseal)) throw error
    // Nothing that the receiver could be blamed for.
    log.error({ ...about, error }, 'a webhook cannot be signed; set the encryption key it was made with')
    return giveBackDelivery(db, delivery, UNREADABLE_SECRET_RETRY_MS)
  }
  const verdict = verdictOn(posted, delivery.attempts)
  const disabled = await settleDelivery(
    db,
    claimed,
    { at: at.toISOString(), ...posted },
    verdict,
    settings.disableAfterMs,
  )
  const { status, error, durationMs } = posted
  log.info({ ...about, status, error, durationMs, outcome: verdict.kind }, 'webhook posted')
  if (disabled)
    log.warn(
      { ...about, organizationId: endpoint.organizationId, reason: disabled },
      'a webhook was disabled',
    )
}

function verdictOn({ error }: Posted, attempts: number): Verdict {
  if (error === null) return { kind: 'succeeded' }
  if (error === 'gone') return { kind: 'gone' }
  const inMs = retryDelayMs(attempts, Math.random())
  return inMs === undefined ? { kind: 'gave_up' } : { kind: 'again', inMs }
}
