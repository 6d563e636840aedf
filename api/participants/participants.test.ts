import { randomUUID } from 'node:crypto'
import { and, eq } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { meetings, participants, presences } from '../../db/schema.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { makeDue, newMeeting, openTestApi, type TestApi, until } from '../test-api.ts'
import { participantsViewSchema, participantViewSchema } from '../views.schema.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, 3)
})
afterEach(() => google.faults.clear())
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const NEW = { email: 'Eva@Otra.example', name: 'Eva Gil' }

async function make(changes: Record<string, unknown> = {}) {
  const answer = await api.call('POST', '/v1/meetings', { body: newMeeting(changes) })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}
const at = (id: string, rest = '') => `/v1/meetings/${id}/participants${rest}`
const add = (id: string, body: object = NEW, scope = '') =>
  api.call('POST', at(id, scope && `?scope=${scope}`), { body })
const invited = async (id: string) => {
  const { body } = await api.call('GET', at(id))
  return participantsViewSchema.parse(body).invited
}
const emails = async (id: string) => (await invited(id)).map(({ email }) => email).sort()
const shown = async (id: string) => (await api.call('GET', `/v1/meetings/${id}`)).body
const attendeesOf = (id: string) =>
  [...google.state.events.values()]
    .find(({ resource }) => resource.extendedProperties?.private?.testigoMeetingId === id)
    ?.resource.attendees?.map(({ email }) => email) ?? []

describe('a participant', () => {
  test('is invited, shown, made a host, and taken off; the calendar follows each time', async () => {
    const { id } = await make()
    const added = await add(id)
    expect(added.status, JSON.stringify(added.body)).toBe(201)
    const eva = participantViewSchema.parse(added.body)
    expect(eva).toMatchObject({
      email: 'eva@otra.example',
      name: 'Eva Gil',
      role: 'participant',
      response: 'needs_action',
      joinedAt: null,
      leftAt: null,
      stays: [],
    })
    expect(added.headers.get('location')).toBe(at(id, `/${eva.id}`))
    expect(attendeesOf(id)).toContain('eva@otra.example')
    expect((await shown(id)).participants).toContainEqual(expect.objectContaining({ id: eva.id }))

    expect((await api.call('GET', at(id, `/${eva.id}`))).body).toEqual(eva)
    const changed = await api.call('PATCH', at(id, `/${eva.id}`), { body: { role: 'host', name: null } })
    expect(changed.body).toEqual({ ...eva, role: 'host', name: null })

    expect((await api.call('DELETE', at(id, `/${eva.id}`))).status).toBe(204)
    expect(attendeesOf(id)).not.toContain('eva@otra.example')
    expect((await api.call('GET', at(id, `/${eva.id}`))).body.code).toBe('participant_not_found')
    expect(await shown(id)).toMatchObject({ google: 'up_to_date' })

    // Who comes back is the same one.
    expect((await add(id)).body.id).toBe(eva.id)
  })

  test('who is invited already is not invited again', async () => {
    const { id } = await make()
    const answer = await add(id, { email: 'ANA@clinica.example' })
    expect([answer.status, answer.body.code]).toEqual([409, 'participant_exists'])
    expect(await emails(id)).toHaveLength(2)
  })

  test('changes the version of the meeting', async () => {
    const { id } = await make()
    const version = async () => (await api.call('GET', `/v1/meetings/${id}`)).headers.get('etag')
    const before = await version()
    await add(id)
    expect(await version()).not.toBe(before)
  })

  test('has the answer of the calendar, and when they came and went', async () => {
    const { id, participants: people } = await make()
    const ana = people.find(({ email }: { email: string }) => email === 'ana@clinica.example')
    const respondedAt = new Date('2031-03-01T10:00:00Z')
    await api.db
      .update(participants)
      .set({ response: 'accepted', respondedAt })
      .where(eq(participants.id, ana.id))
    const [row] = await api.db.select().from(meetings).where(eq(meetings.id, id))
    const stay = (joined: string, left: string | null) => ({
      id: randomUUID(),
      organizationId: row?.organizationId ?? '',
      meetingId: id,
      source: 'google' as const,
      personKey: randomUUID(),
      name: 'Ana Ruiz',
      joinedAt: new Date(`2031-03-04T${joined}Z`),
      leftAt: left === null ? null : new Date(`2031-03-04T${left}Z`),
    })
    await api.db.insert(presences).values([stay('15:00:00', '15:20:00'), stay('15:05:00', '15:10:00')])
    const seen = async () => (await api.call('GET', at(id, `/${ana.id}`))).body
    expect(await seen()).toMatchObject({
      response: 'accepted',
      respondedAt: respondedAt.toISOString(),
      joinedAt: '2031-03-04T15:00:00.000Z',
      leftAt: '2031-03-04T15:20:00.000Z',
    })
    await api.db.insert(presences).values([stay('15:30:00', null)])
    expect(await seen()).toMatchObject({ joinedAt: '2031-03-04T15:00:00.000Z', leftAt: null })
    expect((await seen()).stays).toHaveLength(3)
  })

  test('who cannot be told of to Google yet is kept, and Google follows', async () => {
    const { id } = await make()
    google.faults.add({ kind: 'down', service: 'calendar' })
    const answer = await add(id)
    expect([answer.status, answer.body.code]).toEqual([503, 'google_unavailable'])
    expect(await emails(id)).toContain('eva@otra.example')
    google.faults.clear()
    await makeDue(api.db, id)
    await until('Google follows', () => attendeesOf(id).includes('eva@otra.example'))
  })

  test('two that are invited at once are both invited', async () => {
    const { id } = await make()
    const answers = await Promise.all(['a', 'b', 'c'].map(name => add(id, { email: `${name}@otra.example` })))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(await emails(id)).toHaveLength(5)
    expect(attendeesOf(id)).toEqual(expect.arrayContaining(['a@otra.example', 'c@otra.example']))
  })

  test('is changed no more once the meeting is cancelled', async () => {
    const { id, participants: people } = await make()
    await api.call('DELETE', `/v1/meetings/${id}`)
    expect((await add(id)).body.code).toBe('meeting_closed')
    expect((await api.call('DELETE', at(id, `/${people[0].id}`))).body.code).toBe('meeting_closed')
  })

  test.each([
    [{ email: 'eva' }, 'bad_email'],
    [{ name: 'Eva' }, 'missing_field'],
    [{ ...NEW, role: 'boss' }, 'invalid_field'],
    [{ ...NEW, response: 'accepted' }, 'unknown_field'],
  ])('%j is refused', async (body, code) => {
    const { id } = await make()
    expect((await add(id, body)).body.code).toBe(code)
  })

  test('one more than 200 is refused', async () => {
    const many = Array.from({ length: 200 }, (_, n) => ({ email: `p${n}@otra.example` }))
    const { id } = await make({ participants: many })
    expect((await add(id)).body).toMatchObject({ status: 422, code: 'too_many_participants' })
  })

  test('of no one is said so before anything else', async () => {
    const { id } = await make()
    for (const who of [randomUUID(), 'x']) {
      for (const [method, body] of [
        ['GET', undefined],
        ['PATCH', { role: 'boss' }],
        ['DELETE', undefined],
      ] as const) {
        const answer = await api.call(method, at(id, `/${who}`), body && { body })
        expect([answer.status, answer.body.code]).toEqual([404, 'participant_not_found'])
      }
      expect((await api.call('GET', at(randomUUID(), `/${who}`))).body.code).toBe('meeting_not_found')
    }
    const { participants: people } = await shown(id)
    const nothing = await api.call('PATCH', at(id, `/${people[0].id}`), { body: {} })
    expect(nothing.body.code).toBe('invalid_request')
  })
})

describe('in a series', () => {
  const DAY_MS = 86_400_000
  const FIRST = Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 2 * DAY_MS
  async function makeSeries() {
    const first = await make({
      start: new Date(FIRST).toISOString(),
      end: new Date(FIRST + 3_600_000).toISOString(),
      recurrence: ['RRULE:FREQ=DAILY;COUNT=4'],
    })
    const { items } = (await api.call('GET', `/v1/meetings?series=${first.series.id}`)).body
    return items.map(({ id }: { id: string }) => id) as string[]
  }

  test('somebody is invited to one meeting, to all, and to those that follow', async () => {
    const ids = await makeSeries()
    const [first = '', second = '', third = ''] = ids
    await add(second, { email: 'uno@otra.example' })
    const all = await add(first, { email: 'todos@otra.example' }, 'all')
    expect(all.status, JSON.stringify(all.body)).toBe(201)
    expect(all.body.email).toBe('todos@otra.example')
    await add(third, { email: 'luego@otra.example' }, 'following')
    const lists = await Promise.all(ids.map(emails))
    const usual = ['ana@clinica.example', 'luis@otra.example']
    expect(lists).toEqual([
      [...usual, 'todos@otra.example'].sort(),
      // It has a list of its own, and is told of all the same.
      [...usual, 'todos@otra.example', 'uno@otra.example'].sort(),
      [...usual, 'luego@otra.example', 'todos@otra.example'].sort(),
      [...usual, 'luego@otra.example', 'todos@otra.example'].sort(),
    ])
    for (const id of ids) expect((await shown(id)).google).toBe('up_to_date')
  })

  test('somebody is taken off all of them, by their address', async () => {
    const ids = await makeSeries()
    const luis = (await invited(ids[1] ?? '')).find(({ email }) => email === 'luis@otra.example')
    const answer = await api.call('DELETE', at(ids[1] ?? '', `/${luis?.id}?scope=all`))
    expect(answer.status, JSON.stringify(answer.body)).toBe(204)
    for (const id of ids) expect(await emails(id)).toEqual(['ana@clinica.example'])
    const rows = await api.db
      .select()
      .from(participants)
      .where(and(eq(participants.meetingId, ids[0] ?? ''), eq(participants.email, 'luis@otra.example')))
    expect(rows[0]?.removedAt).not.toBeNull()
  })

  test('a scope is refused where there is no series', async () => {
    const { id } = await make()
    expect((await add(id, NEW, 'all')).body.code).toBe('not_in_series')
  })
})
