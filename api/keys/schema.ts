import { z } from 'zod'
import { ROLES, SCOPES } from '../../db/roles.ts'
import { dateTime } from '../meetings.schema.ts'
import { scopesOf } from '../permissions.ts'
import { hasPlainText } from '../plain-data.ts'

/** What callers send about API keys. Unknown fields are refused. */

const LONGEST_OVERLAP_HOURS = 168

export const newKeySchema = z
  .strictObject({
    name: z
      .string()
      .trim()
      .min(1)
      .max(120)
      .refine(hasPlainText, { error: 'must not contain NUL or half characters' })
      .meta({ description: 'What it is for' }),
    role: z.enum(ROLES),
    scopes: z
      .array(z.enum(SCOPES))
      .min(1, 'must name at least one scope, or be null for all')
      .max(SCOPES.length)
      .refine(list => new Set(list).size === list.length, 'names a scope twice')
      .nullish()
      .meta({ description: 'Null: everything its role may do' }),
    expiresAt: dateTime.nullish().meta({ description: 'Null: never' }),
  })
  .superRefine(({ role, scopes }, context) => {
    const allowed = scopesOf(role)
    const wrong = scopes?.find(scope => !allowed.has(scope))
    if (wrong !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['scopes'],
        message: `${wrong} is of no use to the role ${role}, which may have: ${[...allowed].join(', ')}`,
      })
  })
  .meta({
    id: 'NewApiKey',
    example: { name: 'XOMA producción', role: 'service', scopes: ['meetings:read', 'meetings:write'] },
  })

export const keyRotationSchema = z
  .strictObject({
    overlapHours: z.number().min(0).max(LONGEST_OVERLAP_HOURS).default(24).meta({
      description: 'How long the secret before works beside the new one; 0: not at all',
    }),
  })
  .meta({ id: 'ApiKeyRotation', example: { overlapHours: 24 } })

export const pageQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().optional(),
})

export type NewKeyBody = z.output<typeof newKeySchema>
