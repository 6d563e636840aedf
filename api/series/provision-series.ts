import type { Provisioned } from '../../db/meeting-provisioning.ts'
import type { Actor } from '../../db/meetings.ts'
import type { SeriesRow } from '../../db/series.ts'
import {
  keepSeriesEventId,
  noteSeriesProvisioned,
  readSeriesToProvision,
} from '../../db/series-provisioning.ts'
import { type ProvisionDeps, wishOf } from '../provision-deps.ts'
import { sendBots } from '../send-bot.ts'
import { recurrenceOf } from './occurrences.ts'
import { seenOf } from './series-seen.ts'

/**
 * Brings the provider to what a series' row says: one recurring event whose link all its meetings share, or its cancellation;
 * and has a bot woken for each meeting to come. Repeatable at every step, as `provisionMeeting` is.
 * @throws {ProviderFault} when the provider refuses or stays silent; the row still says what is wanted
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
    const made = await tellProvider(deps, row, run.signal)
    upToDate = await deps.db.transaction(async tx => {
      const now = deps.clock.now()
      const by = { actor: run.actor, now: new Date(now) }
      const noted = await noteSeriesProvisioned(tx, row, { made, seen: seenOf(row, recurrenceOf(row)) }, by)
      if (!noted.upToDate) return false
      await deps.jobs.withdraw(tx, 'provision-series', seriesId)
      if (made) await sendBots(deps, tx, noted.upcoming, now)
      return true
    })
  }
}

async function tellProvider(
  { provider, db }: ProvisionDeps,
  row: SeriesRow,
  signal: AbortSignal,
): Promise<Provisioned | undefined> {
  const { organizer: host, eventId, joinUrl, meetingCode } = row
  if (row.status === 'cancelled') {
    await provider.cancel({ host, eventId }, signal)
    return undefined
  }
  const { participants, ...template } = row.template
  const wanted = {
    ...template,
    id: row.id,
    organizer: host,
    startsAt: row.startsAt,
    endsAt: new Date(row.startsAt.getTime() + row.lengthMs),
    timeZone: row.timeZone,
  }
  const wish = { ...wishOf(wanted, participants), recurrence: recurrenceOf(row) }
  const place = { eventId, joinUrl, meetingCode, changed: row.revision > 1 }
  const keep = (newId: string) => keepSeriesEventId(db, row.id, newId)
  const { there: _, ...made } = await provider.put(wish, place, keep, signal)
  return made
}
