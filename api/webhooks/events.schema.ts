import { z } from 'zod'
import { ENDING_WORDS } from '../../db/endings.ts'
import { MEETING_STATUSES, RECORDING_STATUSES } from '../../db/states.ts'
import type { WebhookEventType } from '../../db/webhooks.ts'

/** What is posted to webhooks, as the OpenAPI document shows it. Fields may be added; see `version`. */

const instant = z.iso.datetime().meta({ example: '2026-11-23T15:00:00.000Z' })
const maybe = <Schema extends z.ZodType>(schema: Schema) => schema.nullable()

const meeting = z
  .object({
    id: z.uuid(),
    externalId: maybe(z.string()),
    topic: z.string(),
    start: instant,
    end: instant,
    timeZone: z.string(),
    status: z.enum(MEETING_STATUSES),
    joinUrl: maybe(z.string()),
    related: maybe(z.object({ type: z.string(), id: z.string() })),
    actualStart: maybe(instant),
    actualEnd: maybe(instant),
  })
  .meta({ id: 'EventMeeting' })

const recording = z
  .object({
    id: z.uuid(),
    status: z.enum(RECORDING_STATUSES),
    ending: maybe(z.enum(ENDING_WORDS)),
    revision: z.int().meta({ description: 'Counts the finished videos: late segments make a new one' }),
    startedAt: maybe(instant),
    endedAt: maybe(instant),
    availableAt: maybe(instant),
    durationMs: maybe(z.int()),
    sizeBytes: maybe(z.int()),
    sha256: maybe(z.string()),
  })
  .meta({
    id: 'EventRecording',
    description: 'A link to the video is made by GET /v1/meetings/{id}/recording; it is never sent',
  })

const gap = z.object({ from: instant, to: instant, ms: z.int(), reason: z.string() })
const coverage = z
  .object({
    source: z.enum(['google', 'bot']),
    final: z.boolean(),
    percent: maybe(z.number()),
    humanMs: z.int(),
    recordedMs: z.int(),
    gaps: z.array(gap),
  })
  .meta({ id: 'EventCoverage' })

const ofMeeting = z.object({ meeting })
const ofRecording = z.object({ meeting, recording })
const ofParticipant = z.object({
  meeting,
  participant: z.object({
    id: z.string().meta({ description: 'The same when they come and when they leave' }),
    name: maybe(z.string()),
  }),
})

interface Told {
  summary: string
  data: z.ZodObject
}

/** Every type of event: what it says and what its `data` holds. */
export const EVENTS: Record<WebhookEventType | 'webhook.ping', Told> = {
  'meeting.created': {
    summary: 'A meeting exists: it has its link, and people are invited',
    data: ofMeeting,
  },
  'meeting.updated': {
    summary: 'A meeting was changed',
    data: ofMeeting.extend({ changed: z.array(z.string()).meta({ example: ['start', 'end'] }) }),
  },
  'meeting.cancelled': { summary: 'A meeting was cancelled', data: ofMeeting },
  'meeting.started': {
    summary: 'A meeting is on: the bot is in the call, or Google tells that people are',
    data: ofMeeting,
  },
  'meeting.ended': {
    summary: 'A meeting is over; its recording tells whether it was held',
    data: ofRecording,
  },
  'recording.started': { summary: 'The call is being recorded', data: ofRecording },
  'recording.available': {
    summary: 'The video can be downloaded; told again for a later revision of it',
    data: ofRecording,
  },
  'recording.partial': {
    summary: 'The video can be downloaded, and parts of the call are missing',
    data: ofRecording,
  },
  'recording.failed': { summary: 'There is no video of the meeting; "ending" says why', data: ofRecording },
  'participant.joined': { summary: 'Somebody came into the call', data: ofParticipant },
  'participant.left': { summary: 'Somebody left the call', data: ofParticipant },
  'coverage.alert': {
    summary: 'Less of the call is in the recording than there should be',
    data: ofRecording.extend({ coverage, thresholdPercent: z.number() }),
  },
  'webhook.disabled': {
    summary: 'Another webhook of the organisation was disabled, because it fails or answered 410',
    data: z.object({
      webhook: z.object({
        id: z.uuid(),
        url: z.string(),
        reason: z.enum(['gone', 'failing']),
        failingSince: maybe(instant),
      }),
    }),
  },
  'webhook.ping': {
    summary: 'A test, asked for with POST /v1/webhooks/{id}/test',
    data: z.object({ webhook: z.object({ id: z.uuid() }) }),
  },
}

/** The whole body of a post. */
export function envelopeSchema(type: keyof typeof EVENTS) {
  return z.object({
    id: z
      .string()
      .meta({ description: 'The header webhook-id; the same for every post of the event', example: 'evt_…' }),
    type: z.literal(type),
    version: z.literal(1).meta({
      description:
        'Of the shape of "data". Fields may be added to it; a change that could break a reader counts it up',
    }),
    occurredAt: instant,
    sequence: z.int().meta({
      description: 'Grows, with holes: of two events about one meeting the greater is the newer',
    }),
    organizationId: z.uuid(),
    data: EVENTS[type].data,
  })
}
