import type { Queryable } from '../../db/connect.ts'
import { showMeeting } from '../../db/meeting-view.ts'
import { findMeetingByExternalId, type MeetingRow } from '../../db/meetings.ts'
import { findOccurrence, findSeriesByExternalId, readSeries, type SeriesRow } from '../../db/series.ts'
import { idOfUid } from './uid.ts'

/** What a UID of a file names among an organisation's meetings: its own, or one that an import made before. */
export async function findByUid(
  db: Queryable,
  organizationId: string,
  uid: string,
): Promise<{ meeting: MeetingRow } | { series: SeriesRow } | undefined> {
  const id = idOfUid(uid)
  const meeting =
    (id && (await showMeeting(db, organizationId, id))?.meeting) ||
    (await findMeetingByExternalId(db, organizationId, uid))
  if (meeting) return { meeting }
  const series =
    (id && (await readSeries(db, organizationId, id))) ||
    (await findSeriesByExternalId(db, organizationId, uid))
  return series ? { series } : undefined
}

/** The meeting of a series that an event with RECURRENCE-ID speaks of. */
export async function findOccurrenceByUid(
  db: Queryable,
  organizationId: string,
  uid: string,
  originalStart: Date,
): Promise<MeetingRow | undefined> {
  const found = await findByUid(db, organizationId, uid)
  return found && 'series' in found ? findOccurrence(db, found.series.id, originalStart) : undefined
}
