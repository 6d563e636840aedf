import { TimedOut, withTimeout } from '../clock.ts'
import { findForgotten } from '../db/forgotten.ts'
import type { OpenJobs } from '../db/jobs.ts'
import type { MeetingLocks } from '../db/meeting-locks.ts'
import type { MeetingToProvision } from '../db/meeting-provisioning.ts'
import { type Actor, noteMeetingEvent } from '../db/meetings.ts'
import { ProviderFault } from './providers/meeting-provider.ts'
import type { ProvisionDeps } from './provision-deps.ts'
import { provisionMeeting } from './provision-meeting.ts'
import { expandAllSeries } from './series/expand-series.ts'
import { provisionSeries } from './series/provision-series.ts'

/** How an attempt to tell Google at once went. What did not work goes on as a job; the row says what is wanted. */
export type ProvisionOutcome =
  /** With the meeting as it is then, where that is known. */
  | { kind: 'done'; meeting?: MeetingToProvision | undefined }
  | { kind: 'refused'; fault: ProviderFault }
  | { kind: 'unavailable'; retryAfterSeconds: number }

export interface Provisioning {
  /**
   * Tells Google now and waits at most `limitMs`.
   * @param writing waits for a meeting that is only being written, and gives it as it was committed. It is locked meanwhile
   */
  atOnce(
    meeting: { id: string; organizationId: string },
    actor: Actor,
    limitMs: number,
    writing?: () => Promise<MeetingToProvision | undefined>,
  ): Promise<ProvisionOutcome>
  /** The same for a series: its event, and the links of its meetings. */
  seriesAtOnce(series: { id: string }, actor: Actor, limitMs: number): Promise<ProvisionOutcome>
  /** Takes `provision-meeting` and `provision-series` jobs, makes them for what lost its own, and makes the meetings of series that come into reach. */
  start(): Promise<void>
  /** Gives work on its way `graceMs` to end, then cuts it off; its job takes it up again. */
  close(graceMs: number): Promise<void>
}

/** How long after a request its job is due: the request itself should have told Google by then. */
export const JOB_DELAY_MS = 15_000

const JOBS_AT_ONCE = 4
const JOB_WAITS_FOR_LOCK_MS = 1000
const RETRY_AFTER_SECONDS = 15
const LOOK_FOR_FORGOTTEN_MS = 60_000
const FORGOTTEN_AFTER_MS = 120_000
const FORGOTTEN_AT_ONCE = 100
const EXPAND_EVERY_MS = 3_600_000

export function createProvisioning(
  deps: ProvisionDeps & {
    jobs: Pick<OpenJobs, 'send' | 'sendMany' | 'withdraw' | 'work'>
    locks: MeetingLocks
  },
): Provisioning {
  const { db, jobs, locks, clock, log } = deps
  const closing = new AbortController()
  const running = new Set<Promise<unknown>>()
  let forgottenTimer: NodeJS.Timeout | undefined
  let expandTimer: NodeJS.Timeout | undefined

  function owned<T>(work: Promise<T>): Promise<T> {
    running.add(work)
    // How it ended is for the one who awaits `work`.
    const forget = () => running.delete(work)
    work.then(forget, forget)
    return work
  }

  // A change made in the very moment in which a job ends finds that job still there, and would be left with none.
  async function sendForgotten(): Promise<void> {
    const before = new Date(clock.now() - FORGOTTEN_AFTER_MS)
    const ids = await findForgotten(db, 'provision-meeting', before, FORGOTTEN_AT_ONCE)
    for (const meetingId of ids) {
      log.warn({ meetingId }, 'a meeting that Google does not know yet had no job; it has one again')
      await db.transaction(tx => jobs.send(tx, 'provision-meeting', { meetingId }, { key: meetingId }))
    }
    for (const seriesId of await findForgotten(db, 'provision-series', before, FORGOTTEN_AT_ONCE)) {
      log.warn({ seriesId }, 'a series that Google does not know yet had no job; it has one again')
      await db.transaction(tx => jobs.send(tx, 'provision-series', { seriesId }, { key: seriesId }))
    }
  }

  function expand(): void {
    owned(expandAllSeries(deps)).catch((error: unknown) =>
      log.error({ error }, 'meetings of series could not be made ahead'),
    )
  }

  async function tellByJob(
    id: string,
    taken: AbortSignal,
    tell: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    const signal = AbortSignal.any([closing.signal, taken])
    const work = locks.alone(id, JOB_WAITS_FOR_LOCK_MS, () => tell(signal))
    const answer = await owned(work).catch((error: unknown) => {
      log.warn({ id, error }, 'Google was not told; the job tries again')
      throw error
    })
    if (answer === 'busy') throw new Error('another process tells Google of this right now')
  }

  async function tellAtOnce(
    id: string,
    limitMs: number,
    {
      tell,
      noteFault,
    }: {
      tell(): Promise<MeetingToProvision | undefined>
      noteFault?(fault: ProviderFault): Promise<void>
    },
  ): Promise<ProvisionOutcome> {
    const work = owned(locks.alone(id, limitMs, tell))
    try {
      const answer = await withTimeout(work, limitMs, 'telling Google of the meeting')
      return answer === 'busy'
        ? { kind: 'unavailable', retryAfterSeconds: RETRY_AFTER_SECONDS }
        : { kind: 'done', meeting: answer }
    } catch (error) {
      if (error instanceof TimedOut) {
        work.catch((late: unknown) => log.warn({ id, error: late }, 'Google was not told'))
        return { kind: 'unavailable', retryAfterSeconds: RETRY_AFTER_SECONDS }
      }
      if (closing.signal.aborted) return { kind: 'unavailable', retryAfterSeconds: RETRY_AFTER_SECONDS }
      if (!(error instanceof ProviderFault)) throw error
      const { retryable, retryAfterSeconds } = error
      log.warn({ id, error }, 'Google was not told; the job goes on trying')
      await noteFault?.(error)
      if (!retryable) return { kind: 'refused', fault: error }
      return { kind: 'unavailable', retryAfterSeconds: retryAfterSeconds ?? RETRY_AFTER_SECONDS }
    }
  }

  return {
    atOnce: (meeting, actor, limitMs, writing) =>
      tellAtOnce(meeting.id, limitMs, {
        tell: async () =>
          provisionMeeting(deps, meeting.id, { actor, signal: closing.signal, written: await writing?.() }),
        noteFault: ({ service, code, reason }) =>
          noteMeetingEvent(db, meeting, actor, 'meeting.google_failed', { service, code, reason }),
      }),

    seriesAtOnce: ({ id }, actor, limitMs) =>
      tellAtOnce(id, limitMs, {
        tell: async () => {
          await provisionSeries(deps, id, { actor, signal: closing.signal })
          return undefined
        },
      }),

    async start() {
      await jobs.work('provision-meeting', { atOnce: JOBS_AT_ONCE }, ({ meetingId }, job) =>
        tellByJob(meetingId, job.signal, signal =>
          provisionMeeting(deps, meetingId, { actor: 'job:provision-meeting', signal }),
        ),
      )
      await jobs.work('provision-series', { atOnce: 1 }, ({ seriesId }, job) =>
        tellByJob(seriesId, job.signal, signal =>
          provisionSeries(deps, seriesId, { actor: 'job:provision-series', signal }),
        ),
      )
      expandTimer = setInterval(expand, EXPAND_EVERY_MS).unref()
      expand()
      forgottenTimer = setInterval(() => {
        owned(sendForgotten()).catch((error: unknown) =>
          log.error({ error }, 'meetings without a job could not be looked for'),
        )
      }, LOOK_FOR_FORGOTTEN_MS).unref()
    },

    async close(graceMs) {
      clearInterval(forgottenTimer)
      clearInterval(expandTimer)
      const cutOff = setTimeout(() => closing.abort(new Error('the process stops')), graceMs)
      await Promise.allSettled([...running])
      clearTimeout(cutOff)
    },
  }
}
