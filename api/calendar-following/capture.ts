import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { isTimeZone } from '../../calendar/wall-time.ts'
import {
  findCapturer,
  findMeetingByEvent,
  isKnownCall,
  linkFound,
  listCaptured,
} from '../../db/meeting-following.ts'
import { insertMeeting, type MeetingRow } from '../../db/meetings.ts'
import { announceMeeting } from '../../db/webhooks.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { GoogleFault } from '../../google/fault.ts'
import { sendBot } from '../send-bot.ts'
import { descriptionOf, guestsOf, isDeclined, peopleOf, topicOf } from './compare-event.ts'
import { ACTOR, followMeeting } from './follow-meeting.ts'
import type { FollowingDeps } from './following-deps.ts'

/** How far ahead instances of a recurring event become meetings; everything is read anew once a day. */
const HORIZON_MS = 60 * 86_400_000
const WITHOUT_TITLE = 'Reunión'

/** Whether all events of a calendar are recorded, also those that Testigo did not make. */
export function isCaptured({ settings }: Pick<FollowingDeps, 'settings'>, calendar: string): boolean {
  return settings.captureCalendars.includes(calendar)
}

/**
 * Makes a meeting of an event that Testigo did not make, or of each instance of a recurring one that comes within two
 * months. Left out: whole days, events without a Meet link, those that the owner of the calendar declined, and calls
 * that have a meeting already.
 * @throws {GoogleFault}
 */
export async function captureEvent(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<void> {
  if (event.recurrence.length > 0) return captureInstances(deps, calendar, event, signal)
  await captureOne(deps, calendar, event, signal, { inviteTo: event.eventId })
}

async function captureInstances(
  deps: FollowingDeps,
  calendar: string,
  master: CalendarEvent,
  signal: AbortSignal,
): Promise<void> {
  const now = deps.clock.now()
  const range = { from: new Date(now), to: new Date(now + HORIZON_MS) }
  const instances =
    master.status === 'cancelled'
      ? []
      : await deps.google.events.listInstances({ subject: calendar }, master.eventId, range, signal)
  for (const instance of instances) {
    const known = await findMeetingByEvent(deps.db, calendar, instance.eventId)
    if (known) await followMeeting(deps, calendar, instance, known, signal)
    else await captureOne(deps, calendar, instance, signal, { inviteTo: master.eventId })
  }
  const there = new Set(instances.map(({ eventId }) => eventId))
  for (const meeting of await listCaptured(deps.db, calendar, new Date(now), master.eventId))
    if (!there.has(meeting.eventId) && meeting.startsAt < range.to)
      await followMeeting(deps, calendar, goneEvent(master, meeting), meeting, signal)
}

/** An instance that its series does not show any more; what became of it is read before anything is done. */
function goneEvent(master: CalendarEvent, { eventId }: MeetingRow): CalendarEvent {
  return { ...master, eventId, status: 'cancelled' }
}

async function captureOne(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
  { inviteTo }: { inviteTo: string },
): Promise<void> {
  const { db, google, log, clock } = deps
  const { start, end, conference, eventId } = event
  const now = clock.now()
  if (event.status === 'cancelled' || !start || !end || end.getTime() <= now) return
  if (conference.status !== 'success' || isDeclined(event, calendar)) return
  const { joinUrl, meetingCode } = conference
  const call = { eventId, meetingCode, startsAt: start }
  if (start.getTime() > now + HORIZON_MS && event.seriesId !== null) return
  if (await isKnownCall(db, call)) return
  const organizationId = await organizationFor(deps, calendar)
  if (organizationId === undefined) {
    log.error(
      { calendar },
      'what is captured in this calendar belongs to no organisation: set TESTIGO_CAPTURE_ORGANIZATION',
    )
    return
  }
  await inviteBot(deps, calendar, event, inviteTo, signal)
  const spaceName = await google.spaces.findSpace(calendar, meetingCode, signal)
  const id = randomUUID()
  await db.transaction(async tx => {
    // The same call may stand in two calendars, which two processes may be reading.
    await tx.execute(sql`select pg_advisory_xact_lock(hashtext(${`capture:${meetingCode}`}))`)
    if (await isKnownCall(tx, call)) return
    await insertMeeting(
      tx,
      {
        ...{ id, organizationId, organizer: calendar, eventId, startsAt: start, endsAt: end },
        topic: topicOf(event) || WITHOUT_TITLE,
        description: descriptionOf(event),
        timeZone: event.timeZone && isTimeZone(event.timeZone) ? event.timeZone : 'UTC',
        ...{ externalId: null, relatedType: null, relatedId: null, customFields: null },
        ...{ patience: {}, redundancy: 1, reminders: [] },
        participants: peopleOf(guestsOf(event, { bots: deps.settings.bots }), []),
      },
      ACTOR,
    )
    const link = { joinUrl, meetingCode, spaceName, calendarSeries: event.seriesId }
    const made = await linkFound(tx, id, link)
    await announceMeeting(tx, 'meeting.created', made, { at: new Date(now) })
    await sendBot(deps, tx, made, now)
  })
  log.info({ calendar, meetingId: id }, 'an event of a captured calendar will be recorded')
}

async function organizationFor(
  { db, settings }: FollowingDeps,
  calendar: string,
): Promise<string | undefined> {
  const { captureOrganization: name } = settings
  return findCapturer(db, name === undefined ? { domain: calendar.split('@')[1] ?? '' } : { name })
}

/** Who is invited comes in without knocking, and everybody sees that the call is recorded. It may be refused to guests. */
async function inviteBot(
  { google, settings, log }: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  eventId: string,
  signal: AbortSignal,
): Promise<void> {
  const { botEmail } = settings
  if (
    botEmail === undefined ||
    event.attendees.some(({ email }) => email.toLowerCase() === botEmail.toLowerCase())
  )
    return
  try {
    const participants = event.attendees.map(({ email }) => ({ email }))
    await google.calendar.as(calendar).patchEvent(eventId, { participants }, signal)
  } catch (error) {
    if (!(error instanceof GoogleFault) || error.retryable) throw error
    const { code, reason } = error
    log.warn({ calendar, code, reason }, 'the bot could not be invited to an event: it will have to knock')
  }
}
