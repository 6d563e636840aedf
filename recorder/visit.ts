// What a visit is given and what it gives back.
import type { Clock } from '../clock.ts'
import type { Ending } from '../db/endings.ts'
import type { Log } from '../log.ts'
import type { BrowserSettings } from './browser.ts'
import type { OpenFragment, Segment } from './capture/segmenter.ts'
import type { TabCaptureSettings } from './capture/tab-capture.ts'
import type { AskGoogle } from './meet-page/google-word.ts'
import type { JoinAs } from './meet-page/join-steps.ts'
import type { Artefacts } from './meet-page/meet-page.ts'
import type { PeopleChange } from './meet-page/people.ts'
import type { LeaveLimits } from './meet-page/when-to-leave.ts'
import type { Speech } from './speech.ts'

/** What a visit needs to know. `giveUpAt` and `hardStopAt` may be changed during it: they are read at every look. */
export interface Visit {
  url: string
  as: JoinAs
  /**
   * An earlier bot of the same account is alive and is to stay in the call until this one records ("Join here too").
   * Else a seat it left behind is taken over ("Switch here").
   */
  beside?: boolean
  language: 'en' | 'es'
  /** Null for a call without a schedule. */
  scheduledStart: Date | null
  /** An earlier attempt has already met somebody. */
  sawPeopleBefore: boolean
  /** How long one knock waits; then the bot knocks again until `giveUpAt`. */
  waitingRoomMs: number
  giveUpAt: Date
  hardStopAt: Date
  leave: LeaveLimits
  /** Whether Google's own record shows somebody else in the conference. */
  googleSaysSomebody?: AskGoogle
  browser: BrowserSettings
  capture: TabCaptureSettings
  segmentSeconds: number
}

/**
 * Where a visit tells what it sees. `state`, `recording` and `people` are told in order and again until they were
 * heard; a rejected `segment` ends the visit with `storage_failed`.
 */
export interface VisitSink {
  state(state: 'joining' | 'waiting_room'): Promise<void>
  recording(admittedAt: Date): Promise<void>
  /** Takes a fragment of the segment that is still open, at once. Must not throw. */
  fragment?(fragment: OpenFragment): void
  /** Takes a closed segment; slow answers hold the stream back. */
  segment(segment: Segment): Promise<void>
  people(change: PeopleChange): Promise<void>
}

export interface VisitOutcome {
  ending: Ending
  detail?: string
  admittedAt?: Date
  endedAt: Date
  /** Captured time that showed something else than the call. */
  notInCallMs: number
  /** When the page showed somebody speaking, in the attempt's media time and in order. */
  speech?: Speech[]
  artefacts?: Artefacts
}

export interface VisitContext {
  clock: Clock
  log: Log
  /** Aborted when the visit must end early; the reason is the ending. */
  signal: AbortSignal
}

/** How long a screen may stay unknown. */
export const UNKNOWN_SCREEN_MS = 20_000

/** An abort carries its ending as its reason. */
export function abortEnding(signal: AbortSignal): Ending | undefined {
  return signal.aborted ? (signal.reason as Ending) : undefined
}
