import { Router } from 'express'
import { describeRecurrence } from '../../calendar/describe-recurrence.ts'
import { writeRecurrence } from '../../calendar/recurrence.ts'
import { countMeetings, listSeriesByExternalId, readSeries, type SeriesRow } from '../../db/series.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, callerOf } from '../caller.ts'
import { readQuery } from '../read-input.ts'
import { sendVersioned } from '../versions/entity-tag.ts'
import { noSuchSeries, seriesIdOf } from './find-series.ts'
import { recurrenceOf } from './occurrences.ts'
import { type SeriesView, seriesQuerySchema } from './schema.ts'

/** `/v1/series`, behind the key check; its meetings are at `/v1/meetings?series=…`. */
export function seriesRoutes({ db }: { db: TenantDatabase }): Router {
  const router = Router({ strict: false })
  router.get('/', async (request, response) => {
    const caller = callerOf(response)
    const { externalId } = readQuery(seriesQuerySchema, request.query)
    const items = await asCaller(db, caller, async tx => {
      const views: SeriesView[] = []
      for (const row of await listSeriesByExternalId(tx, caller.organizationId, externalId))
        views.push(seriesView(row, await countMeetings(tx, row.id)))
      return views
    })
    response.json({ items })
  })
  router.get('/:id', async (request, response) => {
    const caller = callerOf(response)
    const id = seriesIdOf(request)
    const view = await asCaller(db, caller, async tx => {
      const row = await readSeries(tx, caller.organizationId, id)
      if (!row) throw noSuchSeries()
      return seriesView(row, await countMeetings(tx, row.id))
    })
    sendVersioned(response, view)
  })
  return router
}

function seriesView(row: SeriesRow, counts: Record<string, number>): SeriesView {
  const recurrence = recurrenceOf(row)
  const { scheduled = 0, in_progress: inProgress = 0, ended = 0, cancelled = 0 } = counts
  return {
    id: row.id,
    externalId: row.externalId,
    topic: row.template.topic,
    recurrence: writeRecurrence(recurrence),
    inWords: { es: describeRecurrence(recurrence, 'es'), en: describeRecurrence(recurrence, 'en') },
    start: row.startsAt.toISOString(),
    end: new Date(row.startsAt.getTime() + row.lengthMs).toISOString(),
    timeZone: row.timeZone,
    status: row.status,
    organizer: row.organizer,
    joinUrl: row.joinUrl,
    google: row.syncedRevision < row.revision ? 'pending' : 'up_to_date',
    meetings: { scheduled, inProgress, ended, cancelled },
    continues: row.continues,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    cancelledAt: row.cancelledAt?.toISOString() ?? null,
  }
}
