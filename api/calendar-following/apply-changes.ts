import type { Transaction } from '../../db/connect.ts'
import {
  changeLink,
  noteFollowed,
  noteResponses,
  noteSeen,
  recordingStatusOf,
} from '../../db/meeting-following.ts'
import { changeMeeting, listInvited, type MeetingRow } from '../../db/meetings.ts'
import { noteOwnFields } from '../../db/series.ts'
import { isFinal } from '../../db/states.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { sendBot } from '../send-bot.ts'
import { auditConflict } from './audit-conflict.ts'
import { compareEvent } from './compare-event.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'

/** Makes a meeting what its event says, as far as no caller has changed it later; its bot follows. */
export async function applyChanges(
  deps: FollowingDeps,
  tx: Transaction,
  meeting: MeetingRow,
  event: CalendarEvent,
  now: Date,
): Promise<void> {
  const by = { actor: ACTOR, now }
  const invited = await listInvited(tx, meeting.id)
  const comparison = compareEvent(meeting, invited, event, { bots: deps.settings.bots, now })
  const { changes, conflicts, answers, link, seen, facts } = comparison
  for (const conflict of conflicts) await auditConflict(tx, meeting, event, conflict, { invited, facts })
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
