import { withTimeout } from '../clock.ts'
import type { Attempt } from '../db/attempts.ts'
import { beat, offerHandover } from '../db/attempts.ts'
import type { Ending } from '../db/endings.ts'
import { recordJobKey } from '../db/stalled.ts'
import type { Admission, RunningVisit } from './admission.ts'
import { concludeAttempt } from './conclude-attempt.ts'
import { BEAT_MS } from './keep-beating.ts'
import type { RecorderDeps } from './record-meeting.ts'
import { sendOwed } from './send-owed.ts'
import { type RecordingProcess, spawnRecording } from './spawn-recording.ts'
import { type Taking, takeDue } from './take-due.ts'

export interface Visits {
  /** Takes due meetings until `signal`: one child process for each. */
  takeUntil(signal: AbortSignal): Promise<void>
  count(): number
  /** Process ids of the children that run now. */
  pids(): number[]
  /** Calls other recorders to take over; each child leaves once another one has pictures, or when its call ends. */
  handOver(): Promise<void>
  /** Tells every child to leave its call now. */
  leave(ending: Ending): void
  /** Resolves when no child is left. */
  settled(): Promise<void>
}

const POLL_MS = 500
/**
 * What was given back is due again a second later. Whoever gave it back would ask in that very moment, again and again,
 * and the recorder that may have it would never be the first.
 */
const LEAVE_TO_OTHERS_MS = 1_700
const REFUSALS_LOGGED_EVERY_MS = 30_000
/** A child that has not begun by then hangs. */
const CHILD_LOADS_MS = 30_000
const WRITE_AGAIN_MS = 2_000
const WRITE_TRIES = 300

/** The meetings that this recorder records now. */
export function createVisits(
  deps: RecorderDeps,
  admit: (running: readonly RunningVisit[]) => Admission,
): Visits {
  const { db, jobs, clock, log } = deps
  const running = new Map<string, { child: RecordingProcess; beganMs: number; over: Promise<void> }>()
  let refusalLoggedAt = Number.NEGATIVE_INFINITY

  async function takeOne(): Promise<Taking> {
    const now = performance.now()
    const free = admit([...running.values()].map(({ beganMs }) => ({ ageMs: now - beganMs })))
    if (!free.ok) {
      if (performance.now() - refusalLoggedAt > REFUSALS_LOGGED_EVERY_MS) {
        refusalLoggedAt = performance.now()
        log.info({ because: free.because, running: running.size }, 'no meeting more is taken')
      }
      return 'nothing'
    }
    return takeDue(deps, ({ attempt, beside }) => start(attempt, beside))
  }

  function start(attempt: Attempt, beside: boolean): void {
    const child = spawnRecording(attempt.id, beside, deps.databaseUrl, log)
    const inChildsPlace = new AbortController()
    const stopBeating = () => inChildsPlace.abort()
    void Promise.race([child.beats, child.exit]).then(stopBeating, stopBeating)
    const beating = beatFor(attempt.id, inChildsPlace.signal)
    const over = child.exit.then(async exit => {
      await beating
      if (exit.code !== 0) log.error({ attempt: attempt.id, ...exit }, 'the recording process died')
      await writeEnd(attempt)
      running.delete(attempt.id)
    })
    running.set(attempt.id, { child, beganMs: performance.now(), over })
  }

  // On a busy machine a child takes longer to load than silence may last. Taken for dead it would be started anew, and
  // make the machine busier still.
  async function beatFor(attemptId: string, signal: AbortSignal): Promise<void> {
    const untilMs = performance.now() + CHILD_LOADS_MS
    while (!signal.aborted && performance.now() < untilMs) {
      try {
        await withTimeout(beat(db, attemptId, null), BEAT_MS, 'a sign of life')
      } catch (error) {
        log.warn(
          { error, attempt: attemptId },
          'no sign of life could be written for a child that is loading',
        )
      }
      await clock.sleep(BEAT_MS, signal).catch(() => undefined)
    }
  }

  // A child that died before it could write leaves its row open; one that wrote is left as it is.
  async function writeEnd(attempt: Attempt): Promise<void> {
    const diedAt = new Date(clock.now())
    for (let tries = 1; ; tries++) {
      try {
        const conclusion = await db.transaction(tx =>
          concludeAttempt(tx, deps.config, attempt, { ending: 'recorder_died', at: diedAt }, clock.now()),
        )
        if (conclusion.kind !== 'lost')
          log.warn({ attempt: attempt.id, ...conclusion }, 'a dead attempt is closed')
        return await sendOwed(deps, attempt.recordingId)
      } catch (error) {
        log.warn({ error, attempt: attempt.id }, 'the end of an attempt cannot be written yet')
        // Its count of beats stands still: whoever watches closes it.
        if (tries >= WRITE_TRIES) return
        await clock.sleep(WRITE_AGAIN_MS)
      }
    }
  }

  return {
    async takeUntil(signal) {
      let gaveBack = false
      while (!signal.aborted) {
        const found = await takeOne().catch((error: unknown) => {
          log.warn({ error }, 'no due meeting can be looked for')
          return 'nothing' as const
        })
        if (found === 'gave_back') gaveBack = true
        if (found !== 'nothing') continue
        await clock.sleep(gaveBack ? LEAVE_TO_OTHERS_MS : POLL_MS, signal).catch(() => undefined)
        gaveBack = false
      }
    },
    count: () => running.size,
    pids: () => [...running.values()].flatMap(({ child }) => child.pid ?? []),
    async handOver() {
      for (const attemptId of running.keys()) {
        const offered = await db.transaction(tx => offerHandover(tx, attemptId))
        if (!offered) continue
        log.info({ attempt: attemptId }, 'another recorder is called to take over')
        await db.transaction(tx =>
          jobs.send(
            tx,
            'record-meeting',
            { meetingId: offered.meetingId, lane: offered.lane },
            { key: recordJobKey(offered.meetingId, offered.lane) },
          ),
        )
      }
    },
    leave(ending) {
      for (const { child } of running.values()) child.leave(ending)
    },
    async settled() {
      while (running.size > 0) await Promise.all([...running.values()].map(({ over }) => over))
    },
  }
}
