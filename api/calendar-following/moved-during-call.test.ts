import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openJobsOf, until } from '../test-api.ts'
import {
  type FollowingWorld,
  HOST,
  inDays,
  meetingsWhere,
  nothingLeft,
  openFollowingWorld,
  QUICK_GOOGLE,
  somebodyCame,
  soon,
} from './following-world.ts'

let world: FollowingWorld<GoogleSandbox>
beforeAll(async () => {
  world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE))
  await world.ready()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const at = (time: string) => new Date(time).getTime()
const change = (eventId: string, to: object) =>
  world.google.personDoes({ do: 'change', as: HOST, eventId, ...to })
const cancel = (eventId: string, scope?: 'this') =>
  world.google.personDoes({ do: 'cancel', as: HOST, eventId, ...(scope && { scope }) })
const ofEvent = (eventId: string) => meetingsWhere(world.api, sql`event_id = ${eventId}`)
const jobOf = async (id: string) =>
  (await openJobsOf(world.api.db, id)).find(({ name }) => name === 'record-meeting')
const anotherOf = (eventId: string, id: string) =>
  until('there is another meeting', async () => (await ofEvent(eventId)).find(row => row.id !== id))

async function putBack(eventId: string, title: string) {
  const event = world.google.state.events.get(`${HOST}/${eventId}`)
  if (!event) throw new Error('no event')
  event.resource.status = 'confirmed'
  await change(eventId, { title })
}

async function made(times: Record<string, unknown>) {
  const { id } = await world.make(times)
  await nothingLeft(world.api)
  return { id: id as string, eventId: await world.eventOf(id) }
}

describe('a meeting that is moved to a time to come', () => {
  test('while its bot is alone in the room waits for that time', async () => {
    const { id, eventId } = await made(soon(3))
    await world.api.db.execute(sql`update meetings set status = 'in_progress' where id = ${id}`)
    const to = inDays(1)
    await change(eventId, to)
    const after = await world.becomes(id, ({ start }) => at(start) === at(to.start))
    expect(after).toMatchObject({ status: 'scheduled', google: 'up_to_date' })
    expect((await jobOf(id))?.due.getTime()).toBe(at(to.start) - 60_000)
    expect(await ofEvent(eventId)).toHaveLength(1)
  })

  test('while people are in the call is another meeting then, and that call is recorded to its end', async () => {
    const { id, eventId } = await made(soon(3))
    await somebodyCame(world.api, id)
    const to = inDays(1)
    await change(eventId, to)
    const other = await anotherOf(eventId, id)
    expect(at(other.starts_at)).toBe(at(to.start))
    expect((await jobOf(other.id))?.due.getTime()).toBe(at(to.start) - 60_000)
    expect(await world.read(id)).toMatchObject({ status: 'in_progress', joinUrl: other.join_url })
    const later = inDays(2)
    await change(eventId, later)
    await world.becomes(other.id, ({ start }) => at(start) === at(later.start))
    expect(await ofEvent(eventId)).toHaveLength(2)
  })

  test('after its bot has left, though before its end, is another meeting', async () => {
    const { id, eventId } = await made(soon(3))
    await world.api.db.execute(sql`update meetings set status = 'ended' where id = ${id}`)
    const to = soon(12)
    await change(eventId, to)
    const other = await anotherOf(eventId, id)
    expect(at(other.starts_at)).toBe(at(to.start))
  })
})

describe('an event that is cancelled', () => {
  test('while people are in the call does not end the recording', async () => {
    const { id, eventId } = await made(soon(3))
    await somebodyCame(world.api, id)
    await cancel(eventId)
    await until('it is written down', async () =>
      (await world.audited(id)).some(({ action }) => action === 'meeting.event_cancelled_during_call'),
    )
    expect(await world.read(id)).toMatchObject({ status: 'in_progress', cancelledAt: null })
    // A caller may still have the bot leave.
    expect((await world.api.call('DELETE', `/v1/meetings/${id}`)).status).toBe(204)
    expect(await world.read(id)).toMatchObject({ status: 'cancelled' })
  })

  test('and put back is recorded, whatever the clocks say', async () => {
    const { id, eventId } = await made(inDays(3))
    await cancel(eventId)
    await world.becomes(id, ({ status }) => status === 'cancelled')
    await world.api.db.execute(
      sql`update meetings set cancelled_at = now() + interval '1 hour' where id = ${id}`,
    )
    await putBack(eventId, 'Otra vez')
    const after = await world.becomes(id, ({ status }) => status === 'scheduled')
    expect(after).toMatchObject({ topic: 'Otra vez', recording: { status: 'pending' } })
    expect(await jobOf(id)).toBeDefined()
    await cancel(eventId)
    await world.becomes(id, ({ status }) => status === 'cancelled')
  })

  test('and put back after a bot has been there is another meeting', async () => {
    const { id, eventId } = await made(soon(5))
    await world.api.db.execute(sql`update recordings set status = 'interrupted' where meeting_id = ${id}`)
    await cancel(eventId)
    await world.becomes(id, ({ status }) => status === 'cancelled')
    await putBack(eventId, 'Otra vez')
    const other = await anotherOf(eventId, id)
    expect(other.status).toBe('scheduled')
    expect(await jobOf(other.id)).toBeDefined()
  })

  test('and put back as one of a series is no exception of it any more', async () => {
    const recurrence = ['RRULE:FREQ=DAILY;COUNT=3']
    const { series } = await world.make({ ...inDays(2), timeZone: 'UTC', recurrence })
    const [, second] = await until('all have a link', async () => {
      const rows = await meetingsWhere(world.api, sql`series_id = ${series.id}`)
      return rows.length === 3 && rows
    })
    if (!second) throw new Error('too few')
    const exceptions = async () => {
      const [row] = await world.api.db.execute<{ exceptions: string[] }>(
        sql`select exceptions from series where id = ${series.id}`,
      )
      return row?.exceptions
    }
    await cancel(second.event_id, 'this')
    await world.becomes(second.id, ({ status }) => status === 'cancelled')
    expect(await exceptions()).toHaveLength(1)
    await putBack(second.event_id, 'Otra vez')
    await world.becomes(second.id, ({ status }) => status === 'scheduled')
    expect(await exceptions()).toEqual([])
  })

  test('in one calendar and goes on in another, with the bot as a guest, stays a meeting', async () => {
    const { id, eventId } = await made(inDays(3))
    const { events } = world.google.state
    const event = events.get(`${HOST}/${eventId}`)
    if (!event) throw new Error('no event')
    const boss = 'direccion@clinica.example'
    event.organizer = boss
    event.formerGuests = [HOST]
    event.resource.attendees = event.resource.attendees?.filter(({ email }) => email !== HOST) ?? []
    events.delete(`${HOST}/${eventId}`)
    events.set(`${boss}/${eventId}`, event)
    await world.google.personDoes({ do: 'change', as: boss, eventId, title: 'Con la dirección' })
    const after = await world.becomes(id, ({ topic }) => topic === 'Con la dirección', 15_000)
    expect(after.status).toBe('scheduled')
    await world.google.personDoes({ do: 'cancel', as: boss, eventId })
    await world.becomes(id, ({ status }) => status === 'cancelled', 15_000)
  })
})
