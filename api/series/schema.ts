import { z } from 'zod'
import { words } from '../meetings.schema.ts'

const instant = z.iso.datetime().meta({ example: '2026-11-23T15:00:00.000Z' })

export const seriesViewSchema = z
  .object({
    id: z.uuid(),
    externalId: z.string().nullable(),
    topic: z.string(),
    recurrence: z.array(z.string()).meta({
      description: 'The rule in normal form, and the exceptions, as RFC 5545 writes them',
      example: ['RRULE:FREQ=WEEKLY;COUNT=10;BYDAY=MO'],
    }),
    inWords: z.object({ es: z.string(), en: z.string() }),
    start: instant.meta({ description: 'Of the first meeting by the rule' }),
    end: instant,
    timeZone: z.string(),
    status: z.enum(['active', 'cancelled']),
    organizer: z.string(),
    joinUrl: z.string().nullable().meta({ description: 'All its meetings share it' }),
    google: z.enum(['up_to_date', 'pending']),
    meetings: z
      .object({ scheduled: z.int(), inProgress: z.int(), ended: z.int(), cancelled: z.int() })
      .meta({ description: 'How many have been made so far: those of the next 400 days, and those before' }),
    continues: z
      .uuid()
      .nullable()
      .meta({ description: 'The series whose later meetings this one took over when they were changed' }),
    createdAt: instant,
    updatedAt: instant,
    cancelledAt: instant.nullable(),
  })
  .meta({ id: 'Series' })

export const seriesListSchema = z.object({ items: z.array(seriesViewSchema) }).meta({ id: 'SeriesList' })

export const seriesQuerySchema = z.strictObject({
  externalId: words(200).meta({ description: 'Your own id of the series', example: 'XOMA-2026-000123' }),
})

export type SeriesView = z.output<typeof seriesViewSchema>
