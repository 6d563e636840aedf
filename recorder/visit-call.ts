import { type Clock, withTimeout } from '../clock.ts'
import type { Ending } from '../db/endings.ts'
import type { Log } from '../log.ts'
import { BrowserDidNotStart, type BrowserSettings, launchBrowser, type RecorderBrowser } from './browser.ts'
import { type Segment, startSegmenter } from './capture/segmenter.ts'
import {
  CaptureDidNotStart,
  type PreparedCapture,
  prepareTabCapture,
  type TabCapture,
  type TabCaptureSettings,
} from './capture/tab-capture.ts'
import { joinCall } from './meet-page/join-call.ts'
import type { JoinAs } from './meet-page/join-steps.ts'
import { type Artefacts, type MeetPage, openMeetPage } from './meet-page/meet-page.ts'
import type { PeopleChange } from './meet-page/people.ts'
import { watchCall } from './meet-page/watch-call.ts'
import type { LeaveLimits } from './meet-page/when-to-leave.ts'

/** What a visit needs to know; nothing of it changes during the visit. */
export interface Visit {
  url: string
  as: JoinAs
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
  browser: BrowserSettings
  capture: TabCaptureSettings
  segmentSeconds: number
}

/** Where a visit tells what it sees. A rejected promise ends the visit with `storage_failed`. */
export interface VisitSink {
  state(state: 'joining' | 'waiting_room'): Promise<void>
  recording(admittedAt: Date): Promise<void>
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
  artefacts?: Artefacts
}

const CLOSE_LIMIT_MS = 60_000
const LEAVE_LIMIT_MS = 8_000
const PAGE_LOAD_MS = 60_000
const UNKNOWN_SCREEN_MS = 20_000
const FROZEN_MS = 20_000
/** Meet's own attempts to reconnect get this long before the bot loads the page anew. */
const CONNECTION_LOST_MS = 60_000
const WATCH_EVERY_MS = 1_000

interface Context {
  clock: Clock
  log: Log
  signal: AbortSignal
}

/**
 * One visit to one call, from the first page to the last segment: join, record, watch, leave. Every expected way to
 * end is an ending; only faults of our own throw.
 * @param signal aborted when the visit must end early; the reason is the ending
 */
export async function visitCall(visit: Visit, sink: VisitSink, context: Context): Promise<VisitOutcome> {
  const { clock, log, signal } = context
  const telling = tellInOrder()
  let browser: RecorderBrowser
  try {
    browser = await launchBrowser(visit.browser)
  } catch (error) {
    if (!(error instanceof BrowserDidNotStart)) throw error
    log.error({ error, reason: error.reason }, 'the browser did not start')
    return { ending: 'browser_died', detail: error.message, endedAt: new Date(clock.now()), notInCallMs: 0 }
  }
  await using _ = browser
  // Before joining: getting hold of the tab takes a second that would else be missing from the call.
  let prepared: PreparedCapture
  try {
    prepared = await prepareTabCapture(browser, visit.capture)
  } catch (error) {
    return captureDidNotStart(error, context)
  }
  await using _prepared = prepared
  using page = openMeetPage(browser.page, { language: visit.language, clock, log })
  const joined = await Promise.race([
    browser.closed,
    telling.failed,
    joinCall(page, {
      url: visit.url,
      as: visit.as,
      language: visit.language,
      limits: {
        pageLoadMs: PAGE_LOAD_MS,
        waitingRoomMs: visit.waitingRoomMs,
        unknownScreenMs: UNKNOWN_SCREEN_MS,
      },
      giveUpAt: visit.giveUpAt,
      clock,
      log,
      signal,
      onState: state => {
        if (state !== 'in_call') telling.tell(() => sink.state(state))
      },
    }),
  ])
  const endedAt = new Date(clock.now())
  if ('reason' in joined) return { ending: 'browser_died', detail: joined.detail, endedAt, notInCallMs: 0 }
  if (joined.kind === 'not_joined') {
    await telling.done()
    const { ending, why, artefacts } = joined
    return {
      ending: abortEnding(signal) ?? ending,
      detail: why,
      endedAt,
      notInCallMs: 0,
      ...(artefacts ? { artefacts } : {}),
    }
  }
  let capture: TabCapture
  try {
    capture = await prepared.begin()
  } catch (error) {
    return captureDidNotStart(error, context)
  }
  const inCall = { ...context, browser, capture, page, telling, admittedAt: joined.at }
  const outcome = await recordUntilOver(visit, sink, inCall)
  await telling.done()
  return outcome
}

function captureDidNotStart(error: unknown, { clock, log }: Context): VisitOutcome {
  if (!(error instanceof CaptureDidNotStart)) throw error
  log.error({ error, reason: error.reason }, 'the capture did not start')
  const ending = BROWSER_FAULTS.has(error.reason) ? 'browser_died' : 'capture_failed'
  return { ending, detail: error.message, endedAt: new Date(clock.now()), notInCallMs: 0 }
}

interface InCall extends Context {
  browser: RecorderBrowser
  capture: TabCapture
  page: MeetPage
  telling: Telling
  admittedAt: Date
}

async function recordUntilOver(visit: Visit, sink: VisitSink, call: InCall): Promise<VisitOutcome> {
  const { clock, log, page, admittedAt, telling, capture } = call
  await using segmenter = startSegmenter(capture.chunks, {
    segmentSeconds: visit.segmentSeconds,
    startedAtMs: capture.startedAt,
    audioBitrate: visit.capture.audioBitsPerSecond,
  })
  telling.tell(() => sink.recording(admittedAt))
  log.info({ admittedAt, captureAfterMs: Math.round(capture.startedAt - admittedAt.getTime()) }, 'recording')

  const watching = new AbortController()
  const outside = stopwatch(clock)
  const stored = storeAll(segmenter.segments, sink)
  const watched = watchCall(page, {
    scheduledStart: visit.scheduledStart,
    hardStopAt: visit.hardStopAt,
    sawPeopleBefore: visit.sawPeopleBefore,
    ownName: visit.as.kind === 'guest' ? visit.as.name : null,
    limits: {
      ...visit.leave,
      unknownScreenMs: UNKNOWN_SCREEN_MS,
      frozenMs: FROZEN_MS,
      connectionLostMs: CONNECTION_LOST_MS,
      pollMs: WATCH_EVERY_MS,
    },
    clock,
    log,
    signal: AbortSignal.any([call.signal, watching.signal]),
    onPeople: change => telling.tell(() => sink.people(change)),
    onScreen: screen => outside.run(screen !== 'in_call'),
  })
  const over = (ending: Ending, detail: string, artefacts: Artefacts | null = null) => ({
    ending,
    detail,
    artefacts,
  })
  const first = await Promise.race([
    watched.then(({ ending, why, artefacts }) => over(abortEnding(call.signal) ?? ending, why, artefacts)),
    call.browser.closed.then(({ detail }) => over('browser_died', detail)),
    capture.failed.then(({ reason, detail }) =>
      over(BROWSER_FAULTS.has(reason) ? 'browser_died' : 'capture_failed', detail),
    ),
    segmenter.failed.then(({ detail }) => over('capture_failed', detail)),
    telling.failed,
    stored.then(
      () => over('capture_failed', 'the segments ended before the call'),
      (error: unknown) => over('storage_failed', String(error)),
    ),
  ])
  const endedAt = new Date(clock.now())
  outside.run(false)
  watching.abort()
  log.info({ ending: first.ending, detail: first.detail }, 'the visit is over')
  // The picture stops before the bot presses anything, so that the recording ends with the call.
  await closeQuietly(capture.stop(), 'the capture', log)
  await closeQuietly(segmenter.stop(), 'the segmenter', log)
  await closeQuietly(stored, 'storing the last segments', log)
  await closeQuietly(watched, 'watching the call', log)
  if (first.ending !== 'browser_died') await closeQuietly(page.leave(LEAVE_LIMIT_MS), 'leaving the call', log)
  const { ending, detail, artefacts } = first
  return {
    ending,
    detail,
    admittedAt,
    endedAt,
    notInCallMs: outside.totalMs(),
    ...(artefacts ? { artefacts } : {}),
  }
}

const BROWSER_FAULTS: ReadonlySet<string> = new Set(['renderer-crashed', 'browser-gone', 'tab-gone'])

async function storeAll(segments: AsyncIterable<Segment>, sink: VisitSink): Promise<void> {
  for await (const segment of segments) await sink.segment(segment)
}

interface Telling {
  /** Does the work after what was told before. */
  tell(work: () => Promise<void>): void
  /** Rejects with the first work that failed. Never resolves. */
  failed: Promise<never>
  done(): Promise<void>
}

/** What the page shows is told one after another, however slow the teller is. */
function tellInOrder(): Telling {
  const failed = Promise.withResolvers<never>()
  // Whoever races with it hears of it; before that it must not end the process.
  failed.promise.catch(() => undefined)
  let last: Promise<void> = Promise.resolve()
  return {
    tell(work) {
      last = last.then(work)
      last.catch(failed.reject)
    },
    failed: failed.promise,
    done: () => last,
  }
}

function stopwatch(clock: Clock) {
  let since: number | null = null
  let sumMs = 0
  return {
    run(on: boolean) {
      if (since !== null) sumMs += clock.now() - since
      since = on ? clock.now() : null
    },
    totalMs: () => sumMs,
  }
}

/** An abort carries its ending as its reason. */
function abortEnding(signal: AbortSignal): Ending | undefined {
  return signal.aborted ? (signal.reason as Ending) : undefined
}

// How the visit ended is settled by then; a part that does not close in time must not change it, only be told.
async function closeQuietly(work: Promise<unknown>, what: string, log: Log): Promise<void> {
  try {
    await withTimeout(work, CLOSE_LIMIT_MS, what)
  } catch (error) {
    log.warn({ error }, `${what} did not end well`)
  }
}
