import { z } from 'zod'
import { ENDING_WORDS } from '../db/endings.ts'
import { GAP_REASON_WORDS } from '../db/gap-reasons.ts'
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
  .object({
    id: z.uuid(),
    email: z.string(),
    name: maybe(z.string()),
    role: z.enum(['host', 'participant']),
    response: z
      .enum(['needs_action', 'accepted', 'tentative', 'declined'])
      .meta({ description: 'To the invitation, as the calendar has it' }),
  })
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
  reminders: z.array(
    z.object({
      channel: z.enum(['email', 'popup']),
      amount: z.int(),
      unit: z.enum(['minutes', 'hours', 'days', 'weeks']),
    }),
  ),
  series: maybe(
    z.object({
      id: z.uuid(),
      originalStart: instant.meta({
        description: 'The start that the rule gave it, also after it was moved',
      }),
    }),
  ).meta({ description: 'The series whose meeting it is' }),
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

const ms = z.int().min(0)

const gapView = z
  .object({
    from: instant,
    to: instant,
    ms,
    reason: z.enum([...ENDING_WORDS, ...GAP_REASON_WORDS]).meta({
      description:
        'The ending of the attempt before the gap, or: "not_yet_recording" before the first picture, "ended_too_early" after the last one, "segment_lost" for a piece that was recorded and is gone',
    }),
    en: z.string(),
    es: z.string(),
  })
  .meta({ id: 'Gap', description: 'A stretch of time that is missing' })

const coverageView = z
  .object({
    source: z.enum(['google', 'bot']).meta({
      description:
        "Whose word it is who was there: Google's own record of the conference, or what the bot saw",
    }),
    final: z.boolean().meta({ description: "Google's record does not change any more" }),
    percent: maybe(z.number().min(0).max(100)).meta({
      description: 'Recorded part of the time in which a person was in the call; null when nobody ever was',
    }),
    humanMs: ms.meta({ description: 'How long at least one person was in the call' }),
    recordedMs: ms.meta({ description: 'How much of that is in the recording' }),
    gaps: z
      .array(gapView)
      .meta({ description: 'What is missing of it; with recordedMs it makes up humanMs' }),
    alertedAt: maybe(instant).meta({
      description: 'When it was found that too little of the call, or nothing, is in the recording',
    }),
  })
  .meta({ id: 'Coverage' })

const link = z.object({ url: z.url(), expiresAt: instant })

const stay = { joinedAt: instant, leftAt: maybe(instant) }
export const participantViewSchema = invitedView
  .extend({
    respondedAt: maybe(instant),
    joinedAt: maybe(instant).meta({ description: 'When they first came into the call' }),
    leftAt: maybe(instant).meta({
      description: 'When they last left it; null while they are in it, or where they never came',
    }),
    stays: z.array(z.object(stay)),
    invitedAt: instant,
  })
  .meta({ id: 'Participant' })
export const participantsViewSchema = z
  .object({
    invited: z.array(participantViewSchema),
    presences: z
      .array(
        z.object({
          name: maybe(z.string()),
          email: maybe(z.string()).meta({
            description: 'Of the invited person with this very name, if there is one',
          }),
          ...stay,
          bot: z.boolean().meta({ description: 'A recording or note-taking bot, not a person' }),
        }),
      )
      .meta({ description: 'Everybody who was in the call, by the time they came; one entry for each stay' }),
    source: z.enum(['google', 'bot']).meta({
      description:
        "Whose word that is: Google's own record of the conference, complete some time after the call, or until then what the bot saw",
    }),
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
    revision: z.int().meta({
      description: 'Counts the videos: pieces that reach the bucket late make a new one. 0 before the first',
    }),
    checks: maybe(z.record(z.string(), z.looseObject({ ok: z.boolean(), detail: z.string() }))),
    s3: maybe(link).meta({ description: 'A download link, made anew for each answer' }),
    manifest: maybe(link.extend({ sha256: maybe(z.string()) })).meta({
      description:
        'A link to the JSON manifest: segments and files with their SHA-256, the timeline, the gaps. Its own SHA-256 stands in the audit log',
    }),
    timeline: maybe(
      z.array(
        z.object({
          fileStartMs: ms,
          fileEndMs: ms,
          clockStart: instant,
          clockEnd: instant,
          attempt: z.int().meta({ description: 'Number of the attempt that recorded it' }),
        }),
      ),
    ).meta({
      description: 'Which stretch of the video was recorded when, to the millisecond; one for each chapter',
    }),
    gaps: maybe(z.array(gapView)).meta({
      description: 'What is missing between the first and the last picture, whoever was there',
    }),
    coverage: maybe(coverageView).meta({
      description: 'Null until it is worked out after the call',
    }),
    native: z
      .array(
        z.object({
          startedAt: maybe(instant),
          endedAt: maybe(instant),
          sizeBytes: z.int(),
          sha256: z.string(),
          driveFileId: z.string(),
          s3: link,
        }),
      )
      .meta({ description: 'What Google itself recorded, copied to the bucket as a second source' }),
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
export type MeetingList = z.infer<typeof meetingListSchema>
export type ListedMeeting = z.infer<typeof listedMeeting>
export type ParticipantView = z.infer<typeof participantViewSchema>
export type ParticipantsView = z.infer<typeof participantsViewSchema>
export type RecordingView = z.infer<typeof recordingViewSchema>
export type EndingView = z.infer<typeof endingView>
