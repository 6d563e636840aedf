import { repeat, within } from '../../clock.ts'
import { followCalendars, takeDue } from '../../db/followed-calendars.ts'
import { followCall } from '../call-following/follow-call.ts'
import type { FollowingDeps } from './following-deps.ts'
import { keepCalendar, wantedCalendars } from './keep-calendar.ts'
import { syncCalendar } from './sync-calendar.ts'

const LONGEST_TICK_MS = 2000
const SHORTEST_TICK_MS = 250
/** A job that was lost with its process is sent again after this long. */
const RESEND_AFTER_MS = 120_000

/**
 * Follows the calendars in which meetings are made, and those that are captured, until closed: readings and upkeep are
 * jobs, sent when they are due. Any number of processes may do so side by side.
 */
export async function startFollowing(
  deps: FollowingDeps,
): Promise<{ close(graceMs: number): Promise<void> }> {
  const { db, jobs, clock, log, settings } = deps
  const cutOff = new AbortController()
  const running = new Set<Promise<void>>()
  const tickMs = Math.max(SHORTEST_TICK_MS, Math.min(LONGEST_TICK_MS, settings.pollMs / 2))

  function owned(work: Promise<void>): Promise<void> {
    running.add(work)
    const forget = () => running.delete(work)
    // How it ended is for the one who awaits `work`.
    work.then(forget, forget)
    return work
  }
  const until = (taken: AbortSignal) => AbortSignal.any([cutOff.signal, taken])

  async function sendDue(): Promise<void> {
    const now = clock.now()
    await followCalendars(db, [...(await wantedCalendars(deps))], new Date(now))
    await db.transaction(async tx => {
      const nextSync = new Date(now + Math.max(settings.pollMs, SHORTEST_TICK_MS))
      for (const calendar of await takeDue(tx, 'syncAt', { now: new Date(now), next: nextSync }))
        await jobs.send(tx, 'sync-calendar', { calendar, because: 'poll' }, { key: calendar })
      const nextKeep = new Date(now + RESEND_AFTER_MS)
      for (const calendar of await takeDue(tx, 'upkeepAt', { now: new Date(now), next: nextKeep }))
        await jobs.send(tx, 'keep-calendar', { calendar }, { key: calendar })
    })
  }

  await jobs.work('sync-calendar', { atOnce: 2, pollMs: 500 }, (payload, job) =>
    owned(syncCalendar(deps, payload, until(job.signal))),
  )
  await jobs.work('keep-calendar', { atOnce: 1 }, ({ calendar }, job) =>
    owned(keepCalendar(deps, calendar, until(job.signal))),
  )
  await jobs.work('follow-call', { atOnce: 2 }, ({ event }, job) =>
    owned(followCall(deps, event, until(job.signal))),
  )
  const looking = repeat(
    tickMs,
    async () => {
      await sendDue()
      return 'pause'
    },
    error => log.error({ error }, 'calendars that are due could not be looked for'),
  )
  return {
    async close(graceMs) {
      const ended = looking.close()
      for (const name of ['sync-calendar', 'keep-calendar', 'follow-call'] as const)
        await jobs.stopTaking(name)
      await within(graceMs, Promise.allSettled([ended, ...running]))
      cutOff.abort(new Error('the process stops'))
      await Promise.allSettled([...running])
    },
  }
}
