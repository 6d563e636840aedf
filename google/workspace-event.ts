import { z } from 'zod'

/** Something that Workspace Events tells through Pub/Sub. Every one may come twice, late, and in any order. */
export interface WorkspaceEvent {
  /** The same however often and however late it is told: what repetitions are known by. */
  eventId: string
  /** Whole type, e.g. `google.workspace.meet.conference.v2.started`. */
  type: string
  happenedAt: Date
  /** Name of our subscription, `subscriptions/…`. */
  subscription: string
  /** Canonical `spaces/…` in whose call it happened; null for the life of a subscription. */
  space: string | null
  about: WorkspaceEventSubject
}

/** Names only: what they stand for is asked of Meet (google-apis.md §3). */
export type WorkspaceEventSubject =
  | { conference: string }
  | { participantSession: string }
  | { recording: string }
  | {
      lifecycle: 'suspended' | 'expiration_reminder' | 'expired'
      suspensionReason: string | null
      expiresAt: Date | null
    }
  | { other: true }

/** A body that is no push of Pub/Sub with an event of Workspace in it. The message says what is missing. */
export class NotAWorkspaceEvent extends Error {
  override readonly name = 'NotAWorkspaceEvent'
}

const SUBSCRIPTION_PREFIX = '//workspaceevents.googleapis.com/'
const SPACE_PREFIX = '//meet.googleapis.com/'
const LIFECYCLE_PREFIX = 'google.workspace.events.subscription.v1.'
const LIFECYCLE = {
  suspended: 'suspended',
  expirationReminder: 'expiration_reminder',
  expired: 'expired',
} as const

const pushSchema = z.object({
  message: z.object({
    attributes: z.object({
      'ce-id': z.string().min(1),
      'ce-type': z.string().min(1),
      'ce-source': z.string().startsWith(SUBSCRIPTION_PREFIX),
      'ce-subject': z.string().default(''),
      'ce-time': z.iso.datetime({ offset: true }),
    }),
    data: z.base64().default(''),
  }),
})

const named = z.object({ name: z.string().min(1) })
const dataSchema = z.object({
  conferenceRecord: named.optional(),
  participantSession: named.optional(),
  recording: named.optional(),
  subscription: z.record(z.string(), z.unknown()).optional(),
})

/**
 * Reads the body of a Pub/Sub push (google-apis.md §3, §6.2). Events of a kind that we do not know are read too.
 * @throws {NotAWorkspaceEvent}
 */
export function readWorkspaceEvent(body: unknown): WorkspaceEvent {
  const push = pushSchema.safeParse(body)
  if (!push.success) throw new NotAWorkspaceEvent(z.prettifyError(push.error))
  const { attributes, data } = push.data.message
  const content = dataSchema.safeParse(parseData(data))
  if (!content.success) throw new NotAWorkspaceEvent(z.prettifyError(content.error))
  const [, space] = /^(spaces\/[^/]+)/.exec(attributes['ce-subject'].replace(SPACE_PREFIX, '')) ?? []
  return {
    eventId: attributes['ce-id'],
    type: attributes['ce-type'],
    happenedAt: new Date(attributes['ce-time']),
    subscription: attributes['ce-source'].slice(SUBSCRIPTION_PREFIX.length),
    space: space ?? null,
    about: subjectOf(attributes['ce-type'], content.data),
  }
}

function parseData(data: string): unknown {
  try {
    return JSON.parse(Buffer.from(data, 'base64').toString('utf8')) as unknown
  } catch (cause) {
    throw new NotAWorkspaceEvent('message.data is not JSON in base64', { cause })
  }
}

function subjectOf(type: string, data: z.infer<typeof dataSchema>): WorkspaceEventSubject {
  const stage = type.startsWith(LIFECYCLE_PREFIX) ? type.slice(LIFECYCLE_PREFIX.length) : ''
  if (isLifecycle(stage)) {
    // Google's samples are in snake_case, its API in camelCase: both are taken.
    const of = data.subscription ?? {}
    const text = (...names: string[]) => names.map(name => of[name]).find(value => typeof value === 'string')
    const expiresAt = text('expire_time', 'expireTime')
    return {
      lifecycle: LIFECYCLE[stage],
      suspensionReason: text('suspension_reason', 'suspensionReason') ?? null,
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt),
    }
  }
  if (data.conferenceRecord) return { conference: data.conferenceRecord.name }
  if (data.participantSession) return { participantSession: data.participantSession.name }
  if (data.recording) return { recording: data.recording.name }
  return { other: true }
}

function isLifecycle(stage: string): stage is keyof typeof LIFECYCLE {
  return stage in LIFECYCLE
}
