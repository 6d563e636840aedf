import { type IcsMeeting, writeIcs } from '../../calendar/ics-export.ts'
import type { Recurrence } from '../../calendar/recurrence.ts'
import type { Queryable } from '../../db/connect.ts'
import { listMeetings } from '../../db/meeting-list.ts'
import { showMeeting } from '../../db/meeting-view.ts'
import { listInvitedOfMany, type MeetingRow, type ParticipantRow } from '../../db/meetings.ts'
import { listDifferent, readSeries, type SeriesRow } from '../../db/series.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, type Caller } from '../caller.ts'
import { noSuchMeeting } from '../find-meeting.ts'
import { exportQuerySchema, filterOf, gatherCustomFields } from '../listing/query.ts'
import { Problem } from '../problem.ts'
import { readQuery } from '../read-input.ts'
import { noSuchSeries } from '../series/find-series.ts'
import { recurrenceOf } from '../series/occurrences.ts'
import { uidOf } from './uid.ts'

const MOST_MEETINGS = 1000

/** One meeting as an ICS file. @throws {Problem} `meeting_not_found` */
export async function exportMeeting(
  db: TenantDatabase,
  { caller, now }: { caller: Caller; now: number },
  meetingId: string,
): Promise<string> {
  return asCaller(db, caller, async tx => {
    const row = await showMeeting(tx, caller.organizationId, meetingId)
    if (!row) throw noSuchMeeting()
    return written(await asIcs(tx, [row.meeting]), now)
  })
}

/**
 * The meetings that GET /v1/meetings would list for this query, all in one ICS file: each for itself, those of a series
 * too.
 * @throws {Problem} `invalid_query`, `export_too_large`
 */
export async function exportMeetings(
  db: TenantDatabase,
  { caller, now }: { caller: Caller; now: number },
  query: Record<string, unknown>,
): Promise<string> {
  const { organizationId, role } = caller
  const asked = filterOf(readQuery(exportQuerySchema, gatherCustomFields(query)))
  return asCaller(db, caller, async tx => {
    const limit = MOST_MEETINGS + 1
    const rows = await listMeetings(tx, { organizationId, ...asked, limit, ownOnly: role === 'external' })
    if (rows.length > MOST_MEETINGS)
      throw new Problem(
        'export_too_large',
        `A file has at most ${MOST_MEETINGS} meetings, and there are more. Ask for fewer, for example with from and to.`,
      )
    const meetings = rows.map(({ meeting }) => meeting)
    return written(await asIcs(tx, meetings), now)
  })
}

/** A series as one event with its rule, and the meetings that differ from it. @throws {Problem} `series_not_found` */
export async function exportSeries(
  db: TenantDatabase,
  { caller, now }: { caller: Caller; now: number },
  seriesId: string,
): Promise<string> {
  return asCaller(db, caller, async tx => {
    const row = await readSeries(tx, caller.organizationId, seriesId)
    if (!row) throw noSuchSeries()
    const different = await listDifferent(tx, row.id)
    const changed = (await asIcs(tx, different)).map((meeting, at) => {
      const originalStart = different[at]?.originalStart
      return { ...meeting, uid: uidOf(row.id), ...(originalStart && { originalStart }) }
    })
    return written([seriesAsIcs(row, recurrenceOf(row)), ...changed], now)
  })
}

function written(meetings: readonly IcsMeeting[], now: number): string {
  return writeIcs(meetings, { method: 'publish', now: new Date(now), name: 'Testigo' })
}

async function asIcs(db: Queryable, meetings: readonly MeetingRow[]): Promise<IcsMeeting[]> {
  const people = await listInvitedOfMany(
    db,
    meetings.map(({ id }) => id),
  )
  return meetings.map(meeting => ({
    uid: uidOf(meeting.id),
    sequence: meeting.revision,
    topic: meeting.topic,
    description: meeting.description ?? undefined,
    start: meeting.startsAt,
    end: meeting.endsAt,
    timeZone: meeting.timeZone,
    cancelled: meeting.status === 'cancelled',
    joinUrl: meeting.joinUrl ?? undefined,
    organizer: { email: meeting.organizer },
    attendees: (people.get(meeting.id) ?? []).map(attendee),
    reminders: meeting.reminders,
    createdAt: meeting.createdAt,
    updatedAt: meeting.updatedAt,
  }))
}

function seriesAsIcs(row: SeriesRow, recurrence: Recurrence): IcsMeeting {
  const { topic, description, participants, reminders } = row.template
  return {
    uid: uidOf(row.id),
    sequence: row.revision,
    topic,
    description: description ?? undefined,
    start: row.startsAt,
    end: new Date(row.startsAt.getTime() + row.lengthMs),
    timeZone: row.timeZone,
    cancelled: row.status === 'cancelled',
    joinUrl: row.joinUrl ?? undefined,
    organizer: { email: row.organizer },
    attendees: participants.map(({ email, name, role }) => ({ email, name: name ?? undefined, role })),
    reminders,
    recurrence,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  }
}

function attendee({ email, name, role, response }: ParticipantRow): IcsMeeting['attendees'][number] {
  const answered = response === 'needs_action' ? 'needsAction' : response
  return { email, name: name ?? undefined, role, response: answered }
}
