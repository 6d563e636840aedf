import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { series } from '../../db/schema.ts'
import { eraseSpentTemplate } from '../../db/series-template.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openJobsOf, until } from '../test-api.ts'
import {
  type FollowingWorld,
  HOST,
  inDays,
  type MeetingAt,
  meetingsWhere,
  nothingLeft,
  openFollowingWorld,
  QUICK_GOOGLE,
} from './following-world.ts'

let world: FollowingWorld<GoogleSandbox>
beforeAll(async () => {
  world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE))
  await world.ready()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const at = (time: string) => new Date(time).getTime()
const later = (time: string, hours: number) => new Date(at(time) + hours * 3_600_000).toISOString()
const living = (rows: MeetingAt[]) => rows.filter(({ status }) => status === 'scheduled')
const change = (eventId: string, to: object) =>
  world.google.personDoes({ do: 'change', as: HOST, eventId, ...to })
const dueOf = async (id: string) =>
  (await openJobsOf(world.api.db, id)).find(({ name }) => name === 'record-meeting')?.due.getTime()

async function makeSeries(count: number, times: object = inDays(2)) {
  const recurrence = [`RRULE:FREQ=DAILY;COUNT=${count}`]
  const { series } = await world.make({ ...times, timeZone: 'UTC', recurrence })
  const rows = () => meetingsWhere(world.api, sql`series_id = ${series.id}`)
  const made = await until('all meetings have a link', async () => {
    const found = await rows()
    return found.length === count && found.every(row => row.join_url !== null) && found
  })
  const [first, second] = made
  if (!first || !second) throw new Error('too few')
  const masterOf = () => {
    const master = world.google.state.events.get(`${HOST}/${first.event_id.split('_')[0]}`)
    if (!master) throw new Error('no recurring event')
    return master
  }
  return { id: series.id as string, rows, made, first, second, masterOf }
}

test('a meeting that was moved past its own time survives every change of its series', async () => {
  const start = Math.ceil(Date.now() / 1000) * 1000 + 8000
  const times = { start: new Date(start).toISOString(), end: new Date(start + 3_600_000).toISOString() }
  const { first, second } = await makeSeries(3, times)
  const to = { start: later(first.starts_at, 5), end: later(first.starts_at, 6) }
  await change(first.event_id, { ...to, scope: 'this' })
  await world.becomes(first.id, ({ start: moved }) => at(moved) === at(to.start))
  await until('its own time is over', () => Date.now() > start + 1000)
  await change(second.event_id, { title: 'Ronda', scope: 'all' })
  await world.becomes(second.id, ({ topic }) => topic === 'Ronda')
  const after = await world.read(first.id)
  expect(after).toMatchObject({ status: 'scheduled' })
  expect(at(after.start)).toBe(at(to.start))
  const body = { description: 'Del que llama' }
  const answer = await world.api.call('PATCH', `/v1/meetings/${second.id}?scope=all`, { body })
  expect(answer.status).toBe(200)
  expect(await world.read(first.id)).toMatchObject({ status: 'scheduled' })
}, 60_000)

describe('a series that is given another link in the calendar', () => {
  const relink = async (eventId: string, scope: 'this' | 'all') => {
    await change(eventId, { meet: 'remove', scope })
    await change(eventId, { meet: 'add', scope })
  }

  test('has its bots go there', async () => {
    const { rows, first } = await makeSeries(3)
    await relink(first.event_id, 'all')
    await until('all have it', async () => (await rows()).every(row => row.join_url !== first.join_url))
    expect(new Set((await rows()).map(row => row.join_url)).size).toBe(1)
  })

  test('for one of its meetings keeps that link through a change of all', async () => {
    const { id, rows, first, second } = await makeSeries(3)
    await relink(second.event_id, 'this')
    const { joinUrl } = await world.becomes(second.id, meeting => meeting.joinUrl !== second.join_url)
    const body = { topic: 'Ronda' }
    const answer = await world.api.call('PATCH', `/v1/meetings/${first.id}?scope=all`, { body })
    expect(answer.status).toBe(200)
    await until('Google knows', async () => {
      const [row] = await world.api.db.execute<{ told: boolean }>(
        sql`select synced_revision >= revision as told from series where id = ${id}`,
      )
      return row?.told
    })
    const links = (await rows()).map(row => [row.id === second.id, row.join_url])
    expect(links.filter(([isOwn]) => isOwn)).toEqual([[true, joinUrl]])
    expect(links.filter(([isOwn]) => !isOwn).every(([, link]) => link === first.join_url)).toBe(true)
  })
})

test('a series that was deleted and put back has its meetings again, with their bots', async () => {
  const { id, rows, first, masterOf } = await makeSeries(3)
  const master = masterOf()
  await world.google.personDoes({ do: 'cancel', as: HOST, eventId: first.event_id, scope: 'all' })
  await until('all are cancelled', async () => living(await rows()).length === 0)
  master.resource.status = 'confirmed'
  await change(master.resource.id, { title: 'Otra vez' })
  const again = await until('there are as many again', async () => {
    const found = living(await rows())
    return found.length === 3 && found
  })
  expect(new Set(again.map(({ topic }) => topic))).toEqual(new Set(['Otra vez']))
  for (const row of again) expect(await dueOf(row.id)).toBe(at(row.starts_at) - 60_000)
  const [series] = await world.api.db.execute(sql`select status from series where id = ${id}`)
  expect(series).toEqual({ status: 'active' })
})

test('an instance is not followed while Google does not know yet what a caller made of its series', async () => {
  const { id, first, second } = await makeSeries(3)
  const { faults } = world.google
  faults.add({ kind: 'error', method: 'events.patch', status: 403, reason: 'forbidden', count: 1000 })
  const body = { topic: 'Del que llama' }
  const answer = await world.api.call('PATCH', `/v1/meetings/${first.id}?scope=all`, { body })
  expect(answer.status).toBe(502)
  // What it says of the topic is what the series said before.
  await change(second.event_id, { description: 'Solo esta vez', scope: 'this' })
  await until('it was looked at', async () => {
    const [row] = await world.api.db.execute<{ failures: number }>(
      sql`select failures from followed_calendars where calendar = ${HOST}`,
    )
    return Number(row?.failures) > 0
  })
  expect(await world.read(second.id)).toMatchObject({ topic: 'Del que llama' })
  faults.clear()
  await until('Google knows', async () => {
    await world.api.db.execute(
      sql`update pgboss.job set start_after = now() where name = 'provision-series' and state < 'active'`,
    )
    const [row] = await world.api.db.execute<{ told: boolean }>(
      sql`select synced_revision >= revision as told from series where id = ${id}`,
    )
    return row?.told
  })
  await world.becomes(second.id, ({ description }) => description === 'Solo esta vez', 20_000)
}, 60_000)

test('a meeting that differs from its series is looked at with it, also where its event says nothing of its own', async () => {
  const { first, second } = await makeSeries(3)
  // As it is when its instance was drawn back and that went unnoticed.
  await world.api.db.execute(sql`update meetings set starts_at = starts_at + interval '2 hours',
    ends_at = ends_at + interval '2 hours', own_fields = '["endsAt", "startsAt"]' where id = ${second.id}`)
  await change(first.event_id, { title: 'Ronda', scope: 'all' })
  const after = await world.becomes(second.id, ({ start }) => at(start) === at(second.starts_at))
  expect(after.topic).toBe('Ronda')
  await until('its bot comes then', async () => (await dueOf(second.id)) === at(second.starts_at) - 60_000)
})

test('a rule that cannot be read is followed as Google expands it', async () => {
  const { id, rows, first, made, masterOf } = await makeSeries(3)
  const extra = later(first.starts_at, 7)
  const stamp = extra.replaceAll(/[-:]|\.\d+/g, '')
  const { id: eventId } = masterOf().resource
  const repeatBy = async (title: string, rule: string) => {
    masterOf().resource.recurrence = [rule, `RDATE:${stamp}`]
    await change(eventId, { title })
  }
  await repeatBy('Ronda', 'RRULE:FREQ=DAILY;COUNT=3')
  const [more] = await until('the one more is a meeting', async () => {
    const found = await meetingsWhere(
      world.api,
      sql`calendar_series = ${eventId} and starts_at = ${extra}::timestamptz`,
    )
    return found.length > 0 && found
  })
  expect(more?.join_url).toBe(first.join_url)
  expect(await dueOf(more?.id ?? '')).toBe(at(extra) - 60_000)
  await until('the others are followed', async () => (await rows()).every(({ topic }) => topic === 'Ronda'))
  expect(living(await rows()).map(row => row.id)).toEqual(made.map(row => row.id))
  // And what Google does not show any more is gone.
  await repeatBy('Ronda corta', 'RRULE:FREQ=DAILY;COUNT=2')
  await until('the last one is cancelled', async () => living(await rows()).length === 2)
  const [series] = await world.api.db.execute(sql`select status from series where id = ${id}`)
  expect(series).toEqual({ status: 'active' })
})

test('a single event that is made to repeat itself is recorded each time', async () => {
  const { id } = await world.make()
  const eventId = await world.eventOf(id)
  const event = world.google.state.events.get(`${HOST}/${eventId}`)
  if (!event) throw new Error('no event')
  event.resource.recurrence = ['RRULE:FREQ=DAILY;COUNT=3']
  await change(eventId, { title: 'Cada día' })
  const repeated = await until('the others are meetings', async () => {
    const found = await meetingsWhere(world.api, sql`calendar_series = ${eventId}`)
    return found.length === 2 && found
  })
  const { start } = await world.read(id)
  expect(repeated.map(row => at(row.starts_at))).toEqual([at(later(start, 24)), at(later(start, 48))])
  for (const row of repeated) expect(await dueOf(row.id)).toBe(at(row.starts_at) - 60_000)
})

test('a series that is over and was erased stays so, until its event has meetings to come again', async () => {
  const { id, rows, masterOf } = await makeSeries(2)
  const { resource } = masterOf()
  const before = (time: { dateTime?: string }) => ({ ...time, dateTime: later(time.dateTime ?? '', -240) })
  Object.assign(resource, { start: before(resource.start), end: before(resource.end) })
  const { db } = world.api
  await db.execute(sql`update series set starts_at = starts_at - interval '240 hours' where id = ${id}`)
  await db.execute(sql`update meetings set status = 'ended', erased_at = now(), topic = '',
    starts_at = starts_at - interval '240 hours', ends_at = ends_at - interval '240 hours',
    original_start = original_start - interval '240 hours' where series_id = ${id}`)
  await db.transaction(tx => eraseSpentTemplate(tx, id, new Date()))
  const rowOf = async () => {
    const [row] = await db.select().from(series).where(eq(series.id, id))
    if (!row) throw new Error('no series')
    return row
  }
  const erased = await rowOf()
  expect(erased).toMatchObject({ status: 'active', template: { topic: '', participants: [] } })
  await change(resource.id, { title: 'Control de Ana' })
  const marker = await world.make()
  await change(await world.eventOf(marker.id), { title: 'Después' })
  await world.becomes(marker.id, ({ topic }) => topic === 'Después')
  await nothingLeft(world.api)
  expect(await rowOf()).toEqual(erased)
  masterOf().resource.recurrence = ['RRULE:FREQ=DAILY;COUNT=20']
  await change(resource.id, { title: 'Otra vez' })
  await until('there are meetings to come', async () => living(await rows()).length > 0)
  expect((await rowOf()).template.topic).toBe('Otra vez')
}, 30_000)
