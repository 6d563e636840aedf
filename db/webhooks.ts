import { randomUUID } from 'node:crypto'
import { and, asc, eq, inArray, isNull, sql } from 'drizzle-orm'
import type { Queryable } from './connect.ts'
import { type Coverage, meetings, presences, recordings, webhookEndpoints } from './schema.ts'
import type { RecordingStatus } from './states.ts'

/** What an endpoint can ask to be told of. Names never change; more may be added. */
export const WEBHOOK_EVENT_TYPES = [
  'meeting.created',
  'meeting.updated',
  'meeting.cancelled',
  'meeting.started',
  'meeting.ended',
  'recording.started',
  'recording.available',
  'recording.partial',
  'recording.failed',
  'participant.joined',
  'participant.left',
  'coverage.alert',
  'webhook.disabled',
] as const
export type WebhookEventType = (typeof WEBHOOK_EVENT_TYPES)[number]

/** Where a transaction tells that a delivery is due; heard by the processes that post. */
export const WEBHOOK_CHANNEL = 'testigo_webhooks'

/** Of every payload's shape. A change that could break a reader makes a new one. */
const PAYLOAD_VERSION = 1

interface NewEvent {
  organizationId: string
  type: WebhookEventType | 'webhook.ping'
  /** When it happened. */
  at: Date
  data: Record<string, unknown>
  meetingId?: string
  recordingId?: string
  /** The same key is told once only, however often its writer comes by. */
  onceKey?: string
  /** Goes to this endpoint alone, whatever it asked to be told of. */
  onlyTo?: string
}

/**
 * Writes an event and a delivery for every enabled endpoint that asked for its type, in the caller's transaction; where
 * nobody asked, nothing. One statement, so that it is whole outside a transaction too.
 * @returns the ids of the deliveries
 */
export function emitEvent(db: Queryable, event: NewEvent): Promise<string[]> {
  return emitEvents(db, event, [event])
}

/** The same for many events of one type, in their order. */
async function emitEvents(
  db: Queryable,
  { organizationId, type, onlyTo }: Pick<NewEvent, 'organizationId' | 'type' | 'onlyTo'>,
  events: readonly Omit<NewEvent, 'organizationId' | 'type' | 'onlyTo'>[],
): Promise<string[]> {
  const listens = onlyTo
    ? sql`id = ${onlyTo}::uuid`
    : sql`(event_types is null or event_types @> to_jsonb(${type}::text))`
  const given = events.map((event, place) => ({
    place,
    id: `evt_${randomUUID().replaceAll('-', '')}`,
    at: event.at,
    data: event.data,
    meeting_id: event.meetingId ?? null,
    recording_id: event.recordingId ?? null,
    once_key: event.onceKey ?? null,
  }))
  // The row's lock waits for one who is deleting the endpoint, whose deliveries could not be written.
  const written = await db.execute<{ id: string }>(sql`
    with listening as (
      select id from webhook_endpoints
      where organization_id = ${organizationId}::uuid and status = 'enabled' and ${listens}
      for key share
    ), given as (
      select * from jsonb_to_recordset(${JSON.stringify(given)}::text::jsonb) as given
        (place int, id text, at timestamptz, data jsonb, meeting_id uuid, recording_id uuid, once_key text)
    ), event as (
      insert into webhook_events (id, organization_id, type, version, occurred_at, payload, meeting_id, recording_id, once_key)
      select id, ${organizationId}::uuid, ${type}, ${PAYLOAD_VERSION}::int, at, data, meeting_id, recording_id, once_key
      from given where exists (select from listening) order by place
      on conflict (once_key) do nothing
      returning id
    ), delivery as (
      insert into webhook_deliveries (id, organization_id, endpoint_id, event_id, next_attempt_at)
      select gen_random_uuid(), ${organizationId}::uuid, listening.id, event.id, now() from listening, event
      returning id
    )
    select id, pg_notify(${WEBHOOK_CHANNEL}, '') from delivery`)
  return written.map(row => row.id)
}

type MeetingEvent = Extract<WebhookEventType, `meeting.${string}`>

/**
 * Tells of a meeting. `created` is told once, when its link is there.
 * @param facts.changed for `meeting.updated`: names of the API's fields that are different now
 */
export function announceMeeting(
  db: Queryable,
  type: MeetingEvent,
  meeting: { id: string; organizationId: string },
  facts: { at: Date; changed?: string[] },
): Promise<void> {
  return announceMeetings(db, type, [meeting], facts)
}

/** The same for many meetings of one organisation. */
export async function announceMeetings(
  db: Queryable,
  type: MeetingEvent,
  told: readonly { id: string; organizationId: string }[],
  facts: { at: Date; changed?: string[] },
): Promise<void> {
  const [first] = told
  if (!first) return
  const { organizationId } = first
  if (!(await somebodyListens(db, organizationId, type))) return
  const isOnce = ['meeting.created', 'meeting.started'].includes(type)
  const described = await describeAll(
    db,
    told.map(({ id }) => id),
  )
  const events = described.map(about => ({
    at: facts.at,
    data: {
      meeting: about.meeting,
      ...(type === 'meeting.ended' ? { recording: about.recording } : {}),
      ...(facts.changed ? { changed: facts.changed } : {}),
    },
    meetingId: about.meeting.id,
    ...(isOnce && { onceKey: `${type}:${about.meeting.id}` }),
  }))
  await emitEvents(db, { organizationId, type }, events)
}

const TOLD_STATUSES: Partial<Record<RecordingStatus, WebhookEventType>> = {
  recording: 'recording.started',
  available: 'recording.available',
  partial: 'recording.partial',
  failed: 'recording.failed',
}

/**
 * Tells that a recording has come to its present status, where that is one to tell. `started` is told once; the others
 * once for each revision of the video, so that one made better by late segments is told again.
 */
export async function announceRecording(
  db: Queryable,
  recording: {
    id: string
    organizationId: string
    meetingId: string
    status: RecordingStatus
    revision: number
  },
  at: Date,
): Promise<void> {
  const { id: recordingId, organizationId, meetingId, status, revision } = recording
  const type = TOLD_STATUSES[status]
  if (!type || !(await somebodyListens(db, organizationId, type))) return
  const data = await describe(db, meetingId)
  const onceKey = `${type}:${recordingId}${type === 'recording.started' ? '' : `:${revision}`}`
  await emitEvent(db, { organizationId, type, at, data, meetingId, recordingId, onceKey })
}

/**
 * Tells that somebody comes into or leaves the call, just before that is written down as a presence. Where two bots see
 * the same person, the first to see them come and the last to see them leave is told of. Our own bots are nobody.
 */
export async function announceParticipant(
  db: Queryable,
  meeting: { id: string; organizationId: string },
  change: { kind: 'joined' | 'left'; personKey: string; name: string | null; at: Date },
): Promise<void> {
  const { id: meetingId, organizationId } = meeting
  const { kind, personKey, name, at } = change
  const type = `participant.${kind}` as const
  if (!(await somebodyListens(db, organizationId, type))) return
  const present = await db
    .select({ id: presences.id })
    .from(presences)
    .where(
      and(
        eq(presences.meetingId, meetingId),
        eq(presences.personKey, personKey),
        eq(presences.source, 'bot'),
        isNull(presences.leftAt),
      ),
    )
    .limit(2)
  if (present.length !== (kind === 'joined' ? 0 : 1)) return
  if (kind === 'joined' && (await isToldOf(db, meetingId, name))) return
  const { meeting: about } = await describe(db, meetingId)
  const data = { meeting: about, participant: { id: personKey, name } }
  await emitEvent(db, { organizationId, type, at, data, meetingId })
}

/** Has Google told of somebody of that name, and so have we, before a bot was there to see them? */
async function isToldOf(db: Queryable, meetingId: string, name: string | null): Promise<boolean> {
  if (name === null) return false
  const rows = await db
    .select({ source: presences.source })
    .from(presences)
    .where(and(eq(presences.meetingId, meetingId), eq(presences.name, name), isNull(presences.leftAt)))
  return (
    rows.filter(({ source }) => source === 'told').length >
    rows.filter(({ source }) => source === 'bot').length
  )
}

/** Tells that somebody came into or left a call in which none of our bots is, as Google told us. Once for each stay. */
export async function announceToldParticipant(
  db: Queryable,
  meeting: { id: string; organizationId: string },
  change: { kind: 'joined' | 'left'; session: string; name: string | null; at: Date },
): Promise<void> {
  const { id: meetingId, organizationId } = meeting
  const { kind, session: id, name, at } = change
  const type = `participant.${kind}` as const
  if (!(await somebodyListens(db, organizationId, type))) return
  const { meeting: about } = await describe(db, meetingId)
  const data = { meeting: about, participant: { id, name } }
  await emitEvent(db, { organizationId, type, at, data, meetingId, onceKey: `${type}:${id}` })
}

/** Tells that too little of a call is in its recording. */
export async function announceCoverageAlert(
  db: Queryable,
  recording: { id: string; organizationId: string; meetingId: string },
  alert: { coverage: Coverage; thresholdPercent: number; at: Date },
): Promise<void> {
  const { id: recordingId, organizationId, meetingId } = recording
  const type = 'coverage.alert'
  if (!(await somebodyListens(db, organizationId, type))) return
  const { coverage, thresholdPercent, at } = alert
  const data = { ...(await describe(db, meetingId)), coverage, thresholdPercent }
  await emitEvent(db, { organizationId, type, at, data, meetingId, recordingId })
}

// Asked before a payload is put together: most organisations listen to little or nothing.
async function somebodyListens(
  db: Queryable,
  organizationId: string,
  type: WebhookEventType,
): Promise<boolean> {
  const [one] = await db
    .select({ id: webhookEndpoints.id })
    .from(webhookEndpoints)
    .where(
      and(
        eq(webhookEndpoints.organizationId, organizationId),
        eq(webhookEndpoints.status, 'enabled'),
        sql`(${webhookEndpoints.eventTypes} is null or ${webhookEndpoints.eventTypes} @> to_jsonb(${type}::text))`,
      ),
    )
    .limit(1)
  return one !== undefined
}

/** A meeting and its recording as every payload shows them, read as the transaction has left them. */
async function describe(db: Queryable, meetingId: string) {
  const [described] = await describeAll(db, [meetingId])
  if (!described) throw new Error(`meeting ${meetingId} is not there to be told of`)
  return described
}

async function describeAll(db: Queryable, meetingIds: readonly string[]) {
  const rows = await db
    .select({ meeting: meetings, recording: recordings })
    .from(meetings)
    .innerJoin(recordings, eq(recordings.meetingId, meetings.id))
    .where(inArray(meetings.id, [...meetingIds]))
    .orderBy(asc(meetings.startsAt), asc(meetings.id))
  if (rows.length < meetingIds.length) throw new Error('a meeting that is to be told of is not there')
  return rows.map(payloadOf)
}

function payloadOf({
  meeting,
  recording,
}: {
  meeting: typeof meetings.$inferSelect
  recording: typeof recordings.$inferSelect
}) {
  const { relatedType, relatedId } = meeting
  return {
    meeting: {
      id: meeting.id,
      externalId: meeting.externalId,
      topic: meeting.topic,
      start: iso(meeting.startsAt),
      end: iso(meeting.endsAt),
      timeZone: meeting.timeZone,
      status: meeting.status,
      joinUrl: meeting.joinUrl,
      related: relatedType !== null && relatedId !== null ? { type: relatedType, id: relatedId } : null,
      actualStart: iso(meeting.actualStart),
      actualEnd: iso(meeting.actualEnd),
    },
    recording: {
      id: recording.id,
      status: recording.status,
      ending: recording.ending,
      revision: recording.revision,
      startedAt: iso(recording.startedAt),
      endedAt: iso(recording.endedAt),
      availableAt: iso(recording.availableAt),
      durationMs: recording.durationMs,
      sizeBytes: recording.sizeBytes,
      sha256: recording.sha256,
    },
  }
}

function iso(at: Date | null): string | null {
  return at?.toISOString() ?? null
}
