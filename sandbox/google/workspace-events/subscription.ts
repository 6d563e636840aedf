import { randomUUID } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import type { Call, MeetEvent, World } from '../world.ts'
import { publish } from './pubsub.ts'

/** A subscription of the Workspace Events API as the sandbox keeps it. */
export interface EventSubscription {
  /** `subscriptions/…` */
  name: string
  uid: string
  /** The user who made it. */
  owner: string
  targetResource: string
  eventTypes: string[]
  /** `projects/…/topics/…` */
  topic: string
  state: 'ACTIVE' | 'SUSPENDED'
  suspensionReason?: string
  createdAt: string
  updatedAt: string
  /** Milliseconds since 1970. */
  expiresAtMs: number
  /** Rises with every change. */
  version: number
}

export type Lifecycle = 'suspended' | 'expirationReminder' | 'expired'

export const longestLifeMs = 7 * 86_400_000
const meetEvents = 'google.workspace.meet.'
/** What people other than the owner of a space are told (google-apis.md §3). */
const forOthers = ['conference.v2.started', 'transcript.v2.fileGenerated']

/** Every type of event that Meet has. */
export const knownEventTypes = [
  ...['conference.v2.started', 'conference.v2.ended', 'participant.v2.joined', 'participant.v2.left'],
  ...['recording', 'transcript', 'smartNote'].flatMap(kind =>
    ['started', 'ended', 'fileGenerated'].map(what => `${kind}.v2.${what}`),
  ),
].map(kind => `${meetEvents}${kind}`)

/** The living subscription of that name; one that ran out is gone. */
export function subscriptionOf(call: Call, name: string): EventSubscription {
  const { state, nowMs } = call.world
  const found = state.subscriptions.get(name)
  if (!found || found.owner !== call.caller.email || found.expiresAtMs <= nowMs())
    throw new GoogleError(404, 'Requested entity was not found.')
  return found
}

export function viewSubscription(world: World, subscription: EventSubscription): object {
  const { name, uid, owner, targetResource, eventTypes, topic, state, suspensionReason } = subscription
  const user = `users/${world.identity.user(owner)?.id}`
  return {
    name,
    uid,
    targetResource,
    eventTypes,
    notificationEndpoint: { pubsubTopic: topic },
    state,
    ...(suspensionReason && { suspensionReason }),
    authority: user,
    userAuthority: user,
    createTime: subscription.createdAt,
    updateTime: subscription.updatedAt,
    expireTime: new Date(subscription.expiresAtMs).toISOString(),
    reconciling: false,
    etag: etagOf(subscription),
  }
}

export function etagOf({ uid, version }: EventSubscription): string {
  return Buffer.from(`${uid}/${version}`).toString('base64url')
}

/** Tells every subscription that wants to know of it what happened in a call. Payloads carry names only. */
export function tellSubscriptions(world: World, { kind, space, resource }: MeetEvent): void {
  const type = `${meetEvents}${kind}`
  const owner = world.state.spaces.get(space)?.owner ?? ''
  const targets = [
    `//meet.googleapis.com/${space}`,
    `//cloudidentity.googleapis.com/users/${world.identity.user(owner)?.id}`,
  ]
  const [field, name] = resource
  for (const subscription of world.state.subscriptions.values()) {
    const { targetResource, eventTypes, state, expiresAtMs } = subscription
    if (state !== 'ACTIVE' || expiresAtMs <= world.nowMs()) continue
    if (!targets.includes(targetResource) || !eventTypes.includes(type)) continue
    if (subscription.owner !== owner && !forOthers.includes(kind)) continue
    send(world, subscription, type, `//meet.googleapis.com/${space}`, { [field]: { name } })
  }
}

/** Brings a subscription to the end of its life, or reminds of it; the event about that is in snake_case. */
export function passLifecycle(
  world: World,
  subscription: EventSubscription,
  happening: Lifecycle,
  suspensionReason: string,
): void {
  if (happening === 'suspended') Object.assign(subscription, { state: 'SUSPENDED', suspensionReason })
  if (happening === 'expired') subscription.expiresAtMs = world.nowMs()
  subscription.version++
  const { name, targetResource, eventTypes, topic, state, expiresAtMs } = subscription
  const data = {
    subscription: {
      name,
      target_resource: targetResource,
      event_types: eventTypes,
      notification_endpoint: { pubsub_topic: topic },
      state: happening === 'expired' ? 'DELETED' : state,
      expire_time: new Date(expiresAtMs).toISOString(),
      ...(happening === 'suspended' && { suspension_reason: suspensionReason }),
    },
  }
  const type = `google.workspace.events.subscription.v1.${happening}`
  send(world, subscription, type, `//workspaceevents.googleapis.com/${name}`, data)
  if (happening === 'expired') world.state.subscriptions.delete(name)
}

function send(
  world: World,
  { name, topic }: EventSubscription,
  type: string,
  subject: string,
  data: object,
): void {
  const attributes = {
    'ce-datacontenttype': 'application/json',
    'ce-id': randomUUID(),
    'ce-source': `//workspaceevents.googleapis.com/${name}`,
    'ce-specversion': '1.0',
    'ce-subject': subject,
    'ce-time': new Date(world.nowMs()).toISOString(),
    'ce-type': type,
  }
  publish(world, topic, { attributes, data, orderingKey: `//workspaceevents.googleapis.com/${name}` })
}
