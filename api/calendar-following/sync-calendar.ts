import {
  distrustChannels,
  type FollowedCalendar,
  findFollowed,
  keepSoon,
  noteSynced,
  noteSyncFailed,
} from '../../db/followed-calendars.ts'
import type { Jobs } from '../../db/jobs.ts'
import {
  findMeetingByEvent,
  findOccurrence,
  findSeriesAt,
  findSeriesByEvent,
  listActiveSeries,
  listCaptured,
  listUpcomingSingles,
} from '../../db/meeting-following.ts'
import type { CalendarChangeList } from '../../google/calendar-changes.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { GoogleFault, isFault } from '../../google/fault.ts'
import { captureEvent, isCaptured } from './capture.ts'
import { BusyMeeting, followFarInstance, followMeeting } from './follow-meeting.ts'
import { followSeries, followSplit } from './follow-series.ts'
import type { FollowingDeps } from './following-deps.ts'

/** Everything is read anew this often, whatever is told: nothing stays unnoticed longer. */
const WHOLE_EVERY_MS = 86_400_000
/** What ended longer ago is of no interest any more. */
const LOOK_BACK_MS = 86_400_000
/** An event that cannot be followed holds up the others for this many readings. */
const MOST_FAILURES = 5
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
    const isPassing = error instanceof BusyMeeting || (error instanceof GoogleFault && error.retryable)
    const waitMs = retryMs(deps, row, error, isPassing)
    const details = { calendar, error, failures: row.failures + 1, waitMs }
    if (isPassing) deps.log.warn(details, 'a calendar could not be followed; it is tried again')
    else deps.log.error(details, 'a calendar could not be followed')
    const next = new Date(deps.clock.now() + waitMs)
    await noteSyncFailed(deps.db, calendar, { error: messageOf(error), next })
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
  const following = async (eventId: string, work: () => Promise<void>) => {
    signal.throwIfAborted()
    try {
      await work()
    } catch (error) {
      signal.throwIfAborted()
      // Google is away: the other events would fare no better.
      if (error instanceof GoogleFault && error.code === 'unavailable') throw error
      log.warn({ calendar, eventId, error }, 'a change in the calendar could not be followed')
      failures.push(error)
    }
  }
  for (const event of splitsFirst(list.events))
    await following(event.eventId, () => followEvent(deps, calendar, event, signal))
  if (whole) await followMissing(deps, calendar, list.events, following, signal)
  const [failure] = failures
  if (failure !== undefined && row.failures < MOST_FAILURES) throw failure
  if (failure !== undefined)
    log.error({ calendar, failures: failures.length }, 'CHANGES IN A CALENDAR WERE NOT FOLLOWED')
  const now = clock.now()
  const next = new Date(now + settings.pollMs)
  await noteSynced(db, calendar, {
    ...{ from: row.syncToken, token: list.syncToken, whole, next },
    now: new Date(began),
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

async function followEvent(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<void> {
  const { db } = deps
  const { seriesId, originalStart, eventId } = event
  const series = await findSeriesByEvent(db, calendar, seriesId ?? eventId)
  if (series && seriesId === null) return followSeries(deps, calendar, event, series, signal)
  const meeting =
    series && originalStart
      ? await findOccurrence(db, series.id, originalStart)
      : await findMeetingByEvent(db, calendar, eventId)
  if (meeting) return followMeeting(deps, calendar, event, meeting, signal)
  if (series) return followFarInstance(deps, calendar, event, series, signal)
  const from = await splitFrom(deps, calendar, event)
  if (from) return followSplit(deps, calendar, event, from, signal)
  if (isCaptured(deps, calendar)) await captureEvent(deps, calendar, event, signal)
}

/** The series that a recurring event was split off, in the calendar: it keeps what marks the event as ours. */
async function splitFrom({ db }: FollowingDeps, calendar: string, event: CalendarEvent) {
  const { recurrence, status, meetingId } = event
  if (recurrence.length === 0 || status === 'cancelled' || meetingId === null) return undefined
  return findSeriesAt(db, calendar, meetingId)
}

// What a series lost to another one has to be taken over before it counts as gone.
function splitsFirst(events: readonly CalendarEvent[]): CalendarEvent[] {
  const rank = ({ recurrence, eventId, status }: CalendarEvent) => {
    if (recurrence.length === 0) return status === 'cancelled' ? 3 : 2
    return /_R\d/.test(eventId) ? 0 : 1
  }
  return events.toSorted((a, b) => rank(a) - rank(b))
}

/** In a reading of everything, what was deleted long ago is not there: each of these is asked for. */
async function followMissing(
  deps: FollowingDeps,
  calendar: string,
  events: readonly CalendarEvent[],
  following: (eventId: string, work: () => Promise<void>) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, google } = deps
  const now = new Date(clock.now())
  const there = new Set(events.map(({ eventId }) => eventId))
  const missing = async (eventId: string, follow: (event: CalendarEvent) => Promise<void>) => {
    if (there.has(eventId)) return
    await following(eventId, async () => {
      const event = await google.events.readEvent({ subject: calendar }, eventId, signal).catch(error => {
        if (isFault(error, 'not_found') || isFault(error, 'gone')) return bare(eventId)
        throw error
      })
      await follow(event)
    })
  }
  for (const { eventId } of await listUpcomingSingles(db, calendar, now))
    await missing(eventId, event => followEvent(deps, calendar, event, signal))
  for (const series of await listActiveSeries(db, calendar))
    await missing(series.eventId, event => followSeries(deps, calendar, event, series, signal))
  const captured = await listCaptured(db, calendar, now)
  for (const eventId of new Set(captured.flatMap(meeting => meeting.calendarSeries ?? [])))
    await missing(eventId, event => captureEvent(deps, calendar, { ...event, recurrence: ['RRULE'] }, signal))
}

/** An event of which nothing is left. */
function bare(eventId: string): CalendarEvent {
  return {
    eventId,
    status: 'cancelled',
    seriesId: null,
    originalStart: null,
    recurrence: [],
    start: null,
    end: null,
    days: null,
    timeZone: null,
    topic: '',
    description: '',
    location: null,
    organizerEmail: null,
    isOrganizer: false,
    attendees: [],
    attendeesComplete: false,
    conference: { status: 'absent' },
    meetingId: null,
    etag: '',
    updatedAt: null,
    sequence: 0,
    iCalUid: null,
    htmlLink: null,
  }
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
