import { randomUUID } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import { type Answer, type Call, type Handlers, textParameter } from '../world.ts'
import {
  type EventSubscription,
  etagOf,
  knownEventTypes,
  longestLifeMs,
  subscriptionOf,
  viewSubscription,
} from './subscription.ts'

interface SubscriptionBody {
  targetResource?: string
  eventTypes?: string[]
  notificationEndpoint?: { pubsubTopic?: string }
  ttl?: string
  expireTime?: string
}

/** The methods of Workspace Events v1 on subscriptions (google-apis.md §3). Operations come back done. */
export const workspaceEventHandlers: Handlers = {
  'workspaceevents.subscriptions.create': create,
  'workspaceevents.subscriptions.get': call => ({
    json: viewSubscription(call.world, subscriptionOf(call, textParameter(call, 'name') ?? '')),
  }),
  'workspaceevents.subscriptions.list': list,
  'workspaceevents.subscriptions.patch': patch,
  'workspaceevents.subscriptions.delete': remove,
  'workspaceevents.subscriptions.reactivate': reactivate,
}

function create(call: Call): Answer {
  const { world, caller } = call
  const body = call.body as SubscriptionBody
  const now = new Date(world.nowMs()).toISOString()
  const subscription: EventSubscription = {
    name: `subscriptions/meet-${randomUUID()}`,
    uid: randomUUID(),
    owner: caller.email,
    targetResource: checkedTarget(call, body.targetResource ?? ''),
    eventTypes: checkedTypes(body.eventTypes),
    topic: checkedTopic(call, body.notificationEndpoint?.pubsubTopic ?? ''),
    state: 'ACTIVE',
    createdAt: now,
    updatedAt: now,
    expiresAtMs: expiryOf(body, world.nowMs()),
    version: 1,
  }
  const taken = living(call).find(one => one.targetResource === subscription.targetResource)
  if (taken) throw new GoogleError(409, `Subscription already exists: ${taken.name}`)
  if (call.parameters.validateOnly !== true) world.state.subscriptions.set(subscription.name, subscription)
  return operation(viewSubscription(world, subscription))
}

function list(call: Call): Answer {
  const conditions = (textParameter(call, 'filter') ?? '').split(/\s+AND\s+/).map(readAlternatives)
  if (!conditions.some(alternatives => alternatives.some(one => one.field === 'event_types')))
    throw new GoogleError(400, 'The filter must name at least one event type.')
  const found = living(call).filter(one =>
    conditions.every(alternatives =>
      alternatives.some(({ field, value }) =>
        field === 'event_types' ? one.eventTypes.includes(value) : one.targetResource === value,
      ),
    ),
  )
  const { pageSize } = call.parameters
  const size = Math.min(typeof pageSize === 'number' && pageSize > 0 ? pageSize : 50, 100)
  const from = Number(textParameter(call, 'pageToken') ?? 0)
  if (!Number.isInteger(from)) throw new GoogleError(400, 'Invalid page token.')
  return {
    json: {
      subscriptions: found.slice(from, from + size).map(one => viewSubscription(call.world, one)),
      ...(from + size < found.length && { nextPageToken: String(from + size) }),
    },
  }
}

function readAlternatives(text: string): { field: string; value: string }[] {
  return text
    .replaceAll(/[()]/g, '')
    .split(/\s+OR\s+/)
    .map(part => {
      const [, field, value] = /^\s*(event_types:|target_resource\s*=)\s*"([^"]*)"\s*$/.exec(part) ?? []
      if (!field || value === undefined) throw new GoogleError(400, `Invalid filter: ${part}`)
      return { field: field.replace(/\W+$/, ''), value }
    })
}

const updatable = ['event_types', 'ttl', 'expire_time']

/** One field at a time can be changed; without a mask it is what the body has, with `*` all of them. */
function patch(call: Call): Answer {
  const { world } = call
  const subscription = subscriptionOf(call, textParameter(call, 'name') ?? '')
  const body = call.body as SubscriptionBody
  const sent = Object.keys(body).map(inSnakeCase)
  const asked = textParameter(call, 'updateMask')?.split(',').map(inSnakeCase) ?? sent
  if (asked.length !== 1 || !asked.every(field => field === '*' || updatable.includes(field)))
    throw new GoogleError(400, `Invalid update mask: ${asked.join(',')}`)
  const has = (...names: string[]) => names.some(name => asked.includes(name) || asked.includes('*'))
  if (has('event_types')) subscription.eventTypes = checkedTypes(body.eventTypes)
  if (has('ttl', 'expire_time')) subscription.expiresAtMs = expiryOf(body, world.nowMs())
  subscription.version++
  subscription.updatedAt = new Date(world.nowMs()).toISOString()
  return operation(viewSubscription(world, subscription))
}

function inSnakeCase(field: string): string {
  return field.trim().replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

function remove(call: Call): Answer {
  const name = textParameter(call, 'name') ?? ''
  const empty = { '@type': 'type.googleapis.com/google.protobuf.Empty' }
  const missing = !living(call).some(one => one.name === name)
  if (missing && call.parameters.allowMissing === true) return { json: { done: true, response: empty } }
  const subscription = subscriptionOf(call, name)
  const etag = textParameter(call, 'etag')
  if (etag !== undefined && etag !== etagOf(subscription))
    throw new GoogleError(409, 'The etag does not match the current one.', { rpcStatus: 'ABORTED' })
  if (call.parameters.validateOnly !== true) call.world.state.subscriptions.delete(name)
  return { json: { name: `operations/${randomUUID()}`, done: true, response: empty } }
}

function reactivate(call: Call): Answer {
  const { world } = call
  const subscription = subscriptionOf(call, textParameter(call, 'name') ?? '')
  if (subscription.state !== 'SUSPENDED')
    throw new GoogleError(400, 'The subscription is not suspended.', { rpcStatus: 'FAILED_PRECONDITION' })
  subscription.state = 'ACTIVE'
  delete subscription.suspensionReason
  subscription.version++
  return operation(viewSubscription(world, subscription))
}

function operation(subscription: object): Answer {
  const type = 'type.googleapis.com/google.apps.events.subscriptions.v1.Subscription'
  return {
    json: {
      name: `operations/${randomUUID()}`,
      done: true,
      metadata: {
        '@type': 'type.googleapis.com/google.apps.events.subscriptions.v1.UpdateSubscriptionMetadata',
      },
      response: { '@type': type, ...subscription },
    },
  }
}

function living(call: Call): EventSubscription[] {
  const { state, nowMs } = call.world
  return [...state.subscriptions.values()].filter(
    one => one.owner === call.caller.email && one.expiresAtMs > nowMs(),
  )
}

/** A space by its canonical name, or oneself: nobody can subscribe for somebody else. */
function checkedTarget(call: Call, target: string): string {
  const { identity, state } = call.world
  const user = identity.user(call.caller.email)
  if (!user) throw new GoogleError(403, 'The caller does not have permission')
  const [, space] = /^\/\/meet\.googleapis\.com\/(spaces\/[^/]+)$/.exec(target) ?? []
  const [, userId] = /^\/\/cloudidentity\.googleapis\.com\/users\/(\d+)$/.exec(target) ?? []
  if (space === undefined && userId === undefined)
    throw new GoogleError(400, `Invalid target resource: ${target}`)
  const allowed = space === undefined ? userId === user.id : state.spaces.has(space)
  if (!allowed) throw new GoogleError(403, `The caller does not have permission for ${target}`)
  return target
}

function checkedTypes(types: string[] | undefined): string[] {
  const unknown = types?.find(type => !knownEventTypes.includes(type))
  if (!types || types.length === 0 || unknown !== undefined)
    throw new GoogleError(400, `Invalid event types: ${unknown ?? 'at least one is required'}`)
  return types
}

function checkedTopic(call: Call, topic: string): string {
  const project = call.world.identity.projectId
  if (!new RegExp(`^projects/${project}/topics/[\\w.~+%-]+$`).test(topic))
    throw new GoogleError(400, `Invalid Pub/Sub topic: it must be one of the project ${project}`)
  return topic
}

function expiryOf({ ttl, expireTime }: SubscriptionBody, nowMs: number): number {
  const ttlMs = Number.parseFloat(ttl ?? '0') * 1000
  const atMs = expireTime === undefined ? nowMs + (ttlMs || longestLifeMs) : Date.parse(expireTime)
  if (atMs <= nowMs || atMs > nowMs + longestLifeMs)
    throw new GoogleError(400, 'The subscription must expire within seven days.')
  return atMs
}
