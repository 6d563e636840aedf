import { randomUUID } from 'node:crypto'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createApiKey } from './api-keys.ts'
import { type OpenDatabase, openDatabase } from './connect.ts'
import { cancelMeeting, changeMeeting, insertMeeting, lockMeeting } from './meetings.ts'
import {
  meetings,
  presences,
  recordings,
  webhookDeliveries,
  webhookEndpoints,
  webhookEvents,
} from './schema.ts'
import { openTestDatabase } from './test-database.ts'
import {
  deleteEndpoint,
  disableEndpoint,
  type EndpointRow,
  insertEndpoint,
  lockEndpoint,
  MOST_ENDPOINTS,
} from './webhook-endpoints.ts'
import {
  announceCoverageAlert,
  announceMeeting,
  announceParticipant,
  announceRecording,
  emitEvent,
  type WebhookEventType,
} from './webhooks.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let organizationId: string
let otherId: string

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  organizationId = (
    await createApiKey(database.db, { organization: 'Clínica Andina', name: 'test', role: 'admin' })
  ).organizationId
  otherId = (
    await createApiKey(database.db, { organization: 'Hospital del Valle', name: 'test', role: 'admin' })
  ).organizationId
})
beforeEach(async () => {
  await database.db.delete(webhookEndpoints)
  await database.db.delete(webhookEvents)
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

async function endpoint(changes: { organizationId?: string; eventTypes?: WebhookEventType[] | null } = {}) {
  const row = await database.db.transaction(tx =>
    insertEndpoint(tx, {
      id: randomUUID(),
      organizationId,
      url: 'https://erp.example/',
      description: null,
      eventTypes: null,
      secrets: [],
      ...changes,
    }),
  )
  return row as EndpointRow
}

async function meeting(): Promise<{ id: string; organizationId: string; recordingId: string }> {
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
    timeZone: 'UTC',
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
  return { id, organizationId, recordingId: recording?.id ?? '' }
}

const deliveries = () => database.db.select().from(webhookDeliveries)
const events = () => database.db.select().from(webhookEvents).orderBy(webhookEvents.sequence)
const at = new Date('2031-01-01T10:00:00.123Z')
const emit = (changes: Partial<Parameters<typeof emitEvent>[1]> = {}) =>
  emitEvent(database.db, { organizationId, type: 'webhook.disabled', at, data: { a: 1 }, ...changes })

describe('an event', () => {
  test('goes to every enabled endpoint that asked for its type, of its own organisation', async () => {
    const all = await endpoint()
    const asked = await endpoint({ eventTypes: ['meeting.ended', 'webhook.disabled'] })
    await endpoint({ eventTypes: ['meeting.ended'] })
    await endpoint({ organizationId: otherId })
    const off = await endpoint()
    await database.db.transaction(tx => disableEndpoint(tx, off, 'by_request', at))
    expect(await emit()).toHaveLength(2)
    const made = await deliveries()
    expect(made.map(delivery => delivery.endpointId).sort()).toEqual([all.id, asked.id].sort())
    expect(new Set(made.map(delivery => delivery.organizationId))).toEqual(new Set([organizationId]))
    const [event] = await events()
    expect(event).toMatchObject({ type: 'webhook.disabled', version: 1, occurredAt: at, payload: { a: 1 } })
    expect(event?.id).toMatch(/^evt_[0-9a-f]{32}$/)
  })

  test('that nobody asked for leaves nothing', async () => {
    await endpoint({ eventTypes: ['meeting.ended'] })
    expect(await emit()).toEqual([])
    expect(await events()).toEqual([])
  })

  test('of a transaction that fails was never written', async () => {
    await endpoint()
    const work = database.db.transaction(async tx => {
      await emitEvent(tx, { organizationId, type: 'webhook.disabled', at, data: {} })
      throw new Error('the row could not be written')
    })
    await expect(work).rejects.toThrow('the row could not be written')
    expect(await events()).toEqual([])
    expect(await deliveries()).toEqual([])
  })

  test('that is told once is told once, however many write it at the same time', async () => {
    await endpoint()
    await Promise.all(Array.from({ length: 5 }, () => emit({ onceKey: 'only:1' })))
    expect(await events()).toHaveLength(1)
    expect(await deliveries()).toHaveLength(1)
    await emit({ onceKey: 'only:2' })
    expect(await events()).toHaveLength(2)
  })

  test('of an endpoint that is being deleted does not fail the change it belongs to', async () => {
    const leaving = await endpoint()
    const { promise: deleted, resolve: isDeleted } = Promise.withResolvers<void>()
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
    const deletion = database.db.transaction(async tx => {
      await deleteEndpoint(tx, organizationId, leaving.id)
      isDeleted()
      await mayEnd
    })
    await deleted
    const emitted = emit()
    end()
    await deletion
    expect(await emitted).toEqual([])
  })
})

describe('an organisation', () => {
  test('gets no more endpoints than the limit, also when it asks for two at once', async () => {
    for (let made = 1; made < MOST_ENDPOINTS; made++) await endpoint()
    const last = await Promise.all([endpoint(), endpoint(), endpoint({ organizationId: otherId })])
    expect(last.slice(0, 2).filter(row => row !== undefined)).toHaveLength(1)
    expect(last[2]).toBeDefined()
  })
})

describe('a disabled endpoint', () => {
  test('has nothing waiting any more, and the others are told unless it was wished', async () => {
    const failing = await endpoint()
    const other = await endpoint({ eventTypes: ['webhook.disabled'] })
    await emit({ type: 'meeting.ended' })
    await database.db.transaction(async tx => {
      const row = await lockEndpoint(tx, organizationId, failing.id)
      if (row) await disableEndpoint(tx, row, 'failing', at)
    })
    const made = await deliveries()
    expect(made.find(delivery => delivery.endpointId === failing.id)).toMatchObject({
      status: 'failed',
      nextAttemptAt: null,
    })
    const notice = (await events()).find(event => event.type === 'webhook.disabled')
    expect(notice?.payload).toMatchObject({ webhook: { id: failing.id, reason: 'failing' } })
    expect(made.find(delivery => delivery.eventId === notice?.id)?.endpointId).toBe(other.id)
  })
})

describe('what happens to a meeting', () => {
  const by = { actor: 'test', now: at }
  async function change(id: string, work: 'change' | 'cancel') {
    await database.db.transaction(async tx => {
      const row = await lockMeeting(tx, organizationId, id)
      if (!row) throw new Error('no row')
      if (work === 'cancel') await cancelMeeting(tx, row, by)
      else await changeMeeting(tx, row, { topic: 'Nuevo', startsAt: new Date('2031-01-01T09:00:00Z') }, by)
    })
  }

  test('is told from the time it has a link, with the new state and what changed', async () => {
    await endpoint()
    const { id } = await meeting()
    await change(id, 'change')
    expect(await events()).toEqual([])
    await database.db
      .update(meetings)
      .set({ joinUrl: 'https://meet.google.com/abc' })
      .where(eq(meetings.id, id))
    await database.db.transaction(async tx => {
      for (let told = 0; told < 2; told++)
        await announceMeeting(tx, 'meeting.created', { id, organizationId }, { at })
    })
    await change(id, 'change')
    await change(id, 'cancel')
    const told = await events()
    expect(told.map(event => event.type)).toEqual(['meeting.created', 'meeting.updated', 'meeting.cancelled'])
    expect(told[1]?.payload).toMatchObject({
      meeting: { id, topic: 'Nuevo', start: '2031-01-01T09:00:00.000Z', status: 'scheduled' },
      changed: ['topic', 'start'],
    })
    expect(told[2]?.payload).toMatchObject({ meeting: { status: 'cancelled' } })
    expect(told.map(event => event.meetingId)).toEqual([id, id, id])
  })

  test('a person whom two bots see is told of when the first sees them come and the last sees them leave', async () => {
    await endpoint()
    const { id } = await meeting()
    const tell = async (kind: 'joined' | 'left', ...stays: string[]) => {
      for (const stay of stays) {
        const change = { kind, personKey: 'devices/7', name: 'Ana Ruiz', at }
        await announceParticipant(database.db, { id, organizationId }, change)
        const row = { id: stay, organizationId, meetingId: id, personKey: 'devices/7', joinedAt: at }
        if (kind === 'joined') await database.db.insert(presences).values(row)
        else await database.db.update(presences).set({ leftAt: at }).where(eq(presences.id, stay))
      }
    }
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()]
    await tell('joined', first, second)
    await tell('left', first, second)
    await tell('joined', third)
    const told = await events()
    expect(told.map(event => event.type)).toEqual([
      'participant.joined',
      'participant.left',
      'participant.joined',
    ])
    expect(told[0]?.payload).toMatchObject({ participant: { id: 'devices/7', name: 'Ana Ruiz' } })
  })

  test('coverage that is too low is told with its gaps', async () => {
    await endpoint()
    const { id, recordingId } = await meeting()
    const coverage = {
      source: 'google' as const,
      final: true,
      percent: 71.5,
      humanMs: 1000,
      recordedMs: 715,
      gaps: [],
    }
    const recording = { id: recordingId, organizationId, meetingId: id }
    await announceCoverageAlert(database.db, recording, { coverage, thresholdPercent: 98, at })
    const [event] = await events()
    expect(event).toMatchObject({ type: 'coverage.alert', meetingId: id, recordingId })
    expect(event?.payload).toMatchObject({ coverage, thresholdPercent: 98, recording: { id: recordingId } })
  })

  test('a recording is told of once for each revision, and its start once at all', async () => {
    await endpoint()
    const { id, recordingId } = await meeting()
    const recording = { id: recordingId, organizationId, meetingId: id }
    const tell = (status: 'recording' | 'finishing' | 'available' | 'not_held', revision: number) =>
      announceRecording(database.db, { ...recording, status, revision }, at)
    await tell('recording', 0)
    await tell('recording', 0)
    await tell('finishing', 0)
    await tell('available', 1)
    await tell('available', 1)
    await tell('available', 2)
    await tell('not_held', 2)
    const told = await events()
    expect(told.map(event => event.type)).toEqual([
      'recording.started',
      'recording.available',
      'recording.available',
    ])
    expect(told[0]?.payload).toMatchObject({
      meeting: { id, related: { type: 'case', id: '17' } },
      recording: { id: recordingId },
    })
    const sequences = told.map(event => event.sequence)
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b))
  })
})
