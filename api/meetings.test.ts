import { randomUUID } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attempts, meetingEvents, meetings, presences, recordings, segments } from '../db/schema.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { newMeeting, openJobsOf, openTestApi, type TestApi } from './test-api.ts'
import {
  meetingListSchema,
  meetingViewSchema,
  participantsViewSchema,
  recordingViewSchema,
} from './views.schema.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google)
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

async function made(changes: Record<string, unknown> = {}) {
  const answer = await api.call('POST', '/v1/meetings', { body: newMeeting(changes) })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}
const recordJob = async (id: string) =>
  (await openJobsOf(api.db, id)).find(job => job.name === 'record-meeting')
const eventOf = (id: string) => {
  const events = [...google.state.events.values()].filter(
    event => event.resource.extendedProperties?.private?.testigoMeetingId === id,
  )
  expect(events).toHaveLength(1)
  return events[0]?.resource
}
async function rowsOf(id: string) {
  const [recording] = await api.db.select().from(recordings).where(eq(recordings.meetingId, id))
  if (!recording) throw new Error('the meeting has no recording')
  return recording
}

describe('a new meeting', () => {
  test('is answered with its link, has one event with everybody and the bot, and one job for the bot', async () => {
    const answer = await api.call('POST', '/v1/meetings', {
      body: newMeeting({
        description: 'Caso 17',
        externalId: 'XOMA-1',
        related: { type: 'case', id: '17' },
        customFields: { sede: 'Bogotá', prioridad: 2 },
      }),
    })
    expect(answer.status).toBe(201)
    const meeting = meetingViewSchema.parse(answer.body)
    expect(answer.headers.get('location')).toBe(`/v1/meetings/${meeting.id}`)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(meeting).toMatchObject({
      topic: 'Comité clínico',
      description: 'Caso 17',
      start: '2031-03-04T15:00:00.000Z',
      end: '2031-03-04T16:00:00.000Z',
      timeZone: 'America/Bogota',
      status: 'scheduled',
      google: 'up_to_date',
      externalId: 'XOMA-1',
      related: { type: 'case', id: '17' },
      customFields: { sede: 'Bogotá', prioridad: 2 },
      space: { accessType: 'TRUSTED', autoRecording: 'on', refusals: [] },
      recording: { status: 'pending', ending: null },
    })
    const event = eventOf(meeting.id)
    expect(event?.attendees?.map(person => person.email).sort()).toEqual([
      'ana@clinica.example',
      'luis@otra.example',
      'testigo@clinica.example',
    ])
    expect(event?.description).toMatch(/Caso 17[\s\S]*se graba[\s\S]*is recorded/)
    expect(meeting.joinUrl).toBe(event?.hangoutLink)
    expect(await openJobsOf(api.db, meeting.id)).toEqual([
      { name: 'record-meeting', state: 'created', due: new Date('2031-03-04T14:59:00.000Z') },
    ])
    const [row] = await api.db.select().from(meetings).where(eq(meetings.id, meeting.id))
    expect(row?.spaceName).toMatch(/^spaces\//)
    const log = await api.db.select().from(meetingEvents).where(eq(meetingEvents.meetingId, meeting.id))
    expect(log.map(line => line.kind)).toEqual(['meeting.created', 'meeting.provisioned'])
    expect(log[0]?.actor).toMatch(/^api_key:[0-9a-f]{8}$/)
  })

  test('with redundancy 2 invites the second bot too', async () => {
    const answer = await api.call('POST', '/v1/meetings', { body: newMeeting({ redundancy: 2 }) })
    expect(answer).toMatchObject({ status: 201, body: { redundancy: 2 } })
    expect(eventOf(answer.body.id)?.attendees?.map(person => person.email)).toEqual(
      expect.arrayContaining(['testigo@clinica.example', 'testigo2@clinica.example']),
    )
    const refused = await api.call('POST', '/v1/meetings', { body: newMeeting({ redundancy: 3 }) })
    expect(refused).toMatchObject({ status: 422 })
  })

  test('that has begun already is recorded at once', async () => {
    const now = Date.now()
    const meeting = await made({
      start: new Date(now - 600_000).toISOString(),
      end: new Date(now + 600_000).toISOString(),
    })
    const job = await recordJob(meeting.id)
    expect(Math.abs((job?.due.getTime() ?? 0) - now)).toBeLessThan(10_000)
  })

  test('sends its bot as long before the start as it asks', async () => {
    const meeting = await made({ patience: { joinLeadSeconds: 300 } })
    expect((await recordJob(meeting.id))?.due).toEqual(new Date('2031-03-04T14:55:00.000Z'))
  })

  test('may be sparse, and may name what it leaves away as null', async () => {
    const answer = await api.call('POST', '/v1/meetings', {
      body: {
        topic: ' Breve ',
        start: '2031-03-04T15:00:00Z',
        end: '2031-03-05T15:00:00Z',
        description: null,
        externalId: null,
        related: null,
        customFields: null,
        patience: null,
      },
    })
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({ topic: 'Breve', timeZone: 'UTC', participants: [], patience: {} })
  })

  test('puts the case of a time zone and of an address right', async () => {
    const meeting = await made({
      timeZone: 'america/bogota',
      participants: [{ email: 'Eva@Clinica.Example' }],
    })
    expect(meeting.timeZone).toBe('America/Bogota')
    expect(meeting.participants).toEqual([
      {
        id: expect.any(String),
        email: 'eva@clinica.example',
        name: null,
        role: 'participant',
        response: 'needs_action',
      },
    ])
  })

  test('takes 200 participants', async () => {
    const participants = Array.from({ length: 200 }, (_, at) => ({ email: `p${at}@clinica.example` }))
    expect((await made({ participants })).participants).toHaveLength(200)
  })

  test('is refused when its external id is taken, naming the meeting and its link', async () => {
    const meeting = await made({ externalId: 'XOMA-taken' })
    for (const body of [
      newMeeting({ externalId: 'XOMA-taken' }),
      newMeeting({ externalId: 'XOMA-taken', topic: 'Otra' }),
    ]) {
      const answer = await api.call('POST', '/v1/meetings', { body })
      expect(answer.status).toBe(409)
      expect(answer.body).toMatchObject({
        code: 'external_id_taken',
        meetingId: meeting.id,
        joinUrl: meeting.joinUrl,
      })
    }
    eventOf(meeting.id)
  })

  test('is one meeting when the same request comes three times at once', async () => {
    const body = newMeeting({ externalId: 'XOMA-thrice' })
    const answers = await Promise.all([1, 2, 3].map(() => api.call('POST', '/v1/meetings', { body })))
    const ids = new Set(answers.map(answer => answer.body.id ?? answer.body.meetingId))
    expect(ids.size).toBe(1)
    expect(answers.every(answer => [201, 409].includes(answer.status))).toBe(true)
    expect(answers.some(answer => answer.status === 201)).toBe(true)
    const [id] = ids
    eventOf(id)
    expect(await openJobsOf(api.db, id)).toHaveLength(1)
    const told = await api.db.execute(
      sql`select id from meeting_events where meeting_id = ${id} and kind = 'meeting.provisioned'`,
    )
    expect(told).toHaveLength(1)
  })
})

describe('a changed meeting', () => {
  test('takes event, link, people and job along', async () => {
    const meeting = await made()
    const answer = await api.call('PATCH', `/v1/meetings/${meeting.id}`, {
      body: {
        topic: 'Comité extraordinario',
        description: 'Nuevo orden del día',
        start: '2031-03-05T08:00:00-05:00',
        end: '2031-03-05T09:30:00-05:00',
        participants: [
          { email: 'ana@clinica.example', name: 'Ana María Ruiz' },
          { email: 'eva@clinica.example' },
        ],
      },
    })
    expect(answer.status).toBe(200)
    expect(meetingViewSchema.parse(answer.body)).toMatchObject({
      topic: 'Comité extraordinario',
      start: '2031-03-05T13:00:00.000Z',
      joinUrl: meeting.joinUrl,
      google: 'up_to_date',
      participants: [
        { email: 'ana@clinica.example', name: 'Ana María Ruiz', role: 'participant' },
        { email: 'eva@clinica.example', name: null, role: 'participant' },
      ],
    })
    const event = eventOf(meeting.id)
    expect(event?.summary).toBe('Comité extraordinario')
    expect(new Date(event?.start.dateTime ?? 0)).toEqual(new Date('2031-03-05T13:00:00Z'))
    expect(event?.attendees?.map(person => person.email).sort()).toEqual([
      'ana@clinica.example',
      'eva@clinica.example',
      'testigo@clinica.example',
    ])
    expect(event?.description).toMatch(/Nuevo orden del día[\s\S]*se graba/)
    expect(await openJobsOf(api.db, meeting.id)).toEqual([
      { name: 'record-meeting', state: 'created', due: new Date('2031-03-05T12:59:00.000Z') },
    ])
  })

  test('keeps what the change does not name', async () => {
    const meeting = await made({ description: 'Queda' })
    const answer = await api.call('PATCH', `/v1/meetings/${meeting.id}`, { body: { topic: 'Otro' } })
    expect(answer.body).toMatchObject({ ...meeting, topic: 'Otro', updatedAt: answer.body.updatedAt })
    expect(eventOf(meeting.id)?.description).toMatch(/^Queda/)
  })

  test('loses its description, and gets people back that had been taken off', async () => {
    const meeting = await made({ description: 'Se va' })
    const path = `/v1/meetings/${meeting.id}`
    await api.call('PATCH', path, { body: { participants: [] } })
    expect(eventOf(meeting.id)?.attendees?.map(person => person.email)).toEqual(['testigo@clinica.example'])
    const answer = await api.call('PATCH', path, {
      body: { description: null, participants: [{ email: 'ana@clinica.example' }] },
    })
    expect(answer.body.description).toBeNull()
    expect(answer.body.participants.map((person: { email: string }) => person.email)).toEqual([
      'ana@clinica.example',
    ])
    expect(eventOf(meeting.id)?.description).not.toMatch(/Se va/)
  })

  test.each([
    ['end_before_start', { end: '2031-03-04T09:00:00-05:00' }],
    ['too_long', { end: '2031-03-06T10:00:00-05:00' }],
    ['end_in_past', { start: '2020-03-04T10:00:00Z', end: '2020-03-04T11:00:00Z' }],
    ['unknown_field', { externalId: 'other' }],
    ['invalid_request', {}],
    ['duplicate_participant', { participants: [{ email: 'a@b.example' }, { email: 'A@b.example' }] }],
  ])('is refused with %s against what it was', async (code, body) => {
    const meeting = await made()
    const answer = await api.call('PATCH', `/v1/meetings/${meeting.id}`, { body })
    expect(answer.body.code).toBe(code)
    expect(answer.status).toBe(422)
    expect((await api.call('GET', `/v1/meetings/${meeting.id}`)).body).toEqual(meeting)
  })

  test('cannot be one that is over or cancelled', async () => {
    for (const status of ['ended', 'cancelled'] as const) {
      const meeting = await made()
      await api.db.update(meetings).set({ status }).where(eq(meetings.id, meeting.id))
      const answer = await api.call('PATCH', `/v1/meetings/${meeting.id}`, { body: { topic: 'Tarde' } })
      expect(answer.status).toBe(409)
      expect(answer.body.code).toBe('meeting_closed')
    }
  })

  test('may end later while the call is on, but not start at another time', async () => {
    const now = Math.floor(Date.now() / 1000) * 1000
    const meeting = await made({
      start: new Date(now - 60_000).toISOString(),
      end: new Date(now + 600_000).toISOString(),
    })
    await api.db.update(meetings).set({ status: 'in_progress' }).where(eq(meetings.id, meeting.id))
    const end = new Date(now + 1_200_000).toISOString()
    expect((await api.call('PATCH', `/v1/meetings/${meeting.id}`, { body: { end } })).body.end).toBe(end)
    const moved = await api.call('PATCH', `/v1/meetings/${meeting.id}`, {
      body: { start: new Date(now).toISOString() },
    })
    expect(moved.body.code).toBe('meeting_in_progress')
  })

  test('gets no new bot when its recording is finished', async () => {
    const meeting = await made()
    await api.db.update(recordings).set({ status: 'available' }).where(eq(recordings.meetingId, meeting.id))
    await api.db.execute(`delete from pgboss.job where singleton_key = '${meeting.id}'`)
    await api.call('PATCH', `/v1/meetings/${meeting.id}`, { body: { topic: 'Después' } })
    expect(await openJobsOf(api.db, meeting.id)).toEqual([])
  })
})

describe('a cancelled meeting', () => {
  test('loses its event with notice, its job and its pending recording, however often it is cancelled', async () => {
    const meeting = await made()
    const path = `/v1/meetings/${meeting.id}`
    expect((await api.call('DELETE', path)).status).toBe(204)
    expect((await api.call('DELETE', path)).status).toBe(204)
    const shown = meetingViewSchema.parse((await api.call('GET', path)).body)
    expect(shown).toMatchObject({
      status: 'cancelled',
      google: 'up_to_date',
      recording: { status: 'cancelled' },
    })
    expect(shown.cancelledAt).not.toBeNull()
    const event = eventOf(meeting.id)
    expect(event?.status).toBe('cancelled')
    const told = google.state.mails.filter(mail => mail.about === event?.id && mail.kind === 'cancellation')
    expect(told.map(mail => mail.to)).toContain('luis@otra.example')
    expect(await openJobsOf(api.db, meeting.id)).toEqual([])
  })

  test('keeps the job of a recording that has begun, so that what is recorded is kept', async () => {
    const meeting = await made()
    await api.db.update(recordings).set({ status: 'recording' }).where(eq(recordings.meetingId, meeting.id))
    await api.db.update(meetings).set({ status: 'in_progress' }).where(eq(meetings.id, meeting.id))
    expect((await api.call('DELETE', `/v1/meetings/${meeting.id}`)).status).toBe(204)
    expect((await rowsOf(meeting.id)).status).toBe('recording')
    expect(await recordJob(meeting.id)).toBeDefined()
    expect(eventOf(meeting.id)?.status).toBe('cancelled')
  })

  test('cannot be one that is over', async () => {
    const meeting = await made()
    await api.db.update(meetings).set({ status: 'ended' }).where(eq(meetings.id, meeting.id))
    const answer = await api.call('DELETE', `/v1/meetings/${meeting.id}`)
    expect(answer.body.code).toBe('meeting_closed')
  })
})

describe('the list of meetings', () => {
  test('is paged by start without gaps and repeats, also when meetings are added meanwhile', async () => {
    const topics = (page: { items: { topic: string }[] }) => page.items.map(item => item.topic)
    const of = (day: number, topic: string) =>
      made({ topic, start: `2040-01-0${day}T10:00:00Z`, end: `2040-01-0${day}T11:00:00Z` })
    for (const [day, topic] of [
      [3, 'c'],
      [1, 'a'],
      [2, 'b'],
      [2, 'b'],
    ] as const)
      await of(day, topic)
    const query = 'from=2040-01-01T00:00:00Z&to=2040-02-01T00:00:00Z&limit=2'
    const first = meetingListSchema.parse((await api.call('GET', `/v1/meetings?${query}`)).body)
    expect(topics(first)).toEqual(['a', 'b'])
    await of(1, 'before the cursor')
    const second = meetingListSchema.parse(
      (await api.call('GET', `/v1/meetings?${query}&cursor=${first.nextCursor}`)).body,
    )
    expect(topics(second)).toEqual(['b', 'c'])
    expect(second.nextCursor).toBeNull()
    const ids = [...first.items, ...second.items].map(item => item.id)
    expect(new Set(ids).size).toBe(4)
  })

  test('is filtered by status, time, external id and participant', async () => {
    const kept = await made({
      topic: 'kept',
      start: '2041-01-01T10:00:00Z',
      end: '2041-01-01T11:00:00Z',
      externalId: 'XOMA-list',
      participants: [{ email: 'rara@clinica.example' }],
    })
    const gone = await made({
      start: '2041-01-02T10:00:00Z',
      end: '2041-01-02T11:00:00Z',
      participants: [{ email: 'rara@clinica.example' }],
    })
    await api.call('DELETE', `/v1/meetings/${gone.id}`)
    const ids = async (query: string) =>
      (await api.call('GET', `/v1/meetings?${query}`)).body.items.map((item: { id: string }) => item.id)
    expect(await ids('externalId=XOMA-list')).toEqual([kept.id])
    expect(await ids('participant=RARA@clinica.example')).toEqual([kept.id, gone.id])
    expect(await ids('participant=rara@clinica.example&status=cancelled')).toEqual([gone.id])
    expect(await ids('participant=rara@clinica.example&status=scheduled,in_progress')).toEqual([kept.id])
    expect(await ids('from=2041-01-01T10:00:00Z&to=2041-01-02T10:00:00Z')).toEqual([kept.id])
    expect(await ids('from=2041-01-01T05:00:01-05:00&to=2042-01-01T00:00:00Z')).toEqual([gone.id])
    await api.call('PATCH', `/v1/meetings/${kept.id}`, { body: { participants: [] } })
    expect(await ids('participant=rara@clinica.example')).toEqual([gone.id])
  })
})

async function attemptOf(meetingId: string, facts: Partial<typeof attempts.$inferInsert> = {}) {
  const { organizationId, id: recordingId } = await rowsOf(meetingId)
  const attempt = { id: randomUUID(), organizationId, recordingId, number: 1, recorder: 'r:1', ...facts }
  await api.db.insert(attempts).values(attempt)
  return attempt
}

test('participants are shown with their stays in the call, matched by name where that is certain', async () => {
  const meeting = await made({
    participants: [
      { email: 'ana@clinica.example', name: 'Ana Ruiz' },
      { email: 'luis1@clinica.example', name: 'Luis Paz' },
      { email: 'luis2@clinica.example', name: 'luis  paz' },
    ],
  })
  const { id: attemptId, organizationId } = await attemptOf(meeting.id)
  const at = (minute: number) => new Date(Date.UTC(2031, 2, 4, 15, minute))
  const seen = (name: string | null, from: number, to: number | null, more: object = {}) => ({
    id: randomUUID(),
    organizationId,
    meetingId: meeting.id,
    attemptId,
    personKey: `${name}-${from}`,
    name,
    joinedAt: at(from),
    leftAt: to === null ? null : at(to),
    ...more,
  })
  await api.db
    .insert(presences)
    .values([seen('ana ruiz', 2, 9), seen('Luis Paz', 3, 8), seen('Ana Ruiz', 12, null), seen(null, 1, 4)])
  const answer = await api.call('GET', `/v1/meetings/${meeting.id}/participants`)
  const { invited, presences: all } = participantsViewSchema.parse(answer.body)
  expect(invited.map(person => person.stays)).toEqual([
    [
      { joinedAt: at(2).toISOString(), leftAt: at(9).toISOString() },
      { joinedAt: at(12).toISOString(), leftAt: null },
    ],
    [],
    [],
  ])
  expect(all.map(({ name, email }) => [name, email])).toEqual([
    [null, null],
    ['ana ruiz', 'ana@clinica.example'],
    ['Luis Paz', null],
    ['Ana Ruiz', 'ana@clinica.example'],
  ])
  expect(participantsViewSchema.parse(answer.body).source).toBe('bot')

  const byGoogle = { source: 'google', attemptId: null }
  await api.db
    .insert(presences)
    .values([seen('Ana Ruiz', 1, 10, byGoogle), seen('Testigo', 0, 11, { ...byGoogle, bot: true })])
  const later = await api.call('GET', `/v1/meetings/${meeting.id}/participants`)
  const { source, presences: stays } = participantsViewSchema.parse(later.body)
  expect(source).toBe('google')
  expect(stays.map(({ name, bot, leftAt }) => [name, bot, leftAt])).toEqual([
    ['Testigo', true, at(11).toISOString()],
    ['Ana Ruiz', false, at(10).toISOString()],
  ])
})

describe('the recording of a meeting', () => {
  test('is shown from the start, with no link to what is not there', async () => {
    const meeting = await made()
    const answer = await api.call('GET', `/v1/meetings/${meeting.id}/recording`)
    expect(recordingViewSchema.parse(answer.body)).toMatchObject({
      status: 'pending',
      s3: null,
      drive: { status: 'none', link: null },
      attempts: [],
    })
  })

  test('that is available has facts, checks, a link that expires, and how it ended in two languages', async () => {
    const meeting = await made({ topic: 'Comité: «caso/17»' })
    const start = new Date('2031-03-04T15:00:00Z')
    const attempt = await attemptOf(meeting.id, { ending: 'call_ended_by_host', startedAt: start })
    const segment = (number: number) => ({
      organizationId: attempt.organizationId,
      attemptId: attempt.id,
      number,
      s3Key: `k/${attempt.id}/${number}`,
      sha256: 'ab',
      sizeBytes: 10,
      startMs: number * 4000,
      durationMs: number === 0 ? 0 : 4000,
      startedAt: start,
      endedAt: start,
      storedAt: start,
    })
    await api.db.insert(segments).values([0, 1, 2].map(segment))
    await api.db
      .update(recordings)
      .set({
        status: 'available',
        ending: 'call_ended_by_host',
        s3Key: 'videos/uno.mp4',
        durationMs: 8000,
        sizeBytes: 123_456,
        sha256: 'cd'.repeat(32),
        checks: { duration: { ok: true, detail: '8.0 s of 8.0 s' } },
        driveStatus: 'uploaded',
        driveLink: 'https://drive.google.com/file/d/x/view',
      })
      .where(eq(recordings.meetingId, meeting.id))
    const asked = Date.now()
    const answer = await api.call('GET', `/v1/meetings/${meeting.id}/recording`)
    const recording = recordingViewSchema.parse(answer.body)
    expect(recording).toMatchObject({
      status: 'available',
      durationMs: 8000,
      sizeBytes: 123_456,
      sha256: 'cd'.repeat(32),
      checks: { duration: { ok: true } },
      drive: { status: 'uploaded', link: 'https://drive.google.com/file/d/x/view' },
      ending: { word: 'call_ended_by_host', scope: 'meeting' },
      attempts: [{ number: 1, segments: 2, recordedMs: 8000, ending: { word: 'call_ended_by_host' } }],
    })
    expect(recording.ending?.en).toMatch(/host ended/)
    expect(recording.ending?.es).toMatch(/anfitrión/)
    const url = new URL(recording.s3?.url ?? '')
    expect(url.pathname).toMatch(/videos\/uno\.mp4$/)
    expect(url.searchParams.get('X-Amz-Signature')).toBeTruthy()
    expect(url.searchParams.get('response-content-disposition')).toContain('2031-03-04-comite-caso-17.mp4')
    const expiresAt = Date.parse(recording.s3?.expiresAt ?? '')
    expect(expiresAt - asked).toBeGreaterThan(3_590_000)
    expect(expiresAt - asked).toBeLessThan(3_610_000)
    expect((await api.call('GET', `/v1/meetings/${meeting.id}`)).body.recording).toEqual({
      status: 'available',
      ending: 'call_ended_by_host',
    })
  })

  test('says what part of the call it holds, what is missing and why, and what Google recorded itself', async () => {
    const meeting = await made({ topic: 'Junta' })
    const at = (second: number) => new Date(Date.UTC(2031, 2, 4, 15, 0, second)).toISOString()
    const gap = { from: at(20), to: at(30), ms: 10_000, reason: 'recorder_died' as const }
    const timeline = [
      { fileStartMs: 0, fileEndMs: 20_000, clockStart: at(0), clockEnd: at(20), attempt: 1 },
      { fileStartMs: 20_000, fileEndMs: 40_000, clockStart: at(30), clockEnd: at(50), attempt: 2 },
    ]
    const early = { from: at(-5), to: at(0), ms: 5000, reason: 'not_yet_recording' as const }
    await api.db
      .update(recordings)
      .set({
        status: 'partial',
        s3Key: 'videos/recording-r2.mp4',
        revision: 2,
        manifestKey: 'videos/manifest-r2.json',
        manifestSha256: 'ef'.repeat(32),
        timeline,
        gaps: [gap],
        coverage: {
          source: 'google',
          final: true,
          percent: 72.72,
          humanMs: 55_000,
          recordedMs: 40_000,
          gaps: [early, gap],
        },
        coverageAlertAt: new Date(at(59)),
        nativeRecordings: [
          {
            name: 'conferenceRecords/c/recordings/r',
            driveFileId: '1native',
            s3Key: 'videos/native-1.mp4',
            sha256: 'ab'.repeat(32),
            driveSha256: null,
            sizeBytes: 77,
            startedAt: at(1),
            endedAt: null,
            copiedAt: at(59),
          },
        ],
      })
      .where(eq(recordings.meetingId, meeting.id))
    const answer = await api.call('GET', `/v1/meetings/${meeting.id}/recording`)
    const recording = recordingViewSchema.parse(answer.body)
    expect(recording).toMatchObject({
      revision: 2,
      timeline,
      gaps: [{ ...gap, en: expect.stringMatching(/process died/), es: expect.any(String) }],
      coverage: {
        source: 'google',
        final: true,
        percent: 72.72,
        humanMs: 55_000,
        recordedMs: 40_000,
        gaps: [{ ...early, es: expect.stringMatching(/antes/) }, gap],
        alertedAt: at(59),
      },
      manifest: { sha256: 'ef'.repeat(32) },
      native: [
        { startedAt: at(1), endedAt: null, sizeBytes: 77, sha256: 'ab'.repeat(32), driveFileId: '1native' },
      ],
    })
    const named = (url = '') => {
      const { pathname, searchParams } = new URL(url)
      return [pathname.split('/').at(-1), searchParams.get('response-content-disposition')]
    }
    expect(named(recording.manifest?.url)).toEqual([
      'manifest-r2.json',
      expect.stringContaining('2031-03-04-junta-manifest.json'),
    ])
    expect(named(recording.native[0]?.s3.url)).toEqual([
      'native-1.mp4',
      expect.stringContaining('2031-03-04-junta-google-1.mp4'),
    ])
  })

  test('shows what Google recorded also where there is no video of ours', async () => {
    const meeting = await made()
    const native = {
      name: 'conferenceRecords/c/recordings/r',
      driveFileId: '1native',
      s3Key: 'videos/native-1.mp4',
      sha256: 'ab'.repeat(32),
      driveSha256: null,
      sizeBytes: 77,
      startedAt: null,
      endedAt: null,
      copiedAt: new Date().toISOString(),
    }
    await api.db
      .update(recordings)
      .set({ status: 'failed', ending: 'missed', nativeRecordings: [native] })
      .where(eq(recordings.meetingId, meeting.id))
    const answer = await api.call('GET', `/v1/meetings/${meeting.id}/recording`)
    const recording = recordingViewSchema.parse(answer.body)
    expect(recording).toMatchObject({ s3: null, manifest: null, timeline: null, gaps: null, coverage: null })
    expect(recording.native).toHaveLength(1)
  })
})
