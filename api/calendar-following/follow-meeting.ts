import { randomUUID } from 'node:crypto'
import { isOccurrence } from '../../calendar/recurrence.ts'
import type { Transaction } from '../../db/connect.ts'
import {
  changeLink,
  findOccurrence,
  linkFound,
  noteFollowed,
  noteResponses,
  noteSeen,
  recordingStatusOf,
  reviveMeeting,
} from '../../db/meeting-following.ts'
import {
  auditMeeting,
  cancelMeeting,
  changeMeeting,
  insertMeeting,
  listInvited,
  lockMeeting,
  type MeetingRow,
} from '../../db/meetings.ts'
import {
  addException,
  insertOccurrences,
  lockSeries,
  noteOwnFields,
  type SeriesRow,
} from '../../db/series.ts'
import { isFinal } from '../../db/states.ts'
import { announceMeeting } from '../../db/webhooks.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { isFault } from '../../google/fault.ts'
import { sendBot } from '../send-bot.ts'
import { recurrenceOf } from '../series/occurrences.ts'
import { type Conflict, changesNothing, compareEvent, isDeclined } from './compare-event.ts'
import type { FollowingDeps } from './following-deps.ts'

/** As the log of a meeting and the audit log name changes that people made in the calendar. */
export const ACTOR = 'google'

/** Somebody else tells Google of the meeting right now: it is looked at again. */
export class BusyMeeting extends Error {
  readonly code = 'busy_meeting'
}

const WAIT_FOR_LOCK_MS = 5000

/**
 * Follows what happened to a meeting's event, a single one or an instance of a series. What the event says is read anew
 * while nobody else can tell Google of this meeting, so that an old reading never undoes a newer change. Repeating it
 * changes nothing.
 * @throws {BusyMeeting}; {GoogleFault}
 */
export async function followMeeting(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  meeting: MeetingRow,
  signal: AbortSignal,
): Promise<void> {
  if (!(await seemsChanged(deps, asHeld(event, meeting), meeting))) return
  const done = await deps.locks.alone(meeting.id, WAIT_FOR_LOCK_MS, async () => {
    const fresh = asHeld(await readAgain(deps, calendar, event, signal), meeting)
    await deps.db.transaction(tx => applyEvent(deps, tx, meeting, fresh))
  })
  if (done === 'busy') throw new BusyMeeting(`Somebody else works on the meeting ${meeting.id}`)
}

/**
 * Follows an instance of a series that no meeting has been made for yet: one that does not take place is never made, one
 * that is changed is made now.
 */
export async function followFarInstance(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  series: SeriesRow,
  signal: AbortSignal,
): Promise<void> {
  const { originalStart, eventId } = event
  if (!originalStart) return
  const made = await deps.db.transaction(async tx => {
    const row = await lockSeries(tx, series.id)
    if (row?.status !== 'active' || originalStart < row.expandedUntil) return undefined
    if (!isOccurrence(recurrenceOf(row), originalStart)) return undefined
    if (event.status === 'cancelled') {
      await addException(tx, row, originalStart)
      return undefined
    }
    const [meeting] = await insertOccurrences(tx, row, [{ originalStart, eventId }], ACTOR)
    if (!meeting || row.joinUrl === null) return meeting
    const now = deps.clock.now()
    await sendBot(deps, tx, meeting, now)
    await announceMeeting(tx, 'meeting.created', meeting, { at: new Date(now) })
    return meeting
  })
  const meeting = made ?? (await findOccurrence(deps.db, series.id, originalStart))
  if (meeting) await followMeeting(deps, calendar, event, meeting, signal)
}

/** What was found in a calendar and not asked for by a caller is recorded as long as its owner has not declined. */
function asHeld(event: CalendarEvent, { createdBy, organizer }: MeetingRow): CalendarEvent {
  const declined = isDeclined(event, organizer.toLowerCase())
  return createdBy === null && declined ? { ...event, status: 'cancelled' } : event
}

/** Most events that come are our own changes coming back: nothing is locked and nobody asked for those. */
async function seemsChanged(
  deps: FollowingDeps,
  event: CalendarEvent,
  meeting: MeetingRow,
): Promise<boolean> {
  const now = new Date(deps.clock.now())
  const isOver = meeting.status === 'cancelled' || meeting.status === 'ended'
  if (event.status === 'cancelled') return !isOver
  if (isOver) return takesPlaceAgain(meeting, event, now) !== undefined
  const invited = await listInvited(deps.db, meeting.id)
  const comparison = compareEvent(meeting, invited, event, { bots: deps.settings.bots, now })
  if (!changesNothing(comparison)) return true
  if (meeting.calendarSeen?.etag !== event.etag) await noteSeen(deps.db, meeting.id, comparison.seen)
  return false
}

/** What an event says now; one that is not there any more counts as cancelled. */
export async function readAgain(
  { google }: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<CalendarEvent> {
  try {
    return await google.events.readEvent({ subject: calendar }, event.eventId, signal)
  } catch (error) {
    if (isFault(error, 'not_found') || isFault(error, 'gone')) return { ...event, status: 'cancelled' }
    throw error
  }
}

async function applyEvent(
  deps: FollowingDeps,
  tx: Transaction,
  known: MeetingRow,
  event: CalendarEvent,
): Promise<void> {
  const now = new Date(deps.clock.now())
  // Always before its meetings, so that nobody waits in a circle.
  const series = known.seriesId === null ? undefined : await lockSeries(tx, known.seriesId)
  const meeting = await lockMeeting(tx, known.organizationId, known.id)
  if (!meeting) return
  if (event.status === 'cancelled') return applyCancellation(deps, tx, meeting, series, event, now)
  if (meeting.status === 'cancelled' || meeting.status === 'ended')
    return applyComeback(deps, tx, meeting, event, now)
  await applyChanges(deps, tx, meeting, event, now)
}

async function applyCancellation(
  { jobs }: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  series: SeriesRow | undefined,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  if (meeting.status === 'cancelled' || meeting.status === 'ended') return
  const isPending = meeting.syncedRevision < meeting.revision
  if (isPending) {
    const winner = event.updatedAt && event.updatedAt <= meeting.updatedAt ? 'caller' : 'calendar'
    await auditConflict(tx, meeting, event, { winner, fields: ['status'] })
    // Telling Google of the caller's change finds the event gone and makes another one.
    if (winner === 'caller') return
  }
  const { recordingCancelled } = await cancelMeeting(tx, meeting, { actor: ACTOR, now })
  // Where recording has begun, its job stays: whoever works on it sees the cancellation and keeps what there is.
  if (recordingCancelled) await jobs.withdraw(tx, 'record-meeting', meeting.id)
  await jobs.withdraw(tx, 'provision-meeting', meeting.id)
  await noteFollowed(tx, meeting.id)
  if (series && meeting.originalStart) await addException(tx, series, meeting.originalStart)
}

async function applyChanges(
  deps: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  const by = { actor: ACTOR, now }
  const invited = await listInvited(tx, meeting.id)
  const comparison = compareEvent(meeting, invited, event, { bots: deps.settings.bots, now })
  const { changes, conflicts, answers, link, seen } = comparison
  for (const conflict of conflicts) await auditConflict(tx, meeting, event, conflict)
  // What Google did not know yet it is still told of: as a whole, which changes nothing of what it says already.
  const wasTold = meeting.syncedRevision >= meeting.revision
  let changed = meeting
  const names = Object.keys(changes)
  if (names.length > 0) {
    changed = await changeMeeting(tx, meeting, changes, by)
    if (meeting.seriesId !== null) await noteOwnFields(tx, meeting, names)
  }
  if (link) changed = await changeLink(tx, changed, link, by)
  if (changed !== meeting && wasTold) await noteFollowed(tx, meeting.id)
  const present = changes.participants ? await listInvited(tx, meeting.id) : invited
  const responses = new Map(answers.map(({ person, response }) => [person.email, response]))
  for (const { email, response } of event.attendees) responses.set(email.toLowerCase(), response)
  await noteResponses(
    tx,
    meeting,
    present.flatMap(person => {
      const response = responses.get(person.email)
      return response ? [{ person, response }] : []
    }),
    by,
  )
  await noteSeen(tx, meeting.id, seen)
  const movesBot = changes.startsAt !== undefined
  if (movesBot && meeting.joinUrl !== null && !(await isRecorded(tx, meeting.id)))
    await sendBot(deps, tx, changed, now.getTime())
}

async function isRecorded(tx: Transaction, meetingId: string): Promise<boolean> {
  const status = await recordingStatusOf(tx, meetingId)
  return isFinal(status) || status === 'finishing'
}

/** What became of the event of a meeting that is over: put back, or moved to a time to come. */
function takesPlaceAgain(
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): 'restored' | 'moved_on' | undefined {
  const { start, end, updatedAt } = event
  if (meeting.syncedRevision < meeting.revision || !start || !end || end <= now) return undefined
  if (meeting.status === 'cancelled')
    return meeting.cancelledAt && updatedAt && updatedAt > meeting.cancelledAt ? 'restored' : undefined
  return start >= meeting.endsAt && start > now ? 'moved_on' : undefined
}

async function applyComeback(
  deps: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  const how = takesPlaceAgain(meeting, event, now)
  if (how === 'restored') {
    const revived = await reviveMeeting(tx, meeting, { actor: ACTOR, now })
    if (!revived) return
    await noteFollowed(tx, meeting.id)
    await applyChanges(deps, tx, { ...revived, syncedRevision: revived.revision }, event, now)
    const row = await lockMeeting(tx, meeting.organizationId, meeting.id)
    if (row && row.joinUrl !== null) await sendBot(deps, tx, row, now.getTime())
  }
  if (how === 'moved_on' && meeting.seriesId === null) await makeAnother(deps, tx, meeting, event, now)
}

/** A meeting that took place, or that nobody came to, is held another time: it is another meeting, with a recording of its own. */
async function makeAnother(
  deps: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  const { startsAt, endsAt } = {
    startsAt: event.start ?? meeting.startsAt,
    endsAt: event.end ?? meeting.endsAt,
  }
  const id = randomUUID()
  const { organizationId, eventId, organizer, createdBy, joinUrl, meetingCode, spaceName } = meeting
  const { topic, description, timeZone, relatedType, relatedId, customFields, patience } = meeting
  const { redundancy, reminders, calendarSeries } = meeting
  const invited = await listInvited(tx, meeting.id)
  await insertMeeting(
    tx,
    {
      ...{ id, organizationId, organizer, eventId, topic, description, startsAt, endsAt, timeZone },
      ...{ relatedType, relatedId, customFields, patience, redundancy, reminders, externalId: null },
      ...(createdBy !== null && { createdBy }),
      participants: invited.map(({ email, name, role }) => ({ email, name, role })),
    },
    ACTOR,
  )
  const made = await linkFound(tx, id, { joinUrl, meetingCode, spaceName, calendarSeries })
  await announceMeeting(tx, 'meeting.created', made, { at: now })
  await sendBot(deps, tx, made, now.getTime())
  await applyChanges(deps, tx, made, event, now)
}

/** The caller's change is in the audit log already; here goes that there was another one, and which of them holds. */
function auditConflict(
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  { winner, fields }: Conflict,
): Promise<void> {
  return auditMeeting(tx, meeting, ACTOR, 'meeting.conflict', {
    detail: {
      winner,
      fields,
      changedByCallerAt: meeting.updatedAt.toISOString(),
      changedInCalendarAt: event.updatedAt?.toISOString() ?? null,
      calendar: {
        status: event.status,
        start: event.start?.toISOString() ?? null,
        end: event.end?.toISOString() ?? null,
        guests: event.attendees.length,
      },
    },
  })
}
