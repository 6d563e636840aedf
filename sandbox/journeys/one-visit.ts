// One visit of the recorder to a sandbox meeting in this process, whose parts can be broken.
import { readFile } from 'node:fs/promises'
import { systemClock } from '../../clock.ts'
import { createLog } from '../../log.ts'
import type { OpenFragment, Segment } from '../../recorder/capture/segmenter.ts'
import { listProcessTree } from '../../recorder/process-tree.ts'
import { type Visit, type VisitOutcome, visitCall } from '../../recorder/visit-call.ts'
import type { Meeting } from '../meet-web/meeting.ts'
import type { MeetWeb } from '../meet-web/server.ts'

export interface RunningVisit {
  outcome: Promise<VisitOutcome>
  /** Wall clock (ms) at which the outcome came. */
  outcomeAtMs: Promise<number>
  segments: Segment[]
  fragments: OpenFragment[]
  people: string[]
  stop: AbortController
  /** Resolves when that much media has come. */
  recorded(mediaMs: number): Promise<void>
  /** Process ids of this visit's Chromium: the browser itself, the pages', the capture extension's. */
  processes(): Promise<{ browser: number; pages: number[]; extension: number[] }>
}

const log = createLog(process.env.VISIT_LOG === 'debug' ? 'debug' : 'silent')
const hour = 3_600_000

export function startVisit(web: MeetWeb, meeting: Meeting, more: Partial<Visit> = {}): RunningVisit {
  const segments: Segment[] = []
  const fragments: OpenFragment[] = []
  const people: string[] = []
  const stop = new AbortController()
  const visit: Visit = {
    url: meeting.url,
    as: { kind: 'guest', name: 'Testigo bot' },
    language: 'en',
    scheduledStart: new Date(),
    sawPeopleBefore: false,
    waitingRoomMs: 60_000,
    giveUpAt: new Date(Date.now() + hour),
    hardStopAt: new Date(Date.now() + hour),
    leave: { nobodyCameMs: hour, everyoneLeftMs: hour, onlyBotsMs: hour },
    capture: {
      width: 640,
      height: 360,
      fps: 15,
      videoBitsPerSecond: 800_000,
      audioBitsPerSecond: 96_000,
      keyFrameSeconds: 2,
    },
    segmentSeconds: 2,
    ...more,
    browser: {
      chromiumPath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
      width: 640,
      height: 360,
      sandbox: false,
      language: 'en-US',
      ...more.browser,
      chromiumArgs: [...web.chromiumArgs, ...(more.browser?.chromiumArgs ?? [])],
    },
  }
  const outcome = visitCall(
    visit,
    {
      state: async () => undefined,
      recording: async () => undefined,
      fragment: fragment => fragments.push(fragment),
      segment: async segment => {
        segments.push(segment)
      },
      people: async ({ name, change }) => {
        people.push(`${name} ${change}`)
      },
    },
    { clock: systemClock, log, signal: stop.signal },
  )
  return {
    outcome,
    outcomeAtMs: outcome.then(() => Date.now()),
    segments,
    fragments,
    people,
    stop,
    recorded: mediaMs => until(() => endOf(fragments) >= mediaMs, outcome),
    processes: () => findProcesses(web.port),
  }
}

/** Media time (ms) up to which these pieces reach. */
export const endOf = (pieces: readonly { startMs: number; durationMs: number }[]) =>
  Math.max(0, ...pieces.map(({ startMs, durationMs }) => startMs + durationMs))

const LIMIT_MS = 60_000

async function until(done: () => boolean, outcome: Promise<VisitOutcome>): Promise<void> {
  let over: VisitOutcome | undefined
  void outcome.then(came => {
    over = came
  })
  const deadline = Date.now() + LIMIT_MS
  while (!done()) {
    if (over) throw new Error(`the visit ended before: ${over.ending} (${over.detail})`)
    if (Date.now() > deadline) throw new Error(`not recorded within ${LIMIT_MS} ms`)
    await systemClock.sleep(50)
  }
}

async function findProcesses(port: number) {
  const tree = await listProcessTree(process.pid)
  const lines = await Promise.all(
    tree.map(async ({ pid }) => ({
      pid,
      line: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    })),
  )
  const browser = lines.find(({ line }) => line.includes(`:${port}`) && !line.includes('--type='))
  if (browser === undefined) throw new Error('no browser visits this sandbox')
  const inside = new Set((await listProcessTree(browser.pid)).map(({ pid }) => pid))
  const renderers = lines.filter(({ pid, line }) => inside.has(pid) && line.includes('--type=renderer'))
  return {
    browser: browser.pid,
    pages: renderers.filter(({ line }) => !line.includes('--extension-process')).map(({ pid }) => pid),
    extension: renderers.filter(({ line }) => line.includes('--extension-process')).map(({ pid }) => pid),
  }
}
