import { randomUUID } from 'node:crypto'
import { asc, eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApiKey } from '../../db/api-keys.ts'
import { markAdmitted, openAttempt } from '../../db/attempts.ts'
import { type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { insertMeeting } from '../../db/meetings.ts'
import { endMeeting, moveRecording, notePresence } from '../../db/recordings.ts'
import { type Coverage, recordings, webhookEvents } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { disableEndpoint, insertEndpoint, lockEndpoint } from '../../db/webhook-endpoints.ts'
import { announceCoverageAlert } from '../../db/webhooks.ts'
import { envelopeOf } from './envelope.ts'
import { envelopeSchema } from './events.schema.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let organizationId: string

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  organizationId = (
    await createApiKey(database.db, { organization: 'Clínica Andina', name: 'test', role: 'admin' })
  ).organizationId
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

async function newEndpoint() {
  const id = randomUUID()
  const row = {
    id,
    organizationId,
    url: 'https://erp.example/',
    description: null,
    eventTypes: null,
    secrets: [],
  }
  await database.db.transaction(tx => insertEndpoint(tx, row))
  return id
}

async function newMeeting() {
  const id = randomUUID()
  const row = {
    id,
    organizationId,
    organizer: 'agenda@clinica.example',
    eventId: id.replaceAll('-', ''),
    topic: 'Comité',
    description: null,
    startsAt: new Date('2031-01-01T10:00:00Z'),
    endsAt: new Date('2031-01-01T11:00:00Z'),
    timeZone: 'America/Bogota',
    externalId: null,
    relatedType: 'case',
    relatedId: '17',
    customFields: null,
    patience: {},
    redundancy: 1,
    participants: [],
  }
  await database.db.transaction(tx => insertMeeting(tx, row, 'test'))
  const [recording] = await database.db.select().from(recordings).where(eq(recordings.meetingId, id))
  if (!recording) throw new Error('the recording is missing')
  return { id, recordingId: recording.id }
}

const at = new Date('2031-01-01T10:00:30.500Z')
const actor = 'test'

async function recordedUntil(outcome: 'available' | 'partial' | 'failed') {
  const meeting = await newMeeting()
  const { db } = database
  const opened = await db.transaction(tx =>
    openAttempt(tx, meeting.recordingId, { recorder: 'host:1', botAccount: null }),
  )
  if (opened.kind !== 'opened') throw new Error('no attempt')
  const of = { organizationId, meetingId: meeting.id, attemptId: opened.attempt.id }
  await db.transaction(tx => markAdmitted(tx, opened.attempt.id, at, actor))
  for (const kind of ['joined', 'left'] as const)
    await notePresence(db, of, { personKey: 'devices/7', name: 'Ana Ruiz', kind, at })
  await db.transaction(async tx => {
    await moveRecording(tx, meeting.recordingId, 'finishing', { actor, ending: 'call_ended_by_host' })
    await endMeeting(tx, meeting.id, at)
  })
  const set = { revision: 1, durationMs: 60_000, sizeBytes: 1234, sha256: 'ab'.repeat(32), availableAt: at }
  await db.transaction(tx =>
    moveRecording(tx, meeting.recordingId, outcome, { actor, ...(outcome === 'failed' ? {} : { set }) }),
  )
  return meeting
}

async function toldOf(meetingId: string | null) {
  const rows = await database.db.select().from(webhookEvents).orderBy(asc(webhookEvents.sequence))
  // As it is sent, so that what JSON cannot carry would be seen.
  return rows
    .filter(row => row.meetingId === meetingId)
    .map(row => JSON.parse(JSON.stringify(envelopeOf(row))) as ReturnType<typeof envelopeOf>)
}

/** A schema leaves out what it does not know: equal means that every field is in the document. */
function expectDocumented(event: ReturnType<typeof envelopeOf>) {
  expect(envelopeSchema(event.type as Parameters<typeof envelopeSchema>[0]).parse(event)).toEqual(event)
}

test.each(['available', 'partial', 'failed'] as const)(
  'a call whose recording is %s in the end is told step by step, as the document says',
  async outcome => {
    await newEndpoint()
    const { id } = await recordedUntil(outcome)
    const told = await toldOf(id)
    expect(told.map(({ type }) => type)).toEqual([
      'recording.started',
      'meeting.started',
      'participant.joined',
      'participant.left',
      'meeting.ended',
      `recording.${outcome}`,
    ])
    for (const event of told) expectDocumented(event)
    expect(told[4]?.data).toMatchObject({ meeting: { status: 'ended' }, recording: { status: 'finishing' } })
    expect(told[5]?.data).toMatchObject({
      meeting: { id, related: { type: 'case', id: '17' } },
      recording: { status: outcome, ending: 'call_ended_by_host', revision: outcome === 'failed' ? 0 : 1 },
    })
  },
)

test('coverage that is too low, and a webhook that was disabled, are told as the document says', async () => {
  const endpointId = await newEndpoint()
  const { id, recordingId } = await newMeeting()
  const gap = { from: at.toISOString(), to: at.toISOString(), ms: 0, reason: 'segment_lost' as const }
  const coverage: Coverage = {
    source: 'google',
    final: true,
    percent: 71.5,
    humanMs: 1000,
    recordedMs: 715,
    gaps: [gap],
  }
  const recording = { id: recordingId, organizationId, meetingId: id }
  await announceCoverageAlert(database.db, recording, { coverage, thresholdPercent: 98, at })
  await database.db.transaction(async tx => {
    const row = await lockEndpoint(tx, organizationId, endpointId)
    if (row) await disableEndpoint(tx, row, 'gone', at)
  })
  const told = [...(await toldOf(id)), ...(await toldOf(null))]
  expect(told.map(({ type }) => type)).toEqual(['coverage.alert', 'webhook.disabled'])
  for (const event of told) expectDocumented(event)
})
