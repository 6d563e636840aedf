import { z } from 'zod'
import { hasPlainText } from '../plain-data.ts'

const MOST_RECIPIENTS = 20
/** A hundred years. */
const MOST_DAYS = 36_500

/** Days for which something is kept; null: see where it is used. */
export const retentionDays = z.number().int().min(1).max(MOST_DAYS).nullable()

const email = z
  .email()
  .max(254)
  .refine(hasPlainText)
  .transform(address => address.toLowerCase())

/** What a caller changes of the settings; what is absent stays. */
export const organizationChangeSchema = z
  .strictObject({
    language: z.enum(['es', 'en']).optional(),
    notifications: z
      .strictObject({
        recordingAvailable: z.boolean().optional(),
        recordingFailed: z.boolean().optional(),
        coverageAlert: z.boolean().optional(),
        to: z
          .array(email)
          .max(MOST_RECIPIENTS)
          .refine(list => new Set(list).size === list.length, 'names an address twice')
          .optional(),
      })
      .optional(),
    retentionDays: retentionDays.optional(),
  })
  .meta({
    id: 'OrganizationChange',
    example: {
      language: 'es',
      notifications: { recordingAvailable: false, to: ['calidad@clinica.example'] },
      retentionDays: 5475,
    },
  })

export const organizationSchema = z
  .object({
    id: z.uuid(),
    name: z.string(),
    language: z.enum(['es', 'en']).meta({ description: 'Of the mail it gets' }),
    notifications: z
      .object({
        recordingAvailable: z.boolean(),
        recordingFailed: z.boolean(),
        coverageAlert: z.boolean(),
        to: z.array(z.string()).meta({
          description: 'Who gets the mail; empty: the users who are administrators',
        }),
      })
      .meta({ description: 'Which mail its administrators get' }),
    retentionDays: z
      .number()
      .nullable()
      .meta({ description: 'Days after its end for which a meeting is kept; null: for ever' }),
    googleDomain: z.string().nullable().meta({
      description:
        'People of this Google Workspace domain may sign in with Google. Set by whoever runs Testigo ("npm run keys -- google-domain"), who knows whose it is',
    }),
    hosts: z.array(z.string()).meta({
      description:
        'Whom POST /v1/meetings may name as "organizer"; the first is the usual one. Others are added by whoever runs Testigo ("npm run keys -- hosts")',
      example: ['agenda@clinica.example'],
    }),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Organization' })

export type OrganizationChangeBody = z.output<typeof organizationChangeSchema>
export type OrganizationView = z.infer<typeof organizationSchema>
