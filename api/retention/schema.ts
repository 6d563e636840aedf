import { z } from 'zod'
import { RECORDING_STATUSES } from '../../db/states.ts'
import { dateTime } from '../meetings.schema.ts'
import { retentionDays } from '../organization/schema.ts'
import { hasPlainText } from '../plain-data.ts'

const instant = z.iso.datetime()
const reason = z.string().trim().min(1).max(500).refine(hasPlainText, {
  error: 'must not contain NUL or half characters',
})

export const previewQuerySchema = z.strictObject({
  at: dateTime.optional().meta({ description: 'What would be erased then; now unless given' }),
  retentionDays: z.coerce
    .number()
    .int()
    .min(1)
    .max(36_500)
    .optional()
    .meta({ description: "In the place of the organisation's setting: what would such a setting erase?" }),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.uuid().optional(),
})

export const meetingRetentionChangeSchema = z
  .strictObject({
    retentionDays: retentionDays
      .optional()
      .meta({ description: "In the place of the organisation's; null: as the organisation has it" }),
    legalHold: z
      .boolean()
      .optional()
      .meta({ description: 'Nothing of the meeting is erased while it is true' }),
    legalHoldReason: reason.nullish(),
  })
  .meta({ id: 'MeetingRetentionChange', example: { legalHold: true, legalHoldReason: 'Proceso 2031-114' } })

export const meetingRetentionSchema = z
  .object({
    meetingId: z.uuid(),
    retentionDays: z.number().nullable().meta({ description: "The meeting's own; null: the organisation's" }),
    legalHold: z.boolean(),
    legalHoldReason: z.string().nullable(),
    keptUntil: instant.nullable().meta({
      description: 'Erased within a day after that, unless held; null: kept for ever, or not over yet',
    }),
    erasingSince: instant.nullable().meta({ description: 'Since then nothing stops it any more' }),
    blockedUntil: instant.nullable().meta({ description: 'Object Lock keeps objects of it until then' }),
    erasedAt: instant.nullable().meta({ description: 'Since then all that is left is that it took place' }),
  })
  .meta({ id: 'MeetingRetention' })

export const retentionPreviewSchema = z
  .object({
    at: instant,
    retentionDays: z.number().nullable().meta({ description: "The organisation's, as assumed here" }),
    held: z.number().meta({ description: 'Meetings that are due and under legal hold' }),
    items: z.array(
      z.object({
        meetingId: z.uuid(),
        recordingId: z.uuid(),
        recordingStatus: z.enum(RECORDING_STATUSES),
        dueAt: instant,
        retentionDays: z.number(),
        setBy: z.enum(['meeting', 'organization']),
        sizeBytes: z.number().nullable().meta({ description: 'Of the video' }),
        inDrive: z.boolean(),
        googleRecordings: z.number(),
        blockedUntil: instant.nullable(),
      }),
    ),
    nextCursor: z.string().nullable().meta({ description: 'Null on the last page' }),
  })
  .meta({ id: 'RetentionPreview' })

const MOST_NAMES = 20

export const erasureRequestSchema = z
  .strictObject({
    email: z
      .email()
      .max(254)
      .transform(address => address.toLowerCase()),
    names: z
      .array(z.string().trim().min(2).max(200).refine(hasPlainText))
      .max(MOST_NAMES)
      .default([])
      .meta({ description: 'Names by which the person appeared in calls, beside those on invitations' }),
  })
  .meta({ id: 'ErasureRequest', example: { email: 'paciente@correo.example', names: ['Ana Ruiz'] } })

export const erasureSchema = z
  .object({
    id: z.uuid().meta({ description: 'Also the subject of its entry in the audit log: erasure:<id>' }),
    pseudonym: z.string().meta({ description: 'Stands where the address stood' }),
    participants: z.number(),
    presences: z.number(),
    meetingEvents: z.number(),
    webhookEvents: z.number(),
    mails: z.number(),
    seriesTemplates: z
      .number()
      .meta({ description: 'Series that are over: what their meetings were made by' }),
    recordings: z
      .array(
        z.object({
          meetingId: z.uuid(),
          recordingId: z.uuid(),
          status: z.enum(RECORDING_STATUSES),
          startedAt: instant.nullable(),
        }),
      )
      .meta({ description: 'Recordings in which the person may be seen and heard. They are not edited' }),
    held: z.array(z.uuid()).meta({ description: 'Meetings under legal hold: not touched' }),
    upcoming: z.array(z.uuid()).meta({
      description: 'Meetings that are not over: not touched. Take the person off them and ask again',
    }),
    upcomingSeries: z.array(z.uuid()).meta({
      description: 'Series that go on: not touched. Take the person off them and ask again',
    }),
    userId: z
      .uuid()
      .nullable()
      .meta({ description: 'The person is a user too; disable or change them apart' }),
  })
  .meta({ id: 'Erasure' })

export type PreviewQuery = z.output<typeof previewQuerySchema>
export type MeetingRetentionChangeBody = z.output<typeof meetingRetentionChangeSchema>
export type MeetingRetentionView = z.infer<typeof meetingRetentionSchema>
export type RetentionPreview = z.infer<typeof retentionPreviewSchema>
