import type { CalendarEvent } from '../../google/calendar-event.ts'
import { GoogleFault, isFault } from '../../google/fault.ts'
import { backoffMs } from '../../google/retry.ts'
import { type FollowingDeps, LostEvent } from './following-deps.ts'

/** Calendar may need a moment to find what was just written (google-apis.md §1.10). */
const NOT_FOUND_TRIES = 3
/** A cancellation reaches the calendars of guests a moment after the organizer's. */
const GUESTS_LEARN_MS = 2000

type ReadingDeps = Pick<FollowingDeps, 'google' | 'settings' | 'clock' | 'log'>

/**
 * What an event says now. Cancelled is what Google calls so (its status, or 410), in this calendar and in the bot's: an
 * event that was moved into another calendar is still there as the one to which the bot is invited, under the same id.
 * @param event as a list showed it; where that says cancelled, an event that is not found is
 * @throws {LostEvent} for one that Google does not find although nobody has cancelled it; {GoogleFault}
 */
export async function readNow(
  deps: ReadingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<CalendarEvent> {
  const fresh = await readPatiently(deps, calendar, event, signal)
  if (fresh.status !== 'cancelled') return fresh
  return (await readAsBot(deps, calendar, event.eventId, signal)) ?? fresh
}

/**
 * The same for an event that no list has shown.
 * @returns undefined where Google does not find it: nothing follows from that
 * @throws {GoogleFault}
 */
export async function readById(
  deps: ReadingDeps,
  calendar: string,
  eventId: string,
  signal: AbortSignal,
): Promise<CalendarEvent | undefined> {
  try {
    return await readNow(deps, calendar, unseen(eventId), signal)
  } catch (error) {
    if (!(error instanceof LostEvent)) throw error
    // Nobody loses a recording by a bot that comes for nothing.
    deps.log.error({ calendar, eventId }, 'Google does not find the event of a meeting, which is kept')
    return undefined
  }
}

async function readPatiently(
  { google, clock }: ReadingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<CalendarEvent> {
  const { eventId } = event
  for (let tries = 1; ; tries++) {
    try {
      return await google.events.readEvent({ subject: calendar }, eventId, signal)
    } catch (error) {
      if (isFault(error, 'gone')) return { ...event, status: 'cancelled' }
      if (!isFault(error, 'not_found')) throw error
      if (event.status === 'cancelled') return event
      if (tries >= NOT_FOUND_TRIES) throw new LostEvent(`Google does not find the event ${eventId}`)
      await clock.sleep(backoffMs(tries - 1), signal)
    }
  }
}

/** The event as the bot has it as a guest, where it is alive there with a link. A bot outside of the domain has no word. */
async function readAsBot(
  { google, settings, clock, log }: ReadingDeps,
  calendar: string,
  eventId: string,
  signal: AbortSignal,
): Promise<CalendarEvent | undefined> {
  const subject = settings.botEmail
  if (subject === undefined || subject.toLowerCase() === calendar) return undefined
  const look = async () => {
    try {
      const event = await google.events.readEvent({ subject }, eventId, signal)
      return event.status !== 'cancelled' && event.conference.status === 'success' ? event : undefined
    } catch (error) {
      if (!(error instanceof GoogleFault) || error.retryable) throw error
      return undefined
    }
  }
  if (!(await look())) return undefined
  await clock.sleep(GUESTS_LEARN_MS, signal)
  const event = await look()
  if (event) log.info({ calendar, eventId }, 'an event left this calendar and is alive in another one')
  return event
}

/** An event of which nothing is known but its id. */
function unseen(eventId: string): CalendarEvent {
  return {
    eventId,
    status: 'confirmed',
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
