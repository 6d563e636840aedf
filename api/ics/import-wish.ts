import { isDeepStrictEqual } from 'node:util'
import type { IcsWish } from '../../calendar/ics-import.ts'
import { writeRule } from '../../calendar/recurrence-rule.ts'
import type { Transaction } from '../../db/connect.ts'
import { listInvited, type MeetingRow } from '../../db/meetings.ts'
import { countMeetings } from '../../db/series.ts'
import type { Caller } from '../caller.ts'
import { applyChange } from '../change-meeting.ts'
import { mayHost } from '../choose-host.ts'
import { refuseClosed } from '../find-meeting.ts'
import { invitedOf } from '../meeting-wish.ts'
import { type NewMeetingBody, newMeetingSchema } from '../meetings.schema.ts'
import { type MeetingDeps, readNewMeeting, writeMeeting } from '../meetings.ts'
import { Problem } from '../problem.ts'
import { readBody } from '../read-input.ts'
import { sendJobs } from '../tell-provider.ts'
import { findByUid, findOccurrenceByUid } from './find-imported.ts'
import type { Imported } from './import.ts'

type Event = Omit<IcsWish, 'recurrence' | 'changes'> & { recurrence?: string[] | undefined }

/**
 * Makes the meeting or the series that an event asks for, or brings the meeting that is there to what it says.
 * @param isTaken its UID turned out to be taken
 * @throws {Problem} those of POST and PATCH /v1/meetings
 * @throws {ExternalIdTaken}
 */
export async function importWish(
  tx: Transaction,
  deps: MeetingDeps,
  caller: Caller,
  event: Event,
  isTaken: boolean,
): Promise<Imported> {
  const body = await bodyOf(tx, deps, caller, event)
  const found = await findByUid(tx, caller.organizationId, event.uid)
  if (found && 'meeting' in found) {
    if (event.recurrence) throw sameUid('a single meeting, which does not become a series')
    return importInto(tx, deps, caller, found.meeting, body)
  }
  const now = deps.clock.now()
  const wanted = readNewMeeting(deps, body, now)
  if (found) {
    const { rule, startsAt, lengthMs, timeZone, id } = found.series
    const { wish } = wanted
    if (found.series.status === 'cancelled')
      throw new Problem('meeting_closed', 'The series was cancelled. Make a new one, with another UID.')
    if (!wanted.recurrence) throw sameUid('a series, which does not become a single meeting')
    const same =
      rule === writeRule(wanted.recurrence.rule) &&
      startsAt.getTime() === wish.startsAt.getTime() &&
      lengthMs === wish.endsAt.getTime() - wish.startsAt.getTime() &&
      timeZone === wish.timeZone
    if (!same)
      throw sameUid(
        'a series with other times. Change it with PATCH /v1/meetings/{id}?scope=all or following',
      )
    return { outcome: 'unchanged', seriesId: id }
  }
  const { meetingId, seriesId } = await writeMeeting(tx, deps, caller, wanted, { isTaken, jobDelayMs: 0 })
  const made =
    seriesId === undefined ? 1 : Object.values(await countMeetings(tx, seriesId)).reduce((a, b) => a + b, 0)
  return { outcome: 'created', meetingId, seriesId: seriesId ?? null, meetings: made }
}

/**
 * Changes the one meeting of a series that an event speaks of.
 * @throws {Problem} `meeting_not_found` where the series has none then, and those of PATCH /v1/meetings
 */
export async function importChange(
  tx: Transaction,
  deps: MeetingDeps,
  caller: Caller,
  event: Event & { originalStart: Date },
): Promise<Imported> {
  const { uid, originalStart } = event
  const meeting = await findOccurrenceByUid(tx, caller.organizationId, uid, originalStart)
  if (!meeting)
    throw new Problem(
      'meeting_not_found',
      `There is no meeting of this series at ${originalStart.toISOString()} to change.`,
    )
  return importInto(tx, deps, caller, meeting, await bodyOf(tx, deps, caller, event))
}

async function importInto(
  tx: Transaction,
  deps: MeetingDeps,
  caller: Caller,
  meeting: MeetingRow,
  body: NewMeetingBody,
): Promise<Imported> {
  if (meeting.status === 'cancelled') refuseClosed(meeting)
  const { topic, description = null, start, end, timeZone, reminders, participants } = body
  const of = { meetingId: meeting.id, seriesId: meeting.seriesId }
  const people = (list: { email: string; name: string | null; role: string }[]) =>
    list.map(({ email, name, role }) => [email, name, role]).sort()
  const invited = await listInvited(tx, meeting.id)
  const change = {
    ...(topic !== meeting.topic && { topic }),
    ...(description !== meeting.description && { description }),
    ...(start.getTime() !== meeting.startsAt.getTime() && { start }),
    ...(end.getTime() !== meeting.endsAt.getTime() && { end }),
    ...(timeZone !== meeting.timeZone && { timeZone }),
    ...(!isDeepStrictEqual(reminders, meeting.reminders) && { reminders }),
    ...(!isDeepStrictEqual(people(invitedOf(participants)), people(invited)) && { participants }),
  }
  if (Object.keys(change).length === 0) return { outcome: 'unchanged', ...of }
  const touched = await applyChange(tx, deps, caller, meeting.id, change, 'one')
  await sendJobs(deps.jobs, tx, touched, deps.clock.now(), 0)
  return { outcome: 'updated', ...of }
}

/**
 * The event as if it had been posted. Whoever organised it holds the meeting where the organisation may name them, and is
 * invited as its host where not.
 */
async function bodyOf(
  tx: Transaction,
  deps: MeetingDeps,
  caller: Caller,
  { uid, topic, description, start, end, timeZone, organizer, participants, reminders, recurrence }: Event,
): Promise<NewMeetingBody> {
  const isHost = organizer !== undefined && (await mayHost(tx, caller, organizer, deps.organizer))
  const isInvited = participants.some(({ email }) => email === organizer)
  const people =
    organizer === undefined || isHost || isInvited
      ? participants
      : [{ email: organizer, role: 'host' as const }, ...participants]
  return readBody(newMeetingSchema, {
    topic,
    start: start.toISOString(),
    end: end.toISOString(),
    timeZone,
    reminders,
    externalId: uid,
    participants: people,
    ...(description !== undefined && { description }),
    ...(isHost && { organizer }),
    ...(recurrence && { recurrence }),
  })
}

function sameUid(what: string): Problem {
  return new Problem('external_id_taken', `This UID belongs to ${what}.`)
}
