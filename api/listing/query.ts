import { z } from 'zod'
import type { ListOrder, MeetingFilter } from '../../db/meeting-list.ts'
import { MEETING_STATUSES, RECORDING_STATUSES } from '../../db/states.ts'
import { dateTime, email, words } from '../meetings.schema.ts'
import { hasPlainText } from '../plain-data.ts'
import { Problem } from '../problem.ts'

const MOST_ITEMS = 200
const MOST_CUSTOM_FIELDS = 5
const SORTS = ['start', '-start', 'createdAt', '-createdAt'] as const

const plain = (text: z.ZodString) =>
  text.refine(hasPlainText, { error: 'must not contain NUL or half characters' })

const listOf = <Word extends string>(allowed: readonly Word[], example: string) =>
  z
    .string()
    .transform(list => [...new Set(list.split(','))].sort())
    .pipe(z.array(z.enum(allowed)))
    .meta({ description: `One or more of ${allowed.join(', ')}, with commas`, example })

// As testigo_words (db/meeting-search.sql) takes words apart.
const PUNCTUATION =
  '\\u0000-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u00bf\\u2000-\\u206f\\u3000-\\u303f'
const HAS_WORD = new RegExp(`[^${PUNCTUATION}\\u0300-\\u036f]`)

const FILTERS = {
  status: listOf(MEETING_STATUSES, 'scheduled').optional(),
  recordingStatus: listOf(RECORDING_STATUSES, 'available,partial').optional(),
  from: dateTime.optional().meta({ description: 'Only meetings that start then or later' }),
  to: dateTime.optional().meta({ description: 'Only meetings that start before' }),
  externalId: words(200).optional(),
  series: z.uuid().optional().meta({ description: 'Only meetings of this series' }),
  host: email.optional().meta({ description: 'Only meetings in the calendar of this organiser' }),
  participant: email.optional().meta({ description: 'Only meetings this address is invited to' }),
  relatedType: words(100).optional().meta({
    description: 'With relatedId: only meetings about this object of your system',
    example: 'case',
  }),
  relatedId: words(200).optional().meta({ description: 'With relatedType', example: '17' }),
  customFields: z
    .record(plain(z.string().min(1).max(200)), plain(z.string().max(500)))
    .refine(fields => Object.keys(fields).length <= MOST_CUSTOM_FIELDS, {
      error: `must be at most ${MOST_CUSTOM_FIELDS}`,
    })
    .optional()
    .meta({
      description:
        'customFields[name]=value: only meetings whose custom field is exactly that: a text, a number or true or false as JSON writes it, or a list that has it',
      example: { sede: 'Bogotá' },
      param: { style: 'deepObject', explode: true },
    }),
  text: words(200)
    .refine(text => HAS_WORD.test(text), { error: 'must have a letter or a digit' })
    .optional()
    .meta({
      description:
        'Only meetings with all of these words in topic, description or externalId, without regard to case and accents. Three letters or more may be the beginning of a word',
      example: 'comité',
    }),
  sort: z.enum(SORTS).default('start').meta({ description: 'A minus: the latest first' }),
}

interface RelatedPair {
  relatedType?: string | undefined
  relatedId?: string | undefined
}
const bothOrNone = ({ relatedType, relatedId }: RelatedPair) =>
  (relatedType === undefined) === (relatedId === undefined)
const BOTH_OR_NONE = { error: 'relatedType and relatedId go together', path: ['relatedType'] }

/** What `GET /v1/meetings/ics` takes. */
export const exportQuerySchema = z.strictObject(FILTERS).refine(bothOrNone, BOTH_OR_NONE)

/** What `GET /v1/meetings` takes. */
export const listQuerySchema = z
  .strictObject({
    ...FILTERS,
    limit: z.coerce.number().int().min(1).max(MOST_ITEMS).default(50),
    cursor: z
      .string()
      .max(400)
      .optional()
      .meta({ description: '"nextCursor" of the page before, with the same filters and sort' }),
  })
  .refine(bothOrNone, BOTH_OR_NONE)

const FIELD = /^customFields\[(.+)\]$/s

/** A query with its `customFields[name]` gathered. @throws {Problem} `invalid_query` for one without a name */
export function gatherCustomFields(query: Record<string, unknown>): Record<string, unknown> {
  const fields: [string, unknown][] = []
  const others: [string, unknown][] = []
  for (const [key, value] of Object.entries(query)) {
    const [, name] = FIELD.exec(key) ?? []
    if (name !== undefined) fields.push([name, value])
    else if (key === 'customFields')
      throw new Problem('invalid_query', 'customFields: name the field, such as customFields[sede]=Bogotá')
    else others.push([key, value])
  }
  return Object.fromEntries(
    fields.length > 0 ? [...others, ['customFields', Object.fromEntries(fields)]] : others,
  )
}

/** The query as the database is asked. */
export function filterOf(query: z.output<typeof exportQuerySchema>): {
  filter: MeetingFilter
  order: ListOrder
} {
  const { status, recordingStatus, host, series, relatedType, relatedId, customFields, sort } = query
  const { from, to, externalId, participant, text } = query
  return {
    filter: {
      ...{ from, to, externalId, participant, text },
      statuses: status,
      recordingStatuses: recordingStatus,
      organizer: host,
      seriesId: series,
      related:
        relatedType !== undefined && relatedId !== undefined
          ? { type: relatedType, id: relatedId }
          : undefined,
      customFields: customFields && Object.entries(customFields).sort(([a], [b]) => (a < b ? -1 : 1)),
    },
    order: { by: sort.endsWith('start') ? 'startsAt' : 'createdAt', descending: sort.startsWith('-') },
  }
}
