// In the call: records it, watches it, and when it is over closes what is open in the order that loses nothing.
import { setTimeout as sleep } from 'node:timers/promises'
import { withTimeout } from '../clock.ts'
import type { Ending } from '../db/endings.ts'
import type { Log } from '../log.ts'
import type { RecorderBrowser } from './browser.ts'
import { type Segment, type Segmenter, startSegmenter } from './capture/segmenter.ts'
import type { TabCapture } from './capture/tab-capture.ts'
import type { JoinResult } from './meet-page/join-call.ts'
import type { Artefacts, MeetPage } from './meet-page/meet-page.ts'
import { type WatchResult, watchCall } from './meet-page/watch-call.ts'
import { watchSpeech } from './meet-page/watch-speech.ts'
import { addSpeech, type Speech } from './speech.ts'
import { stopwatch } from './stopwatch.ts'
import type { Telling } from './tell-in-order.ts'
import {
  abortEnding,
  UNKNOWN_SCREEN_MS,
  type Visit,
  type VisitContext,
  type VisitOutcome,
  type VisitSink,
} from './visit.ts'

/** No answer for so long is a page that hangs. */
const FROZEN_MS = 10_000
/** Meet's own attempts to reconnect get this long before the bot loads the page anew. */
const CONNECTION_LOST_MS = 60_000
const WATCH_EVERY_MS = 1_000

/** How long each part may take to close. */
const CLOSE_LIMIT_MS = 60_000
/** The same after the page died: what can still come has come by then, and the next attempt waits. */
const CLOSE_DEAD_LIMIT_MS = 1_000
const LEAVE_LIMIT_MS = 8_000
/** Nobody sees a leave over a lost connection. */
const LEAVE_LOST_LIMIT_MS = 1_000

export interface InCall extends VisitContext {
  browser: RecorderBrowser
  capture: TabCapture
  page: MeetPage
  telling: Telling
  admittedAt: Date
  ownName: string | null
  rejoin(): Promise<JoinResult>
}

interface First {
  ending: Ending
  detail: string
  artefacts: Artefacts | null
}

const BROWSER_FAULTS: ReadonlySet<string> = new Set(['renderer-crashed', 'browser-gone', 'tab-gone'])
/** Whether a capture's failure means that the page or the browser died. */
export const isBrowserFault = (reason: string) => BROWSER_FAULTS.has(reason)

/** Records until the call, the visit or a part of it is over. */
export async function recordCall(visit: Visit, sink: VisitSink, call: InCall): Promise<VisitOutcome> {
  const { clock, log, admittedAt, telling, capture } = call
  await using segmenter = startSegmenter(capture.chunks, {
    segmentSeconds: visit.segmentSeconds,
    startedAtMs: capture.startedAt,
    audioBitrate: visit.capture.audioBitsPerSecond,
    onFragment: fragment => sink.fragment?.(fragment),
  })
  telling.tell('recording', () => sink.recording(admittedAt))
  log.info({ admittedAt, captureAfterMs: Math.round(capture.startedAt - admittedAt.getTime()) }, 'recording')

  const watching = new AbortController()
  const outside = stopwatch(clock)
  // Media time by the steady clock: the wall clock may be set meanwhile.
  const mediaZeroMs = clock.now() - (Date.now() - capture.startedAt)
  let speech: Speech[] = []
  let connected = true
  const stored = storeAll(segmenter.segments, sink)
  const watched = watchCall(call.page, {
    scheduledStart: visit.scheduledStart,
    hardStopAt: () => visit.hardStopAt,
    sawPeopleBefore: visit.sawPeopleBefore,
    ownName: call.ownName,
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
    ...(visit.googleSaysSomebody ? { googleSaysSomebody: visit.googleSaysSomebody } : {}),
    soundHeard: () => capture.soundHeard(),
    rejoin: call.rejoin,
    onPeople: change => telling.tell('people', () => sink.people(change)),
    onScreen: screen => {
      connected = screen === 'in_call'
      outside.run(screen !== 'in_call' && screen !== 'reconnecting')
    },
  })
  const listening = watchSpeech(call.page, { clock, signal: watching.signal }, at => {
    // The marks of a call that lost its connection stand still.
    if (connected) speech = addSpeech(speech, at - mediaZeroMs)
  })
  const first = await whatEndsIt(call, segmenter, watched, stored)
  const endedAt = new Date(clock.now())
  outside.run(false)
  watching.abort()
  log.info({ ending: first.ending, detail: first.detail }, 'the visit is over')
  await closeAll(call, first.ending, { segmenter, stored, watched, listening })
  const { ending, artefacts } = first
  // Chromium says why only after it said that.
  const crash = ending === 'browser_died' ? call.browser.lastCrash() : undefined
  return {
    ending,
    detail: crash ? `${first.detail} (${crash})` : first.detail,
    admittedAt,
    endedAt,
    notInCallMs: outside.totalMs(),
    speech,
    ...(artefacts ? { artefacts } : {}),
  }
}

const BETTER_NAME_MS = 1_000

function whatEndsIt(
  { signal, browser, capture }: InCall,
  segmenter: Segmenter,
  watched: Promise<WatchResult>,
  stored: Promise<void>,
): Promise<First> {
  const over = (ending: Ending, detail: string, artefacts: Artefacts | null = null): First => ({
    ending,
    detail,
    artefacts,
  })
  const died = (detail: string) => over('browser_died', detail)
  return Promise.race([
    watched.then(({ ending, why, artefacts }) =>
      ending === 'browser_died' ? died(why) : over(abortEnding(signal) ?? ending, why, artefacts),
    ),
    browser.closed.then(({ detail }) => died(detail)),
    capture.failed.then(({ reason, detail }) =>
      isBrowserFault(reason) ? died(detail) : over('capture_failed', `${reason}: ${detail}`),
    ),
    segmenter.failed.then(({ detail }) => over('capture_failed', detail)),
    stored.then(
      // When the browser dies its pictures may end a moment before its own end is told: that is the better name.
      async () => {
        await sleep(BETTER_NAME_MS, undefined, { ref: false })
        return over('capture_failed', 'the segments ended before the call')
      },
      (error: unknown) => over('storage_failed', String(error)),
    ),
  ])
}

interface Parts {
  segmenter: Segmenter
  stored: Promise<void>
  watched: Promise<WatchResult>
  listening: Promise<void>
}

/** The picture stops before the bot presses anything, so that the recording ends with the call. */
async function closeAll(call: InCall, ending: Ending, parts: Parts): Promise<void> {
  const { capture, browser, page, log } = call
  const { segmenter, stored, watched, listening } = parts
  const dead = ending === 'browser_died' || ending === 'page_frozen'
  const limitMs = dead ? CLOSE_DEAD_LIMIT_MS : CLOSE_LIMIT_MS
  const close = (work: Promise<unknown>, what: string, ms = limitMs) => closeQuietly(work, what, ms, log)
  const captureBroke = dead || ending === 'capture_failed'
  await close(capture.stop(), 'the capture', captureBroke ? CLOSE_DEAD_LIMIT_MS : CLOSE_LIMIT_MS)
  // Asking a dead page to close takes longer than anybody waits for it.
  const browserGone = dead
    ? close(browser.stop({ politely: false }), 'the browser', CLOSE_LIMIT_MS)
    : undefined
  await close(segmenter.stop(), 'the segmenter')
  await close(stored, 'storing the last segments', CLOSE_LIMIT_MS)
  await close(Promise.all([watched, listening]), 'watching the call')
  // Nothing can be pressed on a page that does not answer.
  if (!dead && page.silentForMs() === 0) {
    const leaveMs = ending === 'connection_lost' ? LEAVE_LOST_LIMIT_MS : LEAVE_LIMIT_MS
    await close(page.leave(leaveMs), 'leaving the call')
  }
  await browserGone
  if (captureBroke && !dead) await close(browser.stop({ politely: false }), 'the browser')
}

async function storeAll(segments: AsyncIterable<Segment>, sink: VisitSink): Promise<void> {
  for await (const segment of segments) await sink.segment(segment)
}

// How the visit ended is settled by then; a part that does not close in time must not change it, only be told.
async function closeQuietly(work: Promise<unknown>, what: string, limitMs: number, log: Log): Promise<void> {
  try {
    await withTimeout(work, limitMs, what)
  } catch (error) {
    log.warn({ error }, `${what} did not end well`)
  }
}
