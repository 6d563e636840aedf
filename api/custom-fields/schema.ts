import { z } from 'zod'
import { isPlainData } from '../plain-data.ts'

const EXAMPLE = {
  type: 'object',
  properties: { sede: { type: 'string', enum: ['Bogotá', 'Cali'] }, caso: { type: 'integer', minimum: 1 } },
  required: ['sede'],
  additionalProperties: false,
}

export const customFieldsBodySchema = z
  .strictObject({
    schema: z
      .record(z.string(), z.unknown())
      .refine(isPlainData, {
        error: 'must be at most 32 levels deep, without NUL or half characters',
      })
      .nullable()
      .meta({
        description:
          'A JSON Schema (draft 2020-12) of an object, at most 32,768 bytes, without references to the outside; null: any custom fields will do',
      }),
  })
  .meta({ id: 'CustomFieldsSchema', example: { schema: EXAMPLE } })

export const customFieldsViewSchema = z
  .object({
    schema: z.record(z.string(), z.unknown()).nullable(),
    version: z.int().nullable().meta({ description: 'Counts the changes; null without a schema' }),
    updatedAt: z.iso.datetime().nullable(),
    updatedBy: z.string().nullable(),
  })
  .meta({ id: 'CustomFields' })
