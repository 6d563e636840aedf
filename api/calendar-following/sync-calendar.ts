import { findCancelled } from '../../db/find-followed.ts'
import {
  distrustChannels,
  type FollowedCalendar,
  findFollowed,
  keepSoon,
  noteSynced,
  noteSyncFailed,
  readWholeSoon,
} from '../../db/followed-calendars.ts'
import type { Jobs } from '../../db/jobs.ts'
import type { CalendarChangeList } from '../../google/calendar-changes.ts'
import { GoogleFault, isFault } from '../../google/fault.ts'
import { followEvent, splitsFirst } from './follow-event.ts'
import { type Following, followMissing } from './follow-missing.ts'
import { BusyMeeting, type FollowingDeps, LostEvent } from './following-deps.ts'

/** Everything is read anew this often, whatever is told: nothing stays unnoticed longer. */
const WHOLE_EVERY_MS = 86_400_000
/** What ended longer ago is of no interest any more. */
const LOOK_BACK_MS = 86_400_000
/** An event that cannot be followed holds up the others for this many readings. */
const MOST_FAILURES = 5
/** So many events of which Google says that it is away: so it is. */
const AWAY_AFTER = 3
/** After that many readings that ended so, it is rather these events that Google has no answer to. */
const MOST_AWAY = 3
const AWAY_AFTER_THEN = 20
const FIRST_RETRY_MS = 2000
const LONGEST_RETRY_MS = 600_000
/** A push that has not come after this long, or after a quarter of the time between two polls, does not come. */
const PUSH_WITHIN_MS = 60_000

/**
 * The job `sync-calendar`: reads what changed in a calendar since the last time and follows it. Where it goes on next is
 * noted only when all of it has been followed, so that after a crash it is read again; following twice is following once.
 */
export async function syncCalendar(
  deps: FollowingDeps,
  { calendar, because }: Jobs['sync-calendar'],
  signal: AbortSignal,
): Promise<void> {
  const row = await findFollowed(deps.db, calendar)
  if (!row) return
  try {
    await readAndFollow(deps, row, because, signal)
  } catch (error) {
    signal.throwIfAborted()
    const isPassing =
      error instanceof BusyMeeting ||
      error instanceof LostEvent ||
      (error instanceof GoogleFault && error.retryable)
    const waitMs = retryMs(deps, row, error, isPassing)
    const details = { calendar, error, failures: row.failures + 1, waitMs }
    if (isPassing) deps.log.warn(details, 'a calendar could not be followed; it is tried again')
    else deps.log.error(details, 'a calendar could not be followed')
    const next = new Date(deps.clock.now() + waitMs)
    await noteSyncFailed(deps.db, row, { error: messageOf(error), next })
  }
}

async function readAndFollow(
  deps: FollowingDeps,
  row: FollowedCalendar,
  because: 'push' | 'poll',
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, log, settings } = deps
  const { calendar } = row
  const began = clock.now()
  const { list, whole } = await readChanges(deps, row, signal)
  const failures: unknown[] = []
  let unavailable = 0
  const following: Following = async (eventId, work) => {
    signal.throwIfAborted()
    try {
      await work()
    } catch (error) {
      signal.throwIfAborted()
      if (isFault(error, 'unavailable')) unavailable += 1
      // The other events would fare no better.
      if (unavailable >= (row.failures < MOST_AWAY ? AWAY_AFTER : AWAY_AFTER_THEN)) throw error
      log.warn({ calendar, eventId, error }, 'a change in the calendar could not be followed')
      failures.push(error)
    }
  }
  const followAll = async () => {
    for (const event of splitsFirst(list.events))
      await following(event.eventId, () => followEvent(deps, calendar, event, signal))
  }
  await followAll()
  if (whole) await followMissing(deps, calendar, list.events, following, signal)
  // Also by a reading that failed or died after that.
  const cancelled = await findCancelled(db, calendar, row.syncedAt ?? new Date(began))
  // What was left out because another meeting was known to be the same call may have lost that one, in any calendar.
  if (cancelled) await followAll()
  if (cancelled?.wasCaptured) {
    const others = settings.captureCalendars.filter(other => other !== calendar)
    await readWholeSoon(db, others, new Date(clock.now()))
  }
  const [failure] = failures
  if (failure !== undefined && row.failures < MOST_FAILURES) throw failure
  if (failure !== undefined)
    log.error({ calendar, failures: failures.length }, 'CHANGES IN A CALENDAR WERE NOT FOLLOWED')
  const now = clock.now()
  await noteSynced(db, row, {
    ...{ token: list.syncToken, whole },
    isLeft: failure !== undefined,
    now: new Date(began),
    next: new Date(now + settings.pollMs),
  })
  await lookAfter(deps, row, list, { because, whole, now })
}

async function readChanges(
  { google, clock, log }: FollowingDeps,
  row: FollowedCalendar,
  signal: AbortSignal,
): Promise<{ list: CalendarChangeList; whole: boolean }> {
  const of = { subject: row.calendar }
  const now = clock.now()
  const isDue = row.wholeAt === null || now - row.wholeAt.getTime() >= WHOLE_EVERY_MS
  if (row.syncToken !== null && !isDue) {
    try {
      return {
        list: await google.changes.readChanges(of, { syncToken: row.syncToken }, signal),
        whole: false,
      }
    } catch (error) {
      if (!isFault(error, 'sync_token_expired')) throw error
      log.info({ calendar: row.calendar }, 'Google does not know any more what changed: everything is read')
    }
  }
  const from = new Date(now - LOOK_BACK_MS)
  return { list: await google.changes.readChanges(of, { from }, signal), whole: true }
}

/** What a reading says of the channel and the subscription beside it. */
async function lookAfter(
  { db, settings, log }: FollowingDeps,
  row: FollowedCalendar,
  { events }: CalendarChangeList,
  { because, whole, now }: { because: 'push' | 'poll'; whole: boolean; now: number },
): Promise<void> {
  const { calendar } = row
  const patienceMs = Math.min(PUSH_WITHIN_MS, settings.pollMs / 4)
  const late = events.some(({ updatedAt }) => updatedAt && now - updatedAt.getTime() > patienceMs)
  // Between two readings: after a failed one the push may have come and been in vain.
  const noPush = because === 'poll' && !whole && late && row.failures === 0 && settings.pushTo !== undefined
  if (noPush && (await distrustChannels(db, calendar, new Date(now)))) {
    log.warn({ calendar }, 'a change came without a push: another channel is opened')
    await keepSoon(db, calendar, new Date(now))
  } else if (settings.topic !== undefined && row.googleUserId === null && events.length > 0)
    await keepSoon(db, calendar, new Date(now))
}

function retryMs(
  { settings }: FollowingDeps,
  { failures }: FollowedCalendar,
  error: unknown,
  isPassing: boolean,
): number {
  const growing = FIRST_RETRY_MS * 2 ** Math.min(12, failures)
  const most = isPassing ? Math.min(settings.pollMs, LONGEST_RETRY_MS) : LONGEST_RETRY_MS
  const asked = error instanceof GoogleFault ? (error.retryAfterSeconds ?? 0) * 1000 : 0
  return Math.max(Math.min(growing, most), asked)
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 500)
}
