import { z } from 'zod'
import { PROBLEMS, type ProblemCode } from '../problem.ts'

/** What reading a file finds in one event, beside the reasons of POST /v1/meetings. */
const ICS_REASONS = [
  'bad_event',
  'no_uid',
  'no_start',
  'no_end',
  'no_topic',
  'all_day',
  'floating_time',
  'bad_time',
  'unsupported_method',
  'twice',
  'too_many_meetings',
] as const

const OUTCOMES = ['created', 'updated', 'unchanged', 'cancelled', 'refused'] as const
const maybe = <Schema extends z.ZodType>(schema: Schema) => schema.nullable()

const codes = Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]
const resultSchema = z
  .object({
    uid: maybe(z.string()),
    originalStart: maybe(z.iso.datetime()).meta({
      description: 'Which meeting of a series it was about (RECURRENCE-ID); null: the event itself',
    }),
    outcome: z.enum(OUTCOMES),
    meetingId: maybe(z.uuid()).meta({ description: 'Of a series its first meeting' }),
    seriesId: maybe(z.uuid()),
    reason: maybe(z.enum([...ICS_REASONS, ...codes])).meta({
      description: 'Why it was refused. Accept words that are added later',
    }),
    message: maybe(z.string()),
  })
  .meta({ id: 'ImportResult' })

export const importSchema = z
  .object({
    created: z.int(),
    updated: z.int(),
    unchanged: z.int(),
    cancelled: z.int(),
    refused: z.int(),
    results: z.array(resultSchema).meta({ description: 'One for each event of the file' }),
  })
  .meta({
    id: 'Import',
    example: {
      created: 1,
      updated: 0,
      unchanged: 0,
      cancelled: 0,
      refused: 1,
      results: [
        {
          uid: 'comite-17@clinica.example',
          originalStart: null,
          outcome: 'created',
          meetingId: '018f6d3c-5b1e-7c44-9d0a-3f1e2d4c5b6a',
          seriesId: null,
          reason: null,
          message: null,
        },
        {
          uid: 'festivo@clinica.example',
          originalStart: null,
          outcome: 'refused',
          meetingId: null,
          seriesId: null,
          reason: 'all_day',
          message: 'DTSTART is a day without a time: all-day events are not recorded.',
        },
      ],
    },
  })

export type ImportView = z.infer<typeof importSchema>
export type ImportResult = z.infer<typeof resultSchema>
