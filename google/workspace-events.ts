import { workspaceevents, type workspaceevents_v1 } from 'googleapis/build/src/apis/workspaceevents/index.js'
import type { Call, CallGoogle } from './call.ts'
import { GoogleFault, isFault } from './fault.ts'
import { everyPage } from './pages.ts'

/** What a subscription is about: one space by its canonical name, or every space that a user owns. */
export type EventTarget = { space: string } | { userId: string }

/** What Meet tells of, without the `google.workspace.meet.` before it (google-apis.md §3). */
export type MeetEventKind =
  | 'conference.v2.started'
  | 'conference.v2.ended'
  | 'participant.v2.joined'
  | 'participant.v2.left'
  | `${'recording' | 'transcript' | 'smartNote'}.v2.${'started' | 'ended' | 'fileGenerated'}`

export interface SubscriptionToMake {
  target: EventTarget
  kinds: readonly MeetEventKind[]
  /** `projects/…/topics/…`, in the project of the service account. */
  topic: string
}

export interface EventSubscription {
  /** `subscriptions/…` */
  name: string
  target: EventTarget | null
  kinds: readonly string[]
  topic: string | null
  /** A suspended one is silent until its cause is gone and it is reactivated. */
  state: 'active' | 'suspended' | 'deleted'
  /** Google's word, e.g. `USER_SCOPE_REVOKED`. */
  suspensionReason: string | null
  /** Google deletes it then; seven days after it was made or renewed. */
  expiresAt: Date
  /** Google's number of the user who made it: what a target of all their spaces is named by. */
  userId: string | null
}

/** Subscriptions to what happens in calls, as the Workspace user who owns them. All of it throws `GoogleFault`. */
export interface EventSubscriptions {
  /**
   * Subscribes for seven days. Google keeps one subscription for each user and target: where there is one already, that
   * one is brought up to date and returned, so that asking twice is asking once.
   * @throws {GoogleFault} `conflict` with reason `other_topic` when the one that is there tells another topic
   */
  subscribe(subject: string, wanted: SubscriptionToMake, signal?: AbortSignal): Promise<EventSubscription>
  /** Seven days more. @throws {GoogleFault} `not_found` when it ran out: subscribe again */
  renew(subject: string, name: string, signal?: AbortSignal): Promise<EventSubscription>
  /** Wakes a suspended one; one that is active stays so. */
  reactivate(subject: string, name: string, signal?: AbortSignal): Promise<EventSubscription>
  read(subject: string, name: string, signal?: AbortSignal): Promise<EventSubscription>
  /** Ends it; one that is gone counts as ended. */
  remove(subject: string, name: string, signal?: AbortSignal): Promise<void>
}

const SCOPES = ['https://www.googleapis.com/auth/meetings.space.readonly']
const KIND_PREFIX = 'google.workspace.meet.'
const SPACE_PREFIX = '//meet.googleapis.com/'
const USER_PREFIX = '//cloudidentity.googleapis.com/users/'
/** Stands for the longest life there is. */
const LONGEST = '0s'

type Subscription = workspaceevents_v1.Schema$Subscription

export function createEventSubscriptions({ call }: { call: CallGoogle }): EventSubscriptions {
  const { subscriptions } = workspaceevents('v1')
  const about = (method: string, subject: string, signal: AbortSignal | undefined): Call => ({
    service: 'workspaceEvents',
    method: `subscriptions.${method}`,
    subject,
    scopes: SCOPES,
    // One for each user and target, and everything else sets what it says: twice is once.
    idempotent: true,
    signal,
  })

  const read: EventSubscriptions['read'] = async (subject, name, signal) =>
    readSubscription(
      (await call(about('get', subject, signal), options => subscriptions.get({ name }, options))).data,
    )

  const patch = async (
    subject: string,
    name: string,
    updateMask: string,
    requestBody: Subscription,
    signal: AbortSignal | undefined,
  ) => {
    const { data } = await call(about('patch', subject, signal), options =>
      subscriptions.patch({ name, updateMask, requestBody }, options),
    )
    return readOperation(data)
  }

  const adopt = async (subject: string, wanted: SubscriptionToMake, signal: AbortSignal | undefined) => {
    const target = targetName(wanted.target)
    // A filter needs event types, and the one that is there may have others than are wanted now.
    const types = ALL_KINDS.map(kind => `event_types:"${KIND_PREFIX}${kind}"`).join(' OR ')
    const filter = `(${types}) AND target_resource="${target}"`
    const found = await everyPage(async pageToken => {
      const { data } = await call(about('list', subject, signal), options =>
        subscriptions.list({ filter, pageSize: 100, ...pageToken }, options),
      )
      return { items: data.subscriptions, next: data.nextPageToken }
    })
    const present = found.find(one => one.targetResource === target)
    if (!present?.name)
      throw new GoogleFault(
        { service: 'workspaceEvents', code: 'unavailable', reason: 'subscription_not_listed' },
        `Google has a subscription to ${target} and does not list it yet.`,
      )
    if (present.notificationEndpoint?.pubsubTopic !== wanted.topic)
      throw new GoogleFault(
        { service: 'workspaceEvents', code: 'conflict', reason: 'other_topic' },
        `${subject} has a subscription to ${target} that tells ${present.notificationEndpoint?.pubsubTopic}: remove ${present.name} first.`,
      )
    const eventTypes = typesOf(wanted)
    // One field at a time (discovery workspaceevents.v1).
    if (present.eventTypes?.toSorted().join() !== eventTypes.toSorted().join())
      await patch(subject, present.name, 'event_types', { eventTypes }, signal)
    const renewed = await patch(subject, present.name, 'ttl', { ttl: LONGEST }, signal)
    return renewed.state === 'suspended' ? reactivate(subject, renewed.name, signal) : renewed
  }

  const reactivate: EventSubscriptions['reactivate'] = async (subject, name, signal) => {
    try {
      const { data } = await call(about('reactivate', subject, signal), options =>
        subscriptions.reactivate({ name, requestBody: {} }, options),
      )
      return readOperation(data)
    } catch (error) {
      // What is not suspended is ignored or refused, and after a lost answer it is not suspended any more.
      if (!isFault(error, 'invalid')) throw error
      const present = await read(subject, name, signal)
      if (present.state === 'active') return present
      throw error
    }
  }

  return {
    read,
    reactivate,
    subscribe: async (subject, wanted, signal) => {
      const requestBody = {
        targetResource: targetName(wanted.target),
        eventTypes: typesOf(wanted),
        notificationEndpoint: { pubsubTopic: wanted.topic },
        ttl: LONGEST,
      }
      try {
        const { data } = await call(about('create', subject, signal), options =>
          subscriptions.create({ requestBody }, options),
        )
        return readOperation(data)
      } catch (error) {
        if (!isFault(error, 'conflict')) throw error
        return adopt(subject, wanted, signal)
      }
    },
    renew: (subject, name, signal) => patch(subject, name, 'ttl', { ttl: LONGEST }, signal),
    remove: async (subject, name, signal) => {
      try {
        await call(about('delete', subject, signal), options =>
          subscriptions.delete({ name, allowMissing: true }, options),
        )
      } catch (error) {
        if (!isFault(error, 'not_found')) throw error
      }
    },
  }
}

const ALL_KINDS: readonly MeetEventKind[] = [
  'conference.v2.started',
  'conference.v2.ended',
  'participant.v2.joined',
  'participant.v2.left',
  ...(['recording', 'transcript', 'smartNote'] as const).flatMap(kind =>
    (['started', 'ended', 'fileGenerated'] as const).map(what => `${kind}.v2.${what}` as const),
  ),
]

function typesOf({ kinds }: SubscriptionToMake): string[] {
  return kinds.map(kind => `${KIND_PREFIX}${kind}`)
}

function targetName(target: EventTarget): string {
  return 'space' in target ? `${SPACE_PREFIX}${target.space}` : `${USER_PREFIX}${target.userId}`
}

function targetIn(name: string): EventTarget | null {
  if (name.startsWith(SPACE_PREFIX)) return { space: name.slice(SPACE_PREFIX.length) }
  return name.startsWith(USER_PREFIX) ? { userId: name.slice(USER_PREFIX.length) } : null
}

/** Changes answer with an operation that is over already (google-apis.md §3); one that is not is asked for again. */
function readOperation({ done, error, response }: workspaceevents_v1.Schema$Operation): EventSubscription {
  if (error)
    throw new GoogleFault(
      { service: 'workspaceEvents', code: 'invalid', reason: `rpc_${error.code}` },
      `Google could not change the subscription: ${error.message ?? 'without a reason'}`,
    )
  if (!done || !response)
    throw new GoogleFault(
      { service: 'workspaceEvents', code: 'unavailable', reason: 'operation_pending' },
      'Google has not finished changing the subscription.',
    )
  return readSubscription(response)
}

function readSubscription(subscription: Subscription): EventSubscription {
  const { name, targetResource, eventTypes, notificationEndpoint, state, expireTime } = subscription
  if (!name || !expireTime)
    throw new GoogleFault(
      { service: 'workspaceEvents', code: 'invalid', reason: 'no_subscription' },
      'Google answered about a subscription without its name or its end.',
    )
  return {
    name,
    target: targetIn(targetResource ?? ''),
    kinds: (eventTypes ?? []).map(type => type.replace(KIND_PREFIX, '')),
    topic: notificationEndpoint?.pubsubTopic ?? null,
    state: state === 'SUSPENDED' ? 'suspended' : state === 'DELETED' ? 'deleted' : 'active',
    suspensionReason: subscription.suspensionReason ?? null,
    expiresAt: new Date(expireTime),
    userId: (subscription.userAuthority ?? subscription.authority)?.replace(/^users\//, '') ?? null,
  }
}
