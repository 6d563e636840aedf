import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** A push of a calendar channel. It has no body: it says that something changed, not what (google-apis.md §1.8). */
export interface CalendarPush {
  channelId: string
  resourceId: string
  /** `sync` opens the channel; every other word means that something changed. */
  state: string
  /** Rises within a channel, with gaps; pushes may come out of order and twice. */
  messageNumber: number
  token: string | null
  expiresAt: Date | null
}

/** Reads the headers of a push; null when they are none. */
export function readCalendarPush(headers: IncomingHttpHeaders): CalendarPush | null {
  const text = (name: string) => {
    const value = headers[name]
    return typeof value === 'string' && value !== '' ? value : null
  }
  const channelId = text('x-goog-channel-id')
  const resourceId = text('x-goog-resource-id')
  const state = text('x-goog-resource-state')
  const messageNumber = Number(text('x-goog-message-number'))
  if (!channelId || !resourceId || !state || !(messageNumber >= 1)) return null
  const expiresAtMs = Date.parse(text('x-goog-channel-expiration') ?? '')
  return {
    channelId,
    resourceId,
    state,
    messageNumber,
    token: text('x-goog-channel-token'),
    expiresAt: Number.isNaN(expiresAtMs) ? null : new Date(expiresAtMs),
  }
}

/** What is kept of a channel's token: enough to know it again, and of no use to anybody else. */
export function channelTokenHash(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/**
 * Whether a push is of the channel that we opened. Pushes are not signed: the secret token is all there is, and how long
 * the comparison takes says nothing about it. `resourceId` may be unknown while the answer to the watch is on its way.
 */
export function isFromChannel(
  push: CalendarPush,
  channel: { channelId: string; resourceId: string | null; tokenHash: string },
): boolean {
  const known = Buffer.from(channel.tokenHash)
  const sent = Buffer.from(channelTokenHash(push.token ?? ''))
  const sameToken = push.token !== null && known.length === sent.length && timingSafeEqual(known, sent)
  const sameResource = channel.resourceId === null || push.resourceId === channel.resourceId
  return sameToken && sameResource && push.channelId === channel.channelId
}
