import type { Transaction } from '../../db/connect.ts'
import { awaitAnew, hasEverMet, hasTwin, reviveMeeting } from '../../db/meeting-comeback.ts'
import { linkFound, noteFollowed } from '../../db/meeting-following.ts'
import { insertMeeting, listInvited, lockMeeting, type MeetingRow } from '../../db/meetings.ts'
import { newRowId } from '../../db/row-id.ts'
import { removeException, type SeriesRow } from '../../db/series.ts'
import { announceMeeting } from '../../db/webhooks.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { sendBot } from '../send-bot.ts'
import { applyChanges } from './apply-changes.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'

/** What became of the event of a meeting that is over: put back, or moved to a time to come. */
export function takesPlaceAgain(
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): 'restored' | 'moved_on' | undefined {
  const { start, end } = event
  if (meeting.syncedRevision < meeting.revision || !start || !end || end <= now) return undefined
  if (meeting.status === 'cancelled') return isPutBack(meeting, event) ? 'restored' : undefined
  return start > now && start.getTime() !== meeting.startsAt.getTime() ? 'moved_on' : undefined
}

/** Where a caller cancelled, an old reading may still show the event alive: it has to be changed later than that. */
function isPutBack({ calendarSeen, cancelledAt }: MeetingRow, { etag, updatedAt }: CalendarEvent): boolean {
  const cancelledEtag = calendarSeen?.cancelledEtag
  if (cancelledEtag !== undefined) return etag !== cancelledEtag
  return cancelledAt !== null && updatedAt !== null && updatedAt > cancelledAt
}

/** Is the event of a meeting whose bot is in its room, or whose people are, moved to a time to come? */
export function isPutOff(meeting: MeetingRow, { start, end }: CalendarEvent, now: Date): boolean {
  if (meeting.status !== 'in_progress' || !start || !end) return false
  return start > now && end > start && start.getTime() !== meeting.startsAt.getTime()
}

/**
 * Follows {@link isPutOff}: where nobody has come the meeting waits for its new time, and its bot leaves and comes back.
 * Where people have been, that call is recorded to its end, and what comes later is another meeting.
 */
export async function applyPutOff(
  deps: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  if (await hasEverMet(tx, meeting.id)) return makeAnother(deps, tx, meeting, event, now)
  await applyChanges(deps, tx, await awaitAnew(tx, meeting, { actor: ACTOR, now }), event, now)
}

/** Follows {@link takesPlaceAgain}. @param series the one whose meeting it is, locked */
export async function applyComeback(
  deps: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  series: SeriesRow | undefined,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  const how = takesPlaceAgain(meeting, event, now)
  if (how === 'moved_on') return makeAnother(deps, tx, meeting, event, now)
  if (how !== 'restored') return
  const revival = await reviveMeeting(tx, meeting, { actor: ACTOR, now })
  if (revival.kind === 'recorded') return makeAnother(deps, tx, meeting, event, now)
  if (revival.kind === 'taken') return
  if (series && meeting.originalStart) await removeException(tx, series, meeting.originalStart)
  const revived = revival.meeting
  await noteFollowed(tx, meeting.id)
  await applyChanges(deps, tx, { ...revived, syncedRevision: revived.revision }, event, now)
  const row = await lockMeeting(tx, meeting.organizationId, meeting.id)
  if (row && row.joinUrl !== null) await sendBot(deps, tx, row, now.getTime())
}

/** A meeting that was held, is being held, or that nobody came to takes place another time: with a recording of its own. */
async function makeAnother(
  deps: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  if (await hasTwin(tx, meeting)) return
  const { startsAt, endsAt } = {
    startsAt: event.start ?? meeting.startsAt,
    endsAt: event.end ?? meeting.endsAt,
  }
  const id = newRowId()
  const { organizationId, eventId, organizer, createdBy } = meeting
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
  const made = await linkFound(tx, id, { ...linkOf(meeting, event), calendarSeries })
  await announceMeeting(tx, 'meeting.created', made, { at: now })
  await sendBot(deps, tx, made, now.getTime())
  await applyChanges(deps, tx, made, event, now)
}

function linkOf(meeting: MeetingRow, { conference }: CalendarEvent) {
  const { joinUrl, meetingCode, spaceName } = meeting
  if (conference.status !== 'success' || conference.meetingCode === meetingCode)
    return { joinUrl, meetingCode, spaceName }
  return { joinUrl: conference.joinUrl, meetingCode: conference.meetingCode, spaceName: null }
}
