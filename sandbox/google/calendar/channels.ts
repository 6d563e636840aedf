import { createHash, randomInt } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import { sendPush } from '../push-delivery.ts'
import type { Answer, Call, World } from '../world.ts'
import { calendarOf } from './event.ts'

/** A push channel on one calendar (google-apis.md §1.8). */
export interface Channel {
  id: string
  resourceId: string
  resourceUri: string
  address: string
  token: string | undefined
  /** Milliseconds since 1970. */
  expiresAtMs: number
  calendar: string
  /** Who opened it: nobody else may close it. */
  owner: string
  messageNumber: number
  /** A push is about to leave: what happens until then is told by it. */
  pending: boolean
}

interface ChannelBody {
  id?: string
  type?: string
  address?: string
  token?: string
  expiration?: string | number
  params?: { ttl?: string }
  resourceId?: string
}

const usualLifeMs = 7 * 86_400_000
const longestLifeMs = 30 * 86_400_000
const delivered = [102, 200, 201, 202, 204]
const triedAgain = [500, 502, 503, 504]

/** `events.watch`: opens a channel, whose first push says `sync`. There is no renewing: a new one has a new id. */
export async function watchEvents(call: Call): Promise<Answer> {
  const { world } = call
  const calendar = calendarOf(call)
  const body = call.body as ChannelBody
  const { id = '', token } = body
  const address = checkedAddress(world, body.address)
  if (body.type !== 'web_hook' && body.type !== 'webhook')
    throw refused(`Channel type ${body.type ?? ''} not supported`, 'push.channelTypeNotSupported')
  if (!/^[\w\-+/=]{1,64}$/.test(id)) throw refused('Channel id not valid', 'channelIdInvalid')
  if ((token ?? '').length > 256) throw refused('Channel token too long', 'invalid')
  if (world.state.channels.has(id)) throw refused(`Channel id ${id} not unique`, 'channelIdNotUnique')
  const channel: Channel = {
    id,
    resourceId: createHash('sha1').update(`events of ${calendar}`).digest('base64url'),
    resourceUri: `${world.origin}/calendar/v3/calendars/${encodeURIComponent(calendar)}/events?alt=json`,
    address,
    token,
    expiresAtMs: expiryOf(body, world.nowMs()),
    calendar,
    owner: call.caller.email,
    messageNumber: 0,
    pending: false,
  }
  world.state.channels.set(id, channel)
  const first = push(world, channel, 'sync')
  if (world.faults.take(['earlySync'], 'calendarPush', 'calendarPush.sync')) await first()
  else world.timers.later(0, first)
  return {
    json: {
      kind: 'api#channel',
      id,
      resourceId: channel.resourceId,
      resourceUri: channel.resourceUri,
      ...(token !== undefined && { token }),
      expiration: String(channel.expiresAtMs),
    },
  }
}

/** `channels.stop`: an unknown channel, and one of somebody else, is 404. */
export function stopChannel(call: Call): Answer {
  const { id = '', resourceId } = call.body as ChannelBody
  const { channels } = call.world.state
  const channel = channels.get(id)
  if (channel?.resourceId !== resourceId || channel?.owner !== call.caller.email)
    throw new GoogleError(404, `Channel '${id}' not found for project '${call.world.identity.clientId}'`, {
      reason: 'notFound',
    })
  channels.delete(id)
  return { status: 204 }
}

/** Tells the channels on these calendars that something changed; changes close to each other are told once. */
export function tellChannels(world: World, calendars: ReadonlySet<string>): void {
  for (const channel of world.state.channels.values()) {
    if (!calendars.has(channel.calendar) || channel.pending) continue
    channel.pending = true
    world.timers.later(world.pushTimes.delayMs, async () => {
      channel.pending = false
      if (isOpen(world, channel)) await push(world, channel, 'exists')()
    })
  }
}

/** Lets every channel run out now; Google tells nobody. */
export function expireChannels(world: World): void {
  for (const channel of world.state.channels.values()) channel.expiresAtMs = world.nowMs()
}

function push(world: World, channel: Channel, tells: 'sync' | 'exists'): () => Promise<void> {
  // Numbers rise, with gaps.
  channel.messageNumber += tells === 'sync' ? 1 : randomInt(1, 4)
  const headers = {
    'user-agent': 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google)',
    'x-goog-channel-id': channel.id,
    'x-goog-message-number': String(channel.messageNumber),
    'x-goog-resource-id': channel.resourceId,
    'x-goog-resource-state': tells,
    'x-goog-resource-uri': channel.resourceUri,
    'x-goog-channel-expiration': new Date(channel.expiresAtMs).toUTCString(),
    ...(channel.token !== undefined && { 'x-goog-channel-token': channel.token }),
  }
  return () =>
    sendPush(world, {
      service: 'calendarPush',
      to: channel.id,
      address: channel.address,
      headers: () => headers,
      tells,
      accepted: delivered,
      triedAgain: status => triedAgain.includes(status),
      isWanted: () => isOpen(world, channel),
    })
}

function isOpen(world: World, channel: Channel): boolean {
  return world.state.channels.get(channel.id) === channel && channel.expiresAtMs > world.nowMs()
}

/** Google takes https only; in the sandbox hosts can be named that need none. */
function checkedAddress(world: World, address: string | undefined): string {
  if (!address) throw refused('Missing address', 'required')
  const url = URL.canParse(address) ? new URL(address) : undefined
  const plain = url?.protocol === 'http:' && world.plainPushHosts.includes(url.hostname)
  if (url?.protocol !== 'https:' && !plain)
    throw refused(`WebHook callback must be HTTPS: ${address}`, 'push.webhookUrlNotHttps')
  return address
}

function expiryOf({ params, expiration }: ChannelBody, nowMs: number): number {
  const wantedMs = expiration === undefined ? undefined : Number(expiration)
  const ttlMs = params?.ttl === undefined ? usualLifeMs : Number(params.ttl) * 1000
  const atMs = wantedMs ?? nowMs + ttlMs
  if (!Number.isFinite(atMs) || atMs <= nowMs) throw refused('Invalid expiration', 'invalid')
  return Math.min(atMs, nowMs + longestLifeMs)
}

function refused(message: string, reason: string): GoogleError {
  return new GoogleError(400, message, { reason })
}
