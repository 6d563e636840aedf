import { z } from 'zod'
import { ENDING_WORDS } from '../db/endings.ts'
import { MEETING_STATUSES, RECORDING_STATUSES } from '../db/states.ts'
import { PROBLEMS, type ProblemCode } from './problem.ts'

/** What callers get to see: the shapes of answers, as the OpenAPI document shows them. Instants are UTC. */

const instant = z.iso.datetime().meta({ example: '2026-11-23T15:00:00.000Z' })
const maybe = <Schema extends z.ZodType>(schema: Schema) => schema.nullable()

const endingWord = z
  .enum(ENDING_WORDS)
  .meta({ id: 'EndingWord', description: 'Why it ended. Accept words that are added later' })

const endingView = z
  .object({
    word: endingWord,
    scope: z.enum(['meeting', 'account', 'recorder', 'outside']).meta({ description: 'Whose matter it is' }),
    en: z.string(),
    es: z.string(),
  })
  .meta({ id: 'Ending' })

const invitedView = z
  .object({ email: z.string(), name: maybe(z.string()), role: z.enum(['host', 'participant']) })
  .meta({ id: 'InvitedPerson' })

const meetingFields = {
  id: z.uuid(),
  externalId: maybe(z.string()),
  topic: z.string(),
  description: maybe(z.string()),
  start: instant,
  end: instant,
  timeZone: z.string(),
  status: z.enum(MEETING_STATUSES),
  provider: z.string().meta({ example: 'google_meet' }),
  organizer: z.string().meta({ description: 'Workspace user whose calendar holds the event' }),
  joinUrl: maybe(z.string()).meta({ description: 'Null until Google has made the call' }),
  meetingCode: maybe(z.string()),
  google: z.enum(['up_to_date', 'pending']).meta({
    description: '"pending": the last change has not reached Google yet; it is tried again until it has',
  }),
  space: maybe(
    z.object({
      accessType: z.string().optional(),
      autoRecording: z.enum(['on', 'refused', 'not_asked']).optional(),
      refusals: z
        .array(z.string())
        .meta({ description: 'What Meet refused; the meeting takes place all the same' }),
    }),
  ),
  related: maybe(z.object({ type: z.string(), id: z.string() })),
  customFields: maybe(z.record(z.string(), z.unknown())),
  patience: z.record(z.string(), z.number()),
  redundancy: z.number(),
  recording: z.object({ status: z.enum(RECORDING_STATUSES), ending: maybe(endingWord) }),
  actualStart: maybe(instant),
  actualEnd: maybe(instant),
  createdAt: instant,
  updatedAt: instant,
  cancelledAt: maybe(instant),
}

const listedMeeting = z.object(meetingFields).meta({ id: 'ListedMeeting' })
export const meetingViewSchema = z
  .object({ ...meetingFields, participants: z.array(invitedView) })
  .meta({ id: 'Meeting' })

export const meetingListSchema = z
  .object({
    items: z.array(listedMeeting),
    nextCursor: maybe(z.string()).meta({ description: 'Null on the last page' }),
  })
  .meta({ id: 'MeetingList' })

const stay = { joinedAt: instant, leftAt: maybe(instant) }
export const participantsViewSchema = z
  .object({
    invited: z.array(invitedView.extend({ stays: z.array(z.object(stay)) }).meta({ id: 'InvitedWithStays' })),
    presences: z
      .array(
        z.object({
          name: maybe(z.string()),
          email: maybe(z.string()).meta({
            description: 'Of the invited person with this very name, if there is one',
          }),
          ...stay,
        }),
      )
      .meta({ description: 'Everybody the bot saw in the call, by the time they came' }),
  })
  .meta({ id: 'Participants' })

export const recordingViewSchema = z
  .object({
    meetingId: z.uuid(),
    status: z.enum(RECORDING_STATUSES),
    ending: maybe(endingView),
    startedAt: maybe(instant),
    endedAt: maybe(instant),
    availableAt: maybe(instant),
    durationMs: maybe(z.int()),
    sizeBytes: maybe(z.int()),
    sha256: maybe(z.string()),
    checks: maybe(z.record(z.string(), z.looseObject({ ok: z.boolean(), detail: z.string() }))),
    s3: maybe(z.object({ url: z.url(), expiresAt: instant })).meta({
      description: 'A download link, made anew for each answer',
    }),
    drive: z.object({
      status: z.enum(['none', 'pending', 'uploaded', 'failed']),
      link: maybe(z.string()),
      error: maybe(z.string()),
    }),
    attempts: z.array(
      z.object({
        number: z.int(),
        startedAt: instant,
        admittedAt: maybe(instant),
        endedAt: maybe(instant),
        ending: maybe(endingView),
        segments: z.int(),
        recordedMs: z.int(),
      }),
    ),
  })
  .meta({ id: 'Recording' })

const problemCode = z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]])

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: problemCode,
    instance: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), code: problemCode, message: z.string() })).optional(),
    meetingId: z.uuid().optional(),
    joinUrl: maybe(z.string()).optional(),
    retryAfterSeconds: z.int().optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem document; "code" is stable' })

export type MeetingView = z.infer<typeof meetingViewSchema>
export type ListedMeeting = z.infer<typeof listedMeeting>
export type ParticipantsView = z.infer<typeof participantsViewSchema>
export type RecordingView = z.infer<typeof recordingViewSchema>
export type EndingView = z.infer<typeof endingView>
