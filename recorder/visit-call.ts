import { BrowserDidNotStart, launchBrowser, type RecorderBrowser } from './browser.ts'
import {
  CaptureDidNotStart,
  type PreparedCapture,
  prepareTabCapture,
  type TabCapture,
} from './capture/tab-capture.ts'
import { type JoinOptions, type JoinResult, joinCall } from './meet-page/join-call.ts'
import { type MeetPage, openMeetPage } from './meet-page/meet-page.ts'
import { isBrowserFault, recordCall } from './record-call.ts'
import { steadyClock } from './steady-clock.ts'
import { type Telling, tellInOrder } from './tell-in-order.ts'
import {
  abortEnding,
  UNKNOWN_SCREEN_MS,
  type Visit,
  type VisitContext,
  type VisitOutcome,
  type VisitSink,
} from './visit.ts'

export type { Visit, VisitOutcome, VisitSink } from './visit.ts'

const PAGE_LOAD_MS = 60_000
/** What was seen and not yet told gets this long at the end. */
const TELLING_LIMIT_MS = 10_000

/**
 * One visit to one call, from the first page to the last segment: join, record, watch, leave. Every expected way to
 * end is an ending; only faults of our own throw.
 */
export async function visitCall(
  visit: Visit,
  sink: VisitSink,
  { log, signal, clock: wallClock }: VisitContext,
): Promise<VisitOutcome> {
  const context = { log, signal, clock: steadyClock(wallClock) }
  const telling = tellInOrder(context)
  try {
    return await visitAndTell(visit, sink, telling, context)
  } finally {
    await telling.done(TELLING_LIMIT_MS)
  }
}

async function visitAndTell(
  visit: Visit,
  sink: VisitSink,
  telling: Telling,
  context: VisitContext,
): Promise<VisitOutcome> {
  const { clock, log } = context
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
  const onState: JoinOptions['onState'] = state => {
    if (state !== 'in_call') telling.tell(`state ${state}`, () => sink.state(state))
  }
  const joined = await Promise.race([browser.closed, join(visit, page, context, { onState })])
  const endedAt = new Date(clock.now())
  if ('reason' in joined) return { ending: 'browser_died', detail: joined.detail, endedAt, notInCallMs: 0 }
  if (joined.kind === 'not_joined') {
    const { ending, why, artefacts } = joined
    const outcome = {
      ending: abortEnding(context.signal) ?? ending,
      detail: why,
      endedAt,
      notInCallMs: 0,
      ...(artefacts ? { artefacts } : {}),
    }
    if (page.isGone() || ending === 'page_frozen') await browser.stop({ politely: false })
    return outcome
  }
  let capture: TabCapture
  try {
    capture = await prepared.begin()
  } catch (error) {
    return captureDidNotStart(error, context)
  }
  return await recordCall(visit, sink, {
    ...context,
    browser,
    capture,
    page,
    telling,
    admittedAt: joined.at,
    ownName: joined.ownName,
    rejoin: () => rejoin(visit, page, context),
  })
}

function join(
  visit: Visit,
  page: MeetPage,
  { clock, log, signal }: VisitContext,
  more: Pick<JoinOptions, 'onState'> & Partial<JoinOptions>,
): Promise<JoinResult> {
  return joinCall(page, {
    url: visit.url,
    as: visit.as,
    beside: visit.beside ?? false,
    language: visit.language,
    limits: {
      pageLoadMs: PAGE_LOAD_MS,
      waitingRoomMs: visit.waitingRoomMs,
      unknownScreenMs: UNKNOWN_SCREEN_MS,
    },
    giveUpAt: () => visit.giveUpAt,
    clock,
    log,
    signal,
    ...more,
  })
}

/** A page that reloaded itself goes in again while the capture runs on; where it must knock, that is a new attempt's. */
async function rejoin(visit: Visit, page: MeetPage, context: VisitContext): Promise<JoinResult> {
  const mustKnock = new AbortController()
  const result = await join(visit, page, context, {
    loaded: true,
    beside: false,
    // The call goes on, however late it is by the schedule.
    giveUpAt: () => visit.hardStopAt,
    signal: AbortSignal.any([context.signal, mustKnock.signal]),
    onState: state => {
      if (state === 'waiting_room') mustKnock.abort()
    },
  })
  if (result.kind === 'joined' || !mustKnock.signal.aborted) return result
  return { ...result, ending: 'connection_lost', why: 'the bot would have to ask to join again' }
}

function captureDidNotStart(error: unknown, { clock, log }: VisitContext): VisitOutcome {
  if (!(error instanceof CaptureDidNotStart)) throw error
  log.error({ error, reason: error.reason }, 'the capture did not start')
  const ending = isBrowserFault(error.reason) ? 'browser_died' : 'capture_failed'
  return { ending, detail: error.message, endedAt: new Date(clock.now()), notInCallMs: 0 }
}
