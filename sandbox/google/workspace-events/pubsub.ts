import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { sendPush } from '../push-delivery.ts'
import type { World } from '../world.ts'

/** A Pub/Sub subscription that pushes a topic's messages to an address, with an identity token. */
export const pushSubscriptionSchema = z.strictObject({
  /** `projects/…/topics/…` */
  topic: z.string().regex(/^projects\/[\w-]+\/topics\/[\w.~+%-]+$/),
  /** Where the messages go. */
  endpoint: z.url(),
  /** Account whose identity the token carries; without it no token is sent. */
  serviceAccountEmail: z.email().optional(),
  /** Audience of the token; the address when absent. */
  audience: z.string().optional(),
})

export type PushSubscription = z.infer<typeof pushSubscriptionSchema>

export interface Message {
  attributes: Record<string, string>
  data: object
  orderingKey: string
}

const acknowledged = [102, 200, 201, 202, 204]

/** Adds a push subscription to a topic and returns its name. */
export function subscribeTopic(world: World, subscription: PushSubscription): string {
  const given = pushSubscriptionSchema.parse(subscription)
  const project = given.topic.split('/')[1]
  const name = `projects/${project}/subscriptions/push-${world.state.pushSubscriptions.size + 1}`
  world.state.pushSubscriptions.set(name, given)
  return name
}

/**
 * Hands a message to everybody who subscribed to the topic (google-apis.md §6.2): at least once, again until it is
 * acknowledged, without any order.
 */
export function publish(world: World, topic: string, { attributes, data, orderingKey }: Message): void {
  const messageId = String(randomInt(1e12, 9e12))
  const publishTime = new Date(world.nowMs()).toISOString()
  for (const [name, subscription] of world.state.pushSubscriptions) {
    if (subscription.topic !== topic) continue
    const message = {
      attributes,
      data: Buffer.from(JSON.stringify(data)).toString('base64'),
      messageId,
      message_id: messageId,
      orderingKey,
      publishTime,
      publish_time: publishTime,
    }
    const { endpoint, serviceAccountEmail: email, audience: aud = endpoint } = subscription
    world.timers.later(world.pushTimes.delayMs, () =>
      sendPush(world, {
        service: 'pubsub',
        to: name,
        address: endpoint,
        headers: () => ({
          'content-type': 'application/json',
          'user-agent': 'CloudPubSub-Google',
          ...(email && { authorization: `Bearer ${world.oidc.token({ aud, email }, world.nowMs())}` }),
        }),
        body: JSON.stringify({ message, subscription: name }),
        tells: attributes['ce-type'] ?? '',
        accepted: acknowledged,
        triedAgain: status => !acknowledged.includes(status),
        isWanted: () => world.state.pushSubscriptions.get(name) === subscription,
      }),
    )
  }
}
