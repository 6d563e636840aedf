import type { IncomingMessage } from 'node:http'
import { ZodError, z } from 'zod'
import { expireChannels } from './calendar/channels.ts'
import { expireSyncTokens } from './calendar/list-page.ts'
import { type PersonAction, personDoes } from './calendar/people.ts'
import { GoogleError } from './errors.ts'
import type { Fault } from './faults.ts'
import { readJson } from './request-body.ts'
import { type PushSubscription, subscribeTopic } from './workspace-events/pubsub.ts'
import { passLifecycle } from './workspace-events/subscription.ts'
import type { Answer, World } from './world.ts'

/** What people and scripts can do to the sandbox, with the JSON they send. */
const doors: Record<string, (world: World, body: Record<string, unknown>) => Answer | Promise<Answer>> = {
  'GET /_sandbox/state': world => ({ json: describeState(world) }),
  'GET /_sandbox/faults': world => ({ json: world.faults.active }),
  'POST /_sandbox/faults': (world, body) => {
    world.faults.add(body as unknown as Fault)
    return { status: 201, json: world.faults.active }
  },
  'DELETE /_sandbox/faults': world => {
    world.faults.clear()
    return { status: 204 }
  },
  'POST /_sandbox/calendar': async (world, body) => ({
    status: 201,
    json: await personDoes(world, body as unknown as PersonAction),
  }),
  'DELETE /_sandbox/sync-tokens': world => {
    expireSyncTokens(world.state)
    return { status: 204 }
  },
  'DELETE /_sandbox/channels': world => {
    expireChannels(world)
    return { status: 204 }
  },
  'POST /_sandbox/pubsub': (world, body) => ({
    status: 201,
    json: { name: subscribeTopic(world, body as unknown as PushSubscription) },
  }),
  'POST /_sandbox/subscriptions': (world, body) => {
    const { happening, reason } = lifeSchema.parse(body)
    for (const one of [...world.state.subscriptions.values()]) passLifecycle(world, one, happening, reason)
    return { status: 204 }
  },
}

const lifeSchema = z.strictObject({
  happening: z.enum(['suspended', 'expirationReminder', 'expired']),
  reason: z.string().default('USER_SCOPE_REVOKED'),
})

/**
 * The sandbox's own door: `POST /_sandbox/faults` adds a fault (see faults.ts), `DELETE /_sandbox/faults` clears them,
 * `POST /_sandbox/calendar` is what a person does in the calendar's pages (see calendar/people.ts),
 * `DELETE /_sandbox/sync-tokens` and `DELETE /_sandbox/channels` make them run out, `POST /_sandbox/pubsub` adds a push
 * subscription to a topic, `POST /_sandbox/subscriptions` passes every subscription of Workspace Events through
 * `happening`, `GET /_sandbox/state` shows what the sandbox remembers.
 */
export async function controlAnswer(world: World, request: IncomingMessage, url: URL): Promise<Answer> {
  const asked = `${request.method} ${url.pathname}`
  const door = doors[asked]
  if (!door) return { status: 404, json: { error: `No such door: ${asked}` } }
  try {
    return await door(world, await readJson(request))
  } catch (error) {
    if (error instanceof ZodError) return { status: 400, json: { error: z.prettifyError(error) } }
    if (error instanceof GoogleError) return { status: error.status, json: { error: error.message } }
    throw error
  }
}

function describeState(world: World): object {
  const { state } = world
  return {
    events: [...state.events.values()],
    spaces: [...state.spaces.values()],
    conferences: state.conferences,
    files: [...state.files.values()].map(({ content, ...file }) => ({
      ...file,
      sizeBytes: content?.sizeBytes,
    })),
    sharedDrives: [...state.sharedDrives.values()],
    // Addresses of sessions are secrets; how far each is, is not.
    uploads: [...state.uploads.values()].map(upload => ({
      fileId: upload.file.id,
      storedBytes: upload.storage.sizeBytes,
      finished: upload.finished,
    })),
    // Tokens of channels are secrets; which there are, is not.
    channels: [...state.channels.values()].map(({ token: _token, ...channel }) => channel),
    subscriptions: [...state.subscriptions.values()],
    pushSubscriptions: Object.fromEntries(state.pushSubscriptions),
    pushes: state.pushes,
    mails: state.mails,
    requests: state.requests,
    faults: world.faults.active,
  }
}
