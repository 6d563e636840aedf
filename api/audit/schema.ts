import { z } from 'zod'
import { dateTime } from '../meetings.schema.ts'
import { hasPlainText } from '../plain-data.ts'

const word = z.string().trim().min(1).max(200).refine(hasPlainText, {
  error: 'must not contain NUL or half characters',
})

const filter = {
  actor: word.optional().meta({ description: 'Who, whole', example: 'api_key:1a2b3c4d' }),
  action: word
    .optional()
    .meta({ description: 'What, whole, or all that is done to a thing', example: 'meeting.*' }),
  subject: word
    .optional()
    .meta({ description: 'To what', example: 'meeting:018f6d3c-0000-7000-8000-000000000000' }),
  from: dateTime.optional().meta({ description: 'At or after' }),
  to: dateTime.optional().meta({ description: 'Before' }),
}

export const auditQuerySchema = z.strictObject({
  ...filter,
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().optional(),
})

export const auditExportQuerySchema = z.strictObject(filter)

const hash = z.string().regex(/^[0-9a-f]{64}$/)

export const auditEntrySchema = z
  .object({
    seq: z.number().meta({ description: '1, 2, 3 … without holes within the organisation' }),
    at: z.iso.datetime().meta({ description: 'When it was done', example: '2026-11-23T15:00:00.000Z' }),
    organizationId: z.uuid(),
    actor: z.string().meta({
      description:
        'api_key:<prefix>, client:<prefix>, user:<id>, recorder:<name>, job:<name> or google. Accept others too',
      example: 'api_key:1a2b3c4d',
    }),
    action: z.string().meta({ example: 'meeting.changed' }),
    subject: z.string().meta({ example: 'meeting:018f6d3c-0000-7000-8000-000000000000' }),
    detail: z.record(z.string(), z.unknown()).meta({
      description:
        'before and after: the fields that changed, people by the id of their row and free text by its SHA-256; from: ip, userAgent, requestId of the request. More for single actions',
      example: {
        before: { end: '2026-11-23T16:00:00.000Z' },
        after: { end: '2026-11-23T16:30:00.000Z' },
        from: { ip: '203.0.113.7', userAgent: 'XOMA', requestId: '8c1f0f0e' },
      },
    }),
    prevHash: hash.meta({ description: 'hash of the entry before; 64 zeros for the first' }),
    hash: hash.meta({
      description:
        'SHA-256 of the canonical JSON (RFC 8785) of all the other members; how to check it: docs/evidence.md',
    }),
  })
  .meta({ id: 'AuditEntry' })

export const auditListSchema = z
  .object({
    items: z.array(auditEntrySchema),
    nextCursor: z.string().nullable().meta({ description: 'Null on the last page' }),
  })
  .meta({ id: 'AuditList' })

export type AuditEntryView = z.infer<typeof auditEntrySchema>
