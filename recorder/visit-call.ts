import { type Clock, withTimeout } from '../clock.ts'
import type { Ending } from '../db/endings.ts'
import type { Log } from '../log.ts'
import { BrowserDidNotStart, type BrowserSettings, launchBrowser, type RecorderBrowser } from './browser.ts'
import { type Segment, startSegmenter } from './capture/segmenter.ts'
import { startTabCapture, type TabCaptureSettings } from './capture/tab-capture.ts'
import { type JoinIdentity, joinCall } from './meet-page/join-call.ts'
import { openMeetPage } from './meet-page/meet-page.ts'
import { type PeopleChange, watchCall } from './meet-page/watch-call.ts'
import type { LeaveLimits } from './meet-page/when-to-leave.ts'

/** What a visit needs to know; nothing of it changes during the visit. */
export interface Visit {
  url: string
  as: JoinIdentity
  language: 'en' | 'es'
  scheduledStart: Date
  scheduledEnd: Date
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

export interface Evidence {
  screenshot: Buffer
  html: string
  screen: string
}

export interface VisitOutcome {
  ending: Ending
  detail?: string
  admittedAt?: Date
  endedAt: Date
  /** Captured time that showed something else than the call. */
  notInCallMs: number
  evidence?: Evidence
}

const CLOSE_LIMIT_MS = 60_000

/**
 * One visit to one call, from the first page to the last segment: join, record, watch, leave. Every expected way to
 * end is an ending; only faults of our own throw.
 * @param signal aborted when the visit must end early (`left_by_request` or `recorder_stopped`, by its reason)
 */
export async function visitCall(
  visit: Visit,
  sink: VisitSink,
  { clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<VisitOutcome> {
  const over = (ending: Ending, more: Partial<VisitOutcome> = {}): VisitOutcome => ({
    endedAt: new Date(clock.now()),
    notInCallMs: 0,
    ...more,
    ending,
  })
  let browser: RecorderBrowser
  try {
    browser = await launchBrowser(visit.browser)
  } catch (error) {
    if (!(error instanceof BrowserDidNotStart)) throw error
    log.error({ error, reason: error.reason }, 'the browser did not start')
    return over('browser_died', { detail: error.message })
  }
  await using _ = browser
  const page = openMeetPage(browser.page, { language: visit.language, clock, log })
  const browserDied = browser.closed.then(closed => over('browser_died', { detail: closed.detail }))

  const joined = await Promise.race([
    browserDied,
    joinCall(page, {
      url: visit.url,
      as: visit.as,
      waitingRoomMs: visit.waitingRoomMs,
      giveUpAt: visit.giveUpAt,
      clock,
      log,
      signal,
      onState: state => sink.state(state),
    }),
  ])
  if ('ending' in joined)
    return 'endedAt' in joined
      ? joined
      : over(abortEnding(signal) ?? joined.ending, joined.evidence ? { evidence: joined.evidence } : {})
  return recordUntilOver(visit, sink, {
    clock,
    log,
    signal,
    browser,
    page,
    admittedAt: joined.at,
    over,
    browserDied,
  })
}

interface InCall {
  clock: Clock
  log: Log
  signal: AbortSignal
  browser: RecorderBrowser
  page: ReturnType<typeof openMeetPage>
  admittedAt: Date
  over: (ending: Ending, more?: Partial<VisitOutcome>) => VisitOutcome
  browserDied: Promise<VisitOutcome>
}

async function recordUntilOver(visit: Visit, sink: VisitSink, call: InCall): Promise<VisitOutcome> {
  const { clock, log, page, admittedAt, over } = call
  await using capture = await startTabCapture(call.browser, visit.capture)
  await using segmenter = startSegmenter(capture.chunks, {
    segmentSeconds: visit.segmentSeconds,
    startedAtMs: capture.startedAt,
    audioBitrate: visit.capture.audioBitsPerSecond,
  })
  await sink.recording(admittedAt)
  log.info({ admittedAt, captureStartedAt: new Date(capture.startedAt) }, 'recording')

  const stopWatching = new AbortController()
  const stored = storeAll(segmenter.segments, sink)
  let notInCallMs = 0
  const watched = watchCall(page, {
    scheduledStart: visit.scheduledStart,
    scheduledEnd: visit.scheduledEnd,
    hardStopAt: visit.hardStopAt,
    limits: visit.leave,
    admittedAt,
    clock,
    log,
    signal: AbortSignal.any([call.signal, stopWatching.signal]),
    onPeople: change => sink.people(change),
    onNotInCall: ms => {
      notInCallMs += ms
    },
  })
  const first = await Promise.race([
    watched.then(verdict =>
      over(
        abortEnding(call.signal) ?? verdict.ending,
        verdict.evidence ? { evidence: verdict.evidence } : {},
      ),
    ),
    call.browserDied,
    capture.failed.then(({ reason, detail }) =>
      over(
        reason === 'renderer-crashed' || reason === 'browser-gone' || reason === 'tab-gone'
          ? 'browser_died'
          : 'capture_failed',
        { detail },
      ),
    ),
    segmenter.failed.then(({ detail }) => over('capture_failed', { detail })),
    stored.then(
      () => over('capture_failed', { detail: 'the segments ended before the call' }),
      (error: unknown) => over('storage_failed', { detail: String(error) }),
    ),
  ])
  stopWatching.abort()
  log.info({ ending: first.ending, detail: first.detail }, 'the visit is over')
  // The picture stops before the bot presses anything, so that the recording ends with the call.
  await closeQuietly(capture.stop(), 'the capture', log)
  await closeQuietly(segmenter.stop(), 'the segmenter', log)
  await closeQuietly(stored, 'storing the last segments', log)
  await closeQuietly(watched, 'watching the call', log)
  if (first.ending !== 'browser_died') await closeQuietly(page.leave(), 'leaving the call', log)
  return { ...first, admittedAt, notInCallMs }
}

async function storeAll(segments: AsyncIterable<Segment>, sink: VisitSink): Promise<void> {
  for await (const segment of segments) await sink.segment(segment)
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
