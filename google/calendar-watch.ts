import { calendar } from 'googleapis/build/src/apis/calendar/index.js'
import type { CalendarRef } from './calendar-event.ts'
import { aboutCalendar, CALENDAR_SCOPES, idOf } from './calendar-events.ts'
import type { CallGoogle } from './call.ts'
import { GoogleFault, isFault } from './fault.ts'

export interface ChannelToOpen {
  /** New for every try, as Google takes none twice: at most 64 letters, digits and `-_+/=`. */
  channelId: string
  /** Where Google pushes to: https with a certificate that browsers trust. */
  address: string
  /** Secret that every push carries, at most 256 characters. */
  token: string
  /** Seven days from now when absent, 30 at most. */
  expiresAt?: Date
}

export interface OpenChannel {
  channelId: string
  /** Names the calendar in pushes, and is needed to stop the channel. */
  resourceId: string
  expiresAt: Date
}

/** Push channels on calendars (google-apis.md §1.8). They cannot be renewed: open another one before the end. */
export interface CalendarWatch {
  /**
   * Opens a channel; its first push may arrive before this answers. Not repeated by itself: after a fault open one with
   * another id, and let pushes of the unknown one be.
   * @throws {GoogleFault} `misconfigured` when Google does not push to that address
   */
  watch(calendar: CalendarRef, channel: ChannelToOpen, signal?: AbortSignal): Promise<OpenChannel>
  /** Stops a channel, as the user who opened it; one that is over counts as stopped. */
  stop(
    subject: string,
    channel: Pick<OpenChannel, 'channelId' | 'resourceId'>,
    signal?: AbortSignal,
  ): Promise<void>
}

export function createCalendarWatch({ call }: { call: CallGoogle }): CalendarWatch {
  const { events, channels } = calendar('v3')
  return {
    watch: async (of, { channelId, address, token, expiresAt }, signal) => {
      const requestBody = {
        id: channelId,
        type: 'web_hook',
        address,
        token,
        ...(expiresAt && { expiration: String(expiresAt.getTime()) }),
      }
      const { data } = await call(aboutCalendar('events.watch', of, signal), options =>
        events.watch({ ...idOf(of), requestBody }, options),
      ).catch((error: unknown) => {
        throw refusedAddress(error, address) ?? error
      })
      const expiresAtMs = Number(data.expiration)
      if (!data.resourceId || !Number.isFinite(expiresAtMs) || expiresAtMs <= 0)
        throw new GoogleFault(
          { service: 'calendar', code: 'invalid', reason: 'no_channel' },
          'Google answered about a push channel without its resource or its end.',
        )
      return { channelId, resourceId: data.resourceId, expiresAt: new Date(expiresAtMs) }
    },

    stop: async (subject, { channelId: id, resourceId }, signal) => {
      const about = {
        service: 'calendar',
        method: 'channels.stop',
        subject,
        scopes: CALENDAR_SCOPES,
      } as const
      try {
        await call({ ...about, idempotent: true, signal }, options =>
          channels.stop({ requestBody: { id, resourceId } }, options),
        )
      } catch (error) {
        if (!isFault(error, 'not_found')) throw error
      }
    },
  }
}

function refusedAddress(error: unknown, address: string): GoogleFault | undefined {
  if (!(error instanceof GoogleFault) || !error.reason?.startsWith('push.webhookUrl')) return undefined
  const { service, httpStatus, reason } = error
  return new GoogleFault(
    { service, code: 'misconfigured', httpStatus, reason },
    `Google does not push to ${new URL(address).origin}: it takes https only, with a certificate that browsers trust.`,
  )
}
