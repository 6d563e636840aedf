import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Faults, ServiceName } from './faults.ts'
import type { Caller, Identity } from './identity.ts'
import type { OidcSigner } from './oidc.ts'
import type { ParameterValue } from './request-check.ts'
import type { GoogleState } from './state.ts'
import type { OwnedTimers } from './timers.ts'

/** A conference that Calendar has just made, told before the event shows it as ready. */
export interface NewConference {
  code: string
  eventId: string
  summary: string
  /** RFC 3339, or a date for an all-day event. */
  start: string
  end: string
  attendees: string[]
  organizer: string
}

/** What every part of the sandbox works with. */
export interface World {
  /** Origin without a trailing slash. */
  origin: string
  driveDir: string
  conferencePendingMs: number
  calendarTimeZone: string
  /** How long a push gathers changes before it leaves, and the first wait before it is tried again. */
  pushTimes: { delayMs: number; retryMs: number }
  /** Hosts that may be pushed to without TLS. */
  plainPushHosts: readonly string[]
  state: GoogleState
  identity: Identity
  oidc: OidcSigner
  faults: Faults
  timers: OwnedTimers
  nowMs: () => number
  /** Every answer to a request that was understood waits for it. */
  beforeAnswer: (request: AnsweredRequest) => void | Promise<void>
  onConference: (conference: NewConference) => void | Promise<void>
  onCancelled: (cancelled: { code: string; eventId: string }) => void | Promise<void>
  /** Something changed in these calendars. */
  onCalendarChange: (calendars: ReadonlySet<string>) => void
  /** Something happened in a call or to what it leaves behind. */
  onMeetEvent: (event: MeetEvent) => void
}

/** What is about to be answered. */
export interface AnsweredRequest {
  service: ServiceName
  /** By `performance.now()`. */
  cameAtMs: number
}

/** What Workspace Events tells of: `kind` as in `google.workspace.meet.<kind>`. */
export interface MeetEvent {
  kind: string
  /** Canonical `spaces/…`. */
  space: string
  /** Field of the payload and full name of the resource, e.g. `conferenceRecord`, `conferenceRecords/…`. */
  resource: [field: string, name: string]
}

/** One authenticated call whose query and body fit the method's description. */
export interface Call {
  world: World
  caller: Caller
  parameters: Record<string, ParameterValue>
  body: Record<string, unknown>
  request: IncomingMessage
  /** Query and path as sent, for answers that refer to it. */
  url: URL
}

export interface Answer {
  status?: number
  headers?: Record<string, string>
  json?: object
  text?: string
  /** Writes the body itself, for answers that are streamed. */
  stream?: (response: ServerResponse) => Promise<void>
}

type Handler = (call: Call) => Answer | Promise<Answer>
export type Handlers = Record<string, Handler>

/** A text parameter, or `undefined` when it was not sent. */
export function textParameter(call: Call, name: string): string | undefined {
  const value = call.parameters[name]
  return value === undefined ? undefined : String(value)
}
