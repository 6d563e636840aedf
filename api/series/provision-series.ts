import { writeRecurrence } from '../../calendar/recurrence.ts'
import type { Provisioned } from '../../db/meeting-provisioning.ts'
import type { Actor } from '../../db/meetings.ts'
import type { SeriesRow } from '../../db/series.ts'
import {
  keepSeriesEventId,
  noteSeriesProvisioned,
  readSeriesToProvision,
} from '../../db/series-provisioning.ts'
import type { MeetingToPut } from '../../google/calendar.ts'
import { detailsOf, type ProvisionDeps, putOrPatch } from '../put-event.ts'
import { sendBot } from '../send-bot.ts'
import { recurrenceOf } from './occurrences.ts'

/**
 * Brings Google to what a series' row says: one recurring event whose link all its meetings share, or its cancellation;
 * and has a bot woken for each meeting to come. Repeatable at every step, as `provisionMeeting` is.
 * @throws {GoogleFault} when Google refuses or stays silent; the row still says what is wanted
 */
export async function provisionSeries(
  deps: ProvisionDeps,
  seriesId: string,
  run: { actor: Actor; signal: AbortSignal },
): Promise<void> {
  for (let upToDate = false; !upToDate; ) {
    run.signal.throwIfAborted()
    const row = await deps.db.transaction(tx => readSeriesToProvision(tx, seriesId))
    if (!row || row.syncedRevision >= row.revision) return
    const made = await tellGoogle(deps, row, run.signal)
    upToDate = await deps.db.transaction(async tx => {
      const now = deps.clock.now()
      const by = { actor: run.actor, now: new Date(now) }
      const noted = await noteSeriesProvisioned(tx, row, made, by)
      if (!noted.upToDate) return false
      await deps.jobs.withdraw(tx, 'provision-series', seriesId)
      if (made) for (const meeting of noted.upcoming) await sendBot(deps, tx, meeting, now)
      return true
    })
  }
}

async function tellGoogle(
  deps: ProvisionDeps,
  row: SeriesRow,
  signal: AbortSignal,
): Promise<Provisioned | undefined> {
  const { google, settings } = deps
  if (row.status === 'cancelled') {
    await google.calendar.cancelEvent(row.eventId, signal)
    return undefined
  }
  const { participants, ...template } = row.template
  const wanted = {
    ...template,
    startsAt: row.startsAt,
    endsAt: new Date(row.startsAt.getTime() + row.lengthMs),
    timeZone: row.timeZone,
  }
  const details: MeetingToPut = {
    meetingId: row.id,
    ...detailsOf(deps, wanted, participants),
    recurrence: writeRecurrence(recurrenceOf(row)),
  }
  const keep = (eventId: string) => keepSeriesEventId(deps.db, row.id, eventId)
  const event = await putOrPatch(google.calendar, row, details, keep, signal)
  const { spaceName, ...space } = await google.spaces.configureSpace(
    {
      meetingCode: event.meetingCode,
      organizer: row.organizer,
      accessType: settings.accessType,
      autoRecording: settings.autoRecording,
    },
    signal,
  )
  return { ...event, spaceName, space }
}
