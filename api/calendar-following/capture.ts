import { sql } from 'drizzle-orm'
import { isTimeZone } from '../../calendar/wall-time.ts'
import {
  findCapturer,
  findMeetingByEvent,
  findOwner,
  isKnownCall,
  listCaptured,
} from '../../db/find-followed.ts'
import { linkFound } from '../../db/meeting-following.ts'
import { insertMeeting, type MeetingRow } from '../../db/meetings.ts'
import { newRowId } from '../../db/row-id.ts'
import { listAhead } from '../../db/series-following.ts'
import { announceMeeting } from '../../db/webhooks.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { sendBot } from '../send-bot.ts'
import { bringBot } from './bring-bot.ts'
import { descriptionOf, guestsOf, isDeclined, peopleOf, topicOf } from './compare-event.ts'
import { followMeeting } from './follow-meeting.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'

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
  // Only of those with a link: nobody wonders why a holiday is not recorded.
  if (event.days && event.status !== 'cancelled' && event.conference.status === 'success')
    deps.log.info(
      { calendar, eventId: event.eventId, days: event.days },
      'an event of a captured calendar that lasts whole days is not recorded',
    )
  if (event.recurrence.length > 0) return captureInstances(deps, calendar, event, signal)
  await captureOne(deps, calendar, event, signal, { masterId: event.eventId })
}

/**
 * Makes a meeting of each instance of a recurring event that has none, as Google expands it, and follows those that have
 * one.
 * @param of the series whose event it is, where it has one; whose meetings they become, where that is known
 * @throws {GoogleFault}
 */
export async function captureInstances(
  deps: FollowingDeps,
  calendar: string,
  master: CalendarEvent,
  signal: AbortSignal,
  of: { seriesId?: string; organizationId?: string } = {},
): Promise<void> {
  const { seriesId, organizationId } = of
  const now = new Date(deps.clock.now())
  const range = { from: now, to: new Date(now.getTime() + HORIZON_MS) }
  const instances =
    master.status === 'cancelled'
      ? []
      : await deps.google.events.listInstances({ subject: calendar }, master.eventId, range, signal)
  for (const instance of instances) {
    const known = await findMeetingByEvent(deps.db, calendar, instance.eventId)
    if (known) {
      await bringBot(deps, calendar, instance, known, signal)
      await followMeeting(deps, calendar, instance, known, signal)
    } else await captureOne(deps, calendar, instance, signal, { masterId: master.eventId, organizationId })
  }
  const there = new Set(instances.map(({ eventId }) => eventId))
  const captured = await listCaptured(deps.db, calendar, now, master.eventId)
  const ofSeries = seriesId === undefined ? [] : await listAhead(deps.db, seriesId, now)
  for (const meeting of [...captured, ...ofSeries])
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
  { masterId, organizationId: owner }: { masterId: string; organizationId?: string | undefined },
): Promise<void> {
  const { db, log, clock } = deps
  const { start, end, conference, eventId } = event
  const now = clock.now()
  if (event.status === 'cancelled' || !start || !end || end.getTime() <= now) return
  if (conference.status !== 'success' || isDeclined(event, calendar)) return
  const { joinUrl, meetingCode } = conference
  const call = { eventId, meetingCode, startsAt: start }
  if (start.getTime() > now + HORIZON_MS && event.seriesId !== null) return
  if (await isKnownCall(db, call)) return
  const organizationId = owner ?? (await organizationFor(deps, calendar, masterId))
  if (organizationId === undefined) {
    log.error(
      { calendar },
      'what is captured in this calendar belongs to no organisation: set TESTIGO_CAPTURE_ORGANIZATION',
    )
    return
  }
  const id = newRowId()
  // Before anything is asked of Google that it may refuse for an hour.
  const made = await db.transaction(async tx => {
    // The same call may stand in two calendars, which two processes may be reading.
    await tx.execute(sql`select pg_advisory_xact_lock(hashtext(${`capture:${meetingCode}`}))`)
    if (await isKnownCall(tx, call)) return undefined
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
    const link = { joinUrl, meetingCode, spaceName: null, calendarSeries: event.seriesId }
    const linked = await linkFound(tx, id, link)
    await announceMeeting(tx, 'meeting.created', linked, { at: new Date(now) })
    await sendBot(deps, tx, linked, now)
    return linked
  })
  if (!made) return
  log.info({ calendar, meetingId: id }, 'an event of a captured calendar will be recorded')
  await bringBot(deps, calendar, event, made, signal)
}

/** Whose the meetings of an event are: of whom its other instances are, or else of the organisation that is set. */
async function organizationFor(
  { db, settings }: FollowingDeps,
  calendar: string,
  eventId: string,
): Promise<string | undefined> {
  const { captureOrganization: name } = settings
  return (
    (await findOwner(db, calendar, eventId)) ??
    findCapturer(db, name === undefined ? { domain: calendar.split('@')[1] ?? '' } : { name })
  )
}
