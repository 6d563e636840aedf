import { randomUUID } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { type AuditNote, noteAudit } from '../../db/audit-notes.ts'
import { fingerprint } from '../../db/changed-fields.ts'
import type { Queryable, Transaction } from '../../db/connect.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { deliverAgain, findDelivery } from '../../db/webhook-deliveries.ts'
import {
  changeEndpoint,
  deleteEndpoint,
  disableEndpoint,
  type EndpointRow,
  enableEndpoint,
  findEndpoint,
  insertEndpoint,
  lockEndpoint,
  MOST_ENDPOINTS,
  pingEndpoint,
} from '../../db/webhook-endpoints.ts'
import { asCaller, type Caller } from '../caller.ts'
import { Problem } from '../problem.ts'
import { type IfMatch, refuseOtherVersion } from '../versions/if-match.ts'
import type { NewWebhookBody, WebhookChangeBody } from './schema.ts'
import { firstSecret, rotateSecret } from './secrets.ts'
import type { Vault } from './vault.ts'
import type { DeliveryView, WebhookView, WebhookWithSecret } from './views.schema.ts'
import { deliveryView, webhookView } from './views.ts'

export interface WebhookDeps {
  db: TenantDatabase
  vault: Vault
  clock: Clock
}

const HOUR_MS = 3_600_000

/** An endpoint as the audit log keeps it: its secrets not at all, and its address without what may be a secret in it. */
function webhookFacts({ url, description, eventTypes, status }: EndpointRow): Record<string, unknown> {
  return {
    url: { origin: new URL(url).origin, ...fingerprint(url) },
    description: fingerprint(description),
    events: eventTypes,
    status,
  }
}

function audit(
  tx: Transaction,
  { organizationId, actor }: Caller,
  verb: string,
  webhookId: string,
  facts: Pick<AuditNote, 'before' | 'after' | 'detail'> = {},
): Promise<void> {
  return noteAudit(tx, {
    organizationId,
    actor,
    action: `webhook.${verb}`,
    subject: `webhook:${webhookId}`,
    ...facts,
  })
}

/** Makes an endpoint. @throws {Problem} `too_many_webhooks` */
export async function createWebhook(
  { db, vault, clock }: WebhookDeps,
  caller: Caller,
  { url, description, events }: NewWebhookBody,
): Promise<WebhookWithSecret> {
  const now = new Date(clock.now())
  const id = randomUUID()
  const { secret, secrets } = await firstSecret(vault, id, now)
  const { organizationId } = caller
  const row = await asCaller(db, caller, async tx => {
    const wish = { id, organizationId, url, description, eventTypes: events, secrets }
    const inserted = await insertEndpoint(tx, wish)
    if (inserted) await audit(tx, caller, 'created', id, { after: webhookFacts(inserted) })
    return inserted
  })
  if (!row)
    throw new Problem(
      'too_many_webhooks',
      `An organisation has at most ${MOST_ENDPOINTS} webhooks. Delete one that is not used any more.`,
    )
  return { ...webhookView(row, now), secret }
}

/** Changes, enables or disables an endpoint. @throws {Problem} `webhook_not_found`, `invalid_request`, `version_changed` */
export async function updateWebhook(
  { db, clock }: WebhookDeps,
  caller: Caller,
  id: string,
  { status, url, description, events }: WebhookChangeBody,
  ifMatch?: IfMatch,
): Promise<WebhookView> {
  const now = new Date(clock.now())
  const change = {
    ...(url !== undefined && { url }),
    ...(description !== undefined && { description }),
    ...(events !== undefined && { eventTypes: events }),
  }
  if (status === undefined && Object.keys(change).length === 0)
    throw new Problem('invalid_request', 'Name at least one field to change.')
  return asCaller(db, caller, async tx => {
    const before = await locked(tx, caller.organizationId, id)
    await refuseOtherVersion(ifMatch, () => webhookView(before, now))
    let row = before
    if (Object.keys(change).length > 0) row = await changeEndpoint(tx, row, change, now)
    if (status === 'enabled') row = await enableEndpoint(tx, row, now)
    if (status === 'disabled') row = await disableEndpoint(tx, row, 'by_request', now)
    await audit(tx, caller, 'changed', id, { before: webhookFacts(before), after: webhookFacts(row) })
    return webhookView(row, now)
  })
}

/** Removes an endpoint and its log. @throws {Problem} `webhook_not_found`, `version_changed` */
export async function removeWebhook(
  { db, clock }: WebhookDeps,
  caller: Caller,
  id: string,
  ifMatch?: IfMatch,
): Promise<void> {
  await asCaller(db, caller, async tx => {
    const before = await locked(tx, caller.organizationId, id)
    await refuseOtherVersion(ifMatch, () => webhookView(before, new Date(clock.now())))
    await deleteEndpoint(tx, caller.organizationId, id)
    await audit(tx, caller, 'deleted', id, { before: webhookFacts(before) })
  })
}

/** Gives an endpoint a new secret; the one before signs beside it for a while. @throws {Problem} `webhook_not_found` */
export async function rotateWebhookSecret(
  { db, vault, clock }: WebhookDeps,
  caller: Caller,
  id: string,
  overlapHours: number,
): Promise<WebhookWithSecret> {
  const now = new Date(clock.now())
  return asCaller(db, caller, async tx => {
    const row = await locked(tx, caller.organizationId, id)
    const { secret, secrets } = await rotateSecret(vault, row, overlapHours * HOUR_MS, now)
    const rotated = await changeEndpoint(tx, row, { secrets }, now)
    await audit(tx, caller, 'secret_rotated', id, { detail: { overlapHours } })
    return { ...webhookView(rotated, now), secret }
  })
}

/** Sends a test event to an endpoint. @throws {Problem} `webhook_not_found`, `webhook_disabled` */
export async function testWebhook(
  { db, clock }: WebhookDeps,
  caller: Caller,
  id: string,
): Promise<DeliveryView> {
  const { organizationId } = caller
  return asCaller(db, caller, async tx => {
    const endpoint = await webhookOf(tx, organizationId, id)
    const deliveryId = await pingEndpoint(tx, endpoint, new Date(clock.now()))
    if (deliveryId === undefined) throw disabledWebhook()
    await audit(tx, caller, 'tested', id, { detail: { deliveryId } })
    return deliveryOf(tx, { organizationId, endpointId: id }, deliveryId)
  })
}

/** Posts an event again, whatever became of it. @throws {Problem} `webhook_not_found`, `delivery_not_found`, `webhook_disabled` */
export async function redeliver(
  { db }: WebhookDeps,
  caller: Caller,
  id: string,
  deliveryId: string,
): Promise<DeliveryView> {
  const { organizationId } = caller
  return asCaller(db, caller, async tx => {
    const endpoint = await locked(tx, organizationId, id)
    const of = { organizationId, endpointId: id }
    await deliveryOf(tx, of, deliveryId)
    if (endpoint.status === 'disabled') throw disabledWebhook()
    await deliverAgain(tx, deliveryId)
    await audit(tx, caller, 'redelivered', id, { detail: { deliveryId } })
    return deliveryOf(tx, of, deliveryId)
  })
}

/** An organisation's endpoint. @throws {Problem} `webhook_not_found` */
export async function webhookOf(db: Queryable, organizationId: string, id: string): Promise<EndpointRow> {
  const row = await findEndpoint(db, organizationId, id)
  if (!row) throw noSuchWebhook()
  return row
}

/** Also the answer for a webhook of another organisation: whether it exists is not the caller's to know. */
export function noSuchWebhook(): Problem {
  return new Problem('webhook_not_found', 'Your organisation has no webhook with this id.')
}

/** The same for a delivery of another webhook. */
export function noSuchDelivery(): Problem {
  return new Problem('delivery_not_found', 'This webhook has no delivery with this id.')
}

async function locked(tx: Transaction, organizationId: string, id: string): Promise<EndpointRow> {
  const row = await lockEndpoint(tx, organizationId, id)
  if (!row) throw noSuchWebhook()
  return row
}

async function deliveryOf(
  db: Parameters<typeof findDelivery>[0],
  of: Parameters<typeof findDelivery>[1],
  id: string,
): Promise<DeliveryView> {
  const found = await findDelivery(db, of, id)
  if (!found) throw noSuchDelivery()
  return deliveryView(found)
}

function disabledWebhook(): Problem {
  return new Problem('webhook_disabled', 'Enable the webhook first: PATCH it with {"status": "enabled"}.')
}
