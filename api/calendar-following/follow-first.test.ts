import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import {
  type FollowingWorld,
  HOST,
  meetingsWhere,
  openFollowingWorld,
  QUICK_GOOGLE,
} from './following-world.ts'

describe('a change of a caller that Google is told of before what people changed there was read', () => {
  let world: FollowingWorld<GoogleSandbox>
  beforeAll(async () => {
    world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE), { pushes: false })
    await world.ready()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  async function makeOne() {
    const { id } = await world.make({ description: 'Sala 1' })
    return { id, eventId: await world.eventOf(id) }
  }
  const eventOf = (eventId: string) => {
    const event = [...world.google.state.events.values()].find(({ resource }) => resource.id === eventId)
    if (!event) throw new Error(`There is no event ${eventId}`)
    return event.resource
  }
  const change = (eventId: string, what: object) =>
    world.google.personDoes({ do: 'change', as: HOST, eventId, ...what })
  async function patch(id: string, body: object) {
    const answer = await world.api.call('PATCH', `/v1/meetings/${id}`, { body })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }
  const emailsOf = (people: { email?: string | null }[] = []) => people.map(({ email }) => email).sort()
  const notedBy = async (id: string, who: string) =>
    (await world.audited(id)).filter(({ actor }) => actor === who)

  test('leaves the other fields as people wrote them, and the meeting takes them over', async () => {
    const { id, eventId } = await makeOne()
    await change(eventId, { description: 'Sala 2', invite: ['carla@otra.example'] })
    const answer = await patch(id, { topic: 'Del que llama' })
    const people = ['ana@clinica.example', 'carla@otra.example', 'luis@otra.example']
    expect(answer).toMatchObject({ topic: 'Del que llama', description: 'Sala 2', google: 'up_to_date' })
    expect(emailsOf(answer.participants)).toEqual(people)
    const event = eventOf(eventId)
    expect(event.summary).toBe('Del que llama')
    expect(event.description).toMatch(/^Sala 2/)
    expect(emailsOf(event.attendees)).toEqual(expect.arrayContaining(people))
    const changes = await notedBy(id, 'google')
    expect(changes.map(({ action }) => action)).toEqual(['meeting.changed'])
  })

  test('wins in the field that people changed earlier, and the audit log has both', async () => {
    const { id, eventId } = await makeOne()
    await change(eventId, { title: 'Del calendario' })
    expect(await patch(id, { topic: 'Del que llama' })).toMatchObject({ topic: 'Del que llama' })
    expect(eventOf(eventId).summary).toBe('Del que llama')
    expect(await notedBy(id, 'google')).toMatchObject([
      { action: 'meeting.conflict', detail: { winner: 'caller', fields: ['topic'] } },
    ])
  })

  test('is no conflict with the change that the caller made before, whatever Google’s clock says of that', async () => {
    const { id, eventId } = await makeOne()
    await patch(id, { topic: 'Primero' })
    eventOf(eventId).updated = new Date(Date.now() + 60_000).toISOString()
    expect(await patch(id, { topic: 'Segundo' })).toMatchObject({ topic: 'Segundo' })
    expect(eventOf(eventId).summary).toBe('Segundo')
    expect(await notedBy(id, 'google')).toEqual([])
  })

  test('of a meeting that was put elsewhere moves nothing back', async () => {
    const { id, eventId } = await makeOne()
    const { start } = await world.read(id)
    const [from, to] = [1, 2].map(days => new Date(Date.parse(start) + days * 86_400_000).toISOString())
    await change(eventId, { start: from, end: to })
    const answer = await patch(id, { topic: 'Del que llama' })
    expect(Date.parse(answer.start)).toBe(Date.parse(from ?? ''))
    expect(Date.parse(eventOf(eventId).start?.dateTime ?? '')).toBe(Date.parse(from ?? ''))
  })

  test('of one meeting of a series leaves what people wrote there since it was changed first', async () => {
    const recurrence = ['RRULE:FREQ=WEEKLY;COUNT=3']
    const { series } = await world.make({ recurrence })
    const [, second] = await meetingsWhere(world.api, sql`series_id = ${series.id}`)
    const id = second?.id ?? ''
    await patch(id, { topic: 'Otro' })
    await change(await world.eventOf(id), { description: 'Sala 3' })
    expect(await patch(id, { topic: 'Otro más' })).toMatchObject({ topic: 'Otro más', description: 'Sala 3' })
    expect(eventOf(await world.eventOf(id)).description).toMatch(/^Sala 3/)
  })

  const cancel = (eventId: string) => world.google.personDoes({ do: 'cancel', as: HOST, eventId })

  test('of a meeting that people cancelled earlier makes another event, and the audit log says why', async () => {
    const { id, eventId } = await makeOne()
    await cancel(eventId)
    const answer = await patch(id, { topic: 'Sigue' })
    expect(answer).toMatchObject({ status: 'scheduled', topic: 'Sigue', google: 'up_to_date' })
    const another = await world.eventOf(id)
    expect(another).not.toBe(eventId)
    expect(eventOf(another)).toMatchObject({ status: 'confirmed', summary: 'Sigue' })
    expect(await notedBy(id, 'google')).toMatchObject([
      { action: 'meeting.conflict', detail: { winner: 'caller', fields: ['status'] } },
    ])
    // What is known of the first event says nothing of the other one.
    expect((await world.api.call('DELETE', `/v1/meetings/${id}`)).status).toBe(204)
    expect(await world.read(id)).toMatchObject({ status: 'cancelled' })
  })

  test('does not bring back what people cancelled after it', async () => {
    const { id, eventId } = await makeOne()
    const { faults } = world.google
    faults.add({ kind: 'error', method: 'events.get', status: 403, reason: 'forbidden', count: 1000 })
    const body = { topic: 'Para nada' }
    expect((await world.api.call('PATCH', `/v1/meetings/${id}`, { body })).status).toBe(502)
    await cancel(eventId)
    faults.clear()
    await world.api.db.execute(sql`update pgboss.job set start_after = now()
      where name = 'provision-meeting' and singleton_key = ${id} and state < 'active'`)
    const after = await world.becomes(id, ({ status }) => status === 'cancelled', 15_000)
    expect(after).toMatchObject({ google: 'up_to_date', recording: { status: 'cancelled' } })
    expect(await world.eventOf(id)).toBe(eventId)
    expect(await notedBy(id, 'google')).toMatchObject([
      { action: 'meeting.conflict', detail: { winner: 'calendar', fields: ['status'] } },
      { action: 'meeting.cancelled' },
    ])
  })
})
