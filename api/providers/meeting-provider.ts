import type { Recurrence } from '../../calendar/recurrence.ts'
import type { ReminderRule } from '../../calendar/reminders.ts'
import type { SpaceConfiguration } from '../../db/schema.ts'
import type { Look } from '../../google/calendar.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'

/** Whose calls Testigo can make. */
export const PROVIDERS = ['google_meet'] as const
export type ProviderName = (typeof PROVIDERS)[number]

/** A meeting, or with `recurrence` a series, as its host's calendar and the people invited are to see it. */
export interface CallWish {
  /** Our UUID of the meeting, or of the series. */
  id: string
  /** Who holds it: the address of the account that makes the call. */
  host: string
  topic: string
  description: string | null
  start: Date
  end: Date
  /** IANA name. */
  timeZone: string
  people: readonly { email: string; name: string | null }[]
  reminders: readonly ReminderRule[]
  /** How many of our bots take part. */
  bots: number
  recurrence?: Recurrence
}

/** Where a call stands at its provider. */
interface CallPlace {
  /** Of the provider; made by us before it is asked, so that asking twice makes one call. */
  eventId: string
  /** Null until the provider has made the call. */
  joinUrl: string | null
  meetingCode: string | null
  /** Whether it was changed since it was asked for first. */
  changed: boolean
  look?: Look | undefined
}

/** A call that the provider has made. */
export interface ProvidedCall {
  /** Another one than was asked for, where somebody had deleted the first call at the provider. */
  eventId: string
  joinUrl: string
  meetingCode: string
  spaceName: string | null
  space: SpaceConfiguration
  /** The host's event as it is now. */
  there: CalendarEvent
}

/** One meeting of a series at its provider. */
interface Occurrence {
  series: { host: string; eventId: string }
  /** The start that the rule gave it. */
  originalStart: Date
  /** As we expect it, for where the provider does not say. */
  eventId: string
  look?: Look | undefined
}

/**
 * Who makes the calls. Everything may be asked again after a crash or a lost answer, and comes to the same. All of it
 * throws {@link ProviderFault} and nothing else of the provider's.
 */
export interface MeetingProvider {
  readonly name: ProviderName
  /** The id under which a meeting or a series will be known there, before it is. @param id our UUID */
  eventIdOf(id: string): string
  /**
   * Makes a call, or a series that shares one, or brings the one there is to what is wished. People are told.
   * @param keep writes down the id of an event that is about to be made in the place of a deleted one
   */
  put(
    wish: CallWish,
    place: CallPlace,
    keep: (eventId: string) => Promise<void>,
    signal: AbortSignal,
  ): Promise<ProvidedCall>
  /** Cancels a meeting or a whole series; people are told. What is gone already counts as cancelled. */
  cancel(call: { host: string; eventId: string }, signal: AbortSignal): Promise<void>
  /** Makes one meeting of a series differ from it. @returns its id there */
  putOccurrence(
    occurrence: Occurrence,
    wish: CallWish,
    signal: AbortSignal,
  ): Promise<Pick<ProvidedCall, 'eventId' | 'there'>>
  /** Takes one meeting out of a series. */
  cancelOccurrence(occurrence: Occurrence, signal: AbortSignal): Promise<void>
}

/** The provider refused, failed or stayed silent. The message says what to do, and holds no secret. */
export class ProviderFault extends Error {
  readonly provider: ProviderName
  /** Which of the provider's services it was, what went wrong, and the provider's own word for it: for logs. */
  readonly service: string
  readonly code: string
  readonly reason: string | undefined
  /** Whether the same may work later without anybody changing anything. */
  readonly retryable: boolean
  readonly retryAfterSeconds: number | undefined

  constructor(
    provider: ProviderName,
    fields: Pick<
      ProviderFault,
      'service' | 'code' | 'reason' | 'retryable' | 'retryAfterSeconds' | 'message'
    >,
    options?: ErrorOptions,
  ) {
    super(fields.message, options)
    this.name = 'ProviderFault'
    this.provider = provider
    this.service = fields.service
    this.code = fields.code
    this.reason = fields.reason
    this.retryable = fields.retryable
    this.retryAfterSeconds = fields.retryAfterSeconds
  }
}
