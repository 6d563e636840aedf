import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { fingerprint } from '../../db/changed-fields.ts'
import { type OpenJobs, openJobs } from '../../db/jobs.ts'
import type { Log } from '../../log.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { expandAllSeries } from '../series/expand-series.ts'
import { type Answer, openJobsOf, until } from '../test-api.ts'
import {
  type FollowingWorld,
  HOST,
  inDays,
  nothingLeft,
  openFollowingWorld,
  QUICK_GOOGLE,
} from './following-world.ts'

const BOSS = 'direccion@clinica.example'

const told: { eventId?: string; message: string }[] = []
const tell = (fields: object, message: string) => void told.push({ ...fields, message })
const log: Log = { debug: tell, info: tell, warn: tell, error: tell, child: () => log }

let world: FollowingWorld<GoogleSandbox>
let jobs: OpenJobs
beforeAll(async () => {
  world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE), {
    env: { TESTIGO_CAPTURE_CALENDARS: BOSS, TESTIGO_CAPTURE_ORGANIZATION: 'Clínica Andina' },
    log,
  })
  await world.ready()
  jobs = await openJobs(world.api.databaseUrl, () => {})
})
afterAll(async () => {
  await jobs?.close()
  await world?.[Symbol.asyncDispose]()
})

interface Row extends Record<string, unknown> {
  id: string
  event_id: string
  topic: string
  status: string
  starts_at: string
  original_start: string
  organizer: string
}
const rowsOf = async (where: ReturnType<typeof sql>) => [
  ...(await world.api.db.execute<Row>(
    sql`select * from meetings where ${where} order by starts_at, created_at`,
  )),
]
const changeAs = (as: string, eventId: string, change: object) =>
  world.google.personDoes({ do: 'change', as, eventId, ...change })
const at = (time: string) => new Date(time).getTime()
const later = (time: string, hours: number) => new Date(at(time) + hours * 3_600_000).toISOString()

describe('a series', () => {
  async function makeSeries(count = 5) {
    const recurrence = [`RRULE:FREQ=DAILY;COUNT=${count}`]
    const { series } = await world.make({ ...inDays(2), timeZone: 'UTC', recurrence })
    const rows = () => rowsOf(sql`series_id = ${series.id}`)
    const made = await until('all meetings have a link', async () => {
      const found = await rows()
      return found.length === count && found
    })
    return { id: series.id as string, rows, made }
  }
  const living = (rows: Row[]) => rows.filter(({ status }) => status === 'scheduled')

  test('of which one meeting is cancelled or moved in the calendar: that one, and no other', async () => {
    const { id, rows, made } = await makeSeries()
    const [, second, third] = made
    if (!second || !third) throw new Error('too few')
    await world.google.personDoes({ do: 'cancel', as: HOST, eventId: second.event_id, scope: 'this' })
    const to = { start: later(third.starts_at, 2), end: later(third.starts_at, 3) }
    await changeAs(HOST, third.event_id, { ...to, scope: 'this' })
    await world.becomes(second.id, ({ status }) => status === 'cancelled')
    const moved = await world.becomes(third.id, ({ start }) => at(start) === at(to.start))
    expect(moved).toMatchObject({ google: 'up_to_date' })
    expect(at(moved.series.originalStart)).toBe(at(third.original_start))
    expect(living(await rows()).map(row => row.id)).toEqual(
      made.filter(one => one !== second).map(one => one.id),
    )
    const [series] = await world.api.db.execute<{ exceptions: string[] }>(
      sql`select exceptions from series where id = ${id}`,
    )
    expect(series?.exceptions.map(at)).toEqual([at(second.original_start)])
    expect((await openJobsOf(world.api.db, third.id))[0]?.due.getTime()).toBe(at(to.start) - 60_000)
  })

  test('that is moved as a whole keeps its meetings at other times', async () => {
    const { rows, made } = await makeSeries()
    const [first] = made
    if (!first) throw new Error('too few')
    const to = { start: later(first.starts_at, 3), end: later(first.starts_at, 4) }
    await changeAs(HOST, first.event_id, { ...to, title: 'Ronda', scope: 'all' })
    await world.becomes(first.id, ({ start }) => at(start) === at(to.start))
    const now = await rows()
    expect(now.map(row => [row.id, at(row.starts_at)])).toEqual(
      made.map(row => [row.id, at(row.starts_at) + 3 * 3_600_000]),
    )
    expect(new Set(now.map(({ topic }) => topic))).toEqual(new Set(['Ronda']))
    expect(world.asked('events.patch')).toBe(0)
  })

  test('that is split in the calendar goes on as another one, with the same meetings', async () => {
    const { id, rows, made } = await makeSeries()
    const [, , third, fourth] = made
    if (!third || !fourth) throw new Error('too few')
    const to = { start: later(third.starts_at, 1), end: later(third.starts_at, 2) }
    await changeAs(HOST, third.event_id, { ...to, scope: 'following' })
    await until('the second part is another series', async () => {
      const [next] = await world.api.db.execute<{ id: string }>(
        sql`select id from series where continues = ${id}`,
      )
      return next && living(await rowsOf(sql`series_id = ${next.id}`)).length === 3
    })
    await until('the first part ends before it', async () => living(await rows()).length === 2)
    const all = living(
      await rowsOf(sql`series_id in (select id from series where id = ${id} or continues = ${id})`),
    )
    expect(all.map(row => at(row.starts_at))).toEqual(
      made.map((row, place) => at(row.starts_at) + (place < 2 ? 0 : 3_600_000)),
    )
  })

  test('that is cancelled in the calendar: none of its meetings takes place', async () => {
    const { id, rows, made } = await makeSeries(3)
    await world.google.personDoes({ do: 'cancel', as: HOST, eventId: made[0]?.event_id ?? '', scope: 'all' })
    await until('all are cancelled', async () => living(await rows()).length === 0)
    const [series] = await world.api.db.execute(
      sql`select status, synced_revision = revision as told from series where id = ${id}`,
    )
    expect(series).toEqual({ status: 'cancelled', told: true })
  })

  test('of which a meeting is moved that is too far ahead to have been made: it is made where it is now', async () => {
    const recurrence = ['RRULE:FREQ=MONTHLY']
    const { series } = await world.make({ ...inDays(2), timeZone: 'UTC', recurrence })
    const rows = () => rowsOf(sql`series_id = ${series.id}`)
    const made = await until('it is made', async () => {
      const found = await rows()
      return found.length > 1 && found
    })
    const last = made.at(-1)
    if (!last) throw new Error('none')
    // As it was some weeks ago.
    await world.api.db.execute(sql`delete from recordings where meeting_id = ${last.id}`)
    for (const table of ['participants', 'meeting_events'])
      await world.api.db.execute(sql`delete from ${sql.identifier(table)} where meeting_id = ${last.id}`)
    await world.api.db.execute(sql`delete from meetings where id = ${last.id}`)
    await world.api.db.execute(
      sql`update series set expanded_until = ${last.original_start}::timestamptz where id = ${series.id}`,
    )
    const to = { start: later(last.starts_at, 2), end: later(last.starts_at, 3) }
    await changeAs(HOST, last.event_id, { ...to, scope: 'this' })
    const far = await until('it is made', async () =>
      (await rows()).find(row => at(row.starts_at) === at(to.start)),
    )
    const deps = { db: world.api.db, jobs: jobs, settings: { joinLeadSeconds: 60 }, clock: systemClock }
    await expandAllSeries(deps)
    const now = await rows()
    expect(now).toHaveLength(made.length)
    expect(now.map(({ id }) => id)).toContain(far.id)
  })

  test('whose guests answer for all meetings', async () => {
    const { id, made } = await makeSeries(3)
    const eventId = made[0]?.event_id ?? ''
    const as = 'ana@clinica.example'
    await world.google.personDoes({ do: 'respond', as, eventId, response: 'accepted', scope: 'all' })
    await until('each meeting has the answer', async () => {
      const [row] = await world.api.db.execute<{ count: string }>(
        sql`select count(*) from participants where email = ${as} and response = 'accepted'
          and meeting_id in (select id from meetings where series_id = ${id})`,
      )
      return Number(row?.count) === 3
    })
  })
})

describe('what a caller and the calendar both changed', () => {
  /** What people do in the calendar meanwhile is read only afterwards, and Google learns nothing of what callers do. */
  async function whileUnread(work: () => Promise<unknown>) {
    const { faults } = world.google
    for (const method of ['events.list', 'events.get'])
      faults.add({ kind: 'error', method, status: 403, reason: 'forbidden', count: 1000 })
    await work()
    faults.clear()
  }
  const wasRead = (id: string) =>
    until('the event was read', async () => {
      const [row] = await rowsOf(sql`id = ${id} and calendar_seen is not null`)
      return row
    })
  async function ask(method: string, path: string, body: object) {
    const answer = await world.api.call(method, `/v1/meetings/${path}`, { body })
    expect(answer.status, JSON.stringify(answer.body)).toBe(502)
  }
  /** The conflict about a meeting or a series, once it is noted. */
  const conflictOf = (subject: string) =>
    until('the conflict is noted', async () => {
      // A reading that failed at the same time may have put off the next one.
      await world.api.db.execute(
        sql`update followed_calendars set sync_at = now() where failures > 0 and sync_at > now()`,
      )
      const [row] = await world.api.db.execute<{ detail: Record<string, unknown> }>(
        sql`select detail from (select subject, action, detail from audit_log
            union all select subject, action, detail from audit_pending) as noted
          where subject = ${subject} and action like '%.conflict'`,
      )
      return row?.detail
    })
  const tellNow = (id: string) =>
    world.api.db.execute(sql`update pgboss.job set start_after = now() where singleton_key = ${id}
      and name like 'provision-%' and state < 'active'`)

  async function bothChange(first: 'caller' | 'calendar') {
    const { id } = await world.make()
    const { event_id: eventId } = await wasRead(id)
    const inCalendar = () => changeAs(HOST, eventId, { title: 'Del calendario' })
    await whileUnread(async () => {
      if (first === 'calendar') await inCalendar()
      await ask('PATCH', id, { topic: 'Del que llama', description: 'Solo del que llama' })
      if (first === 'caller') await inCalendar()
    })
    await world.api.db.execute(sql`update followed_calendars set sync_at = now()`)
    return id
  }

  test('becomes what was changed last in the calendar, and the other field stays the caller’s', async () => {
    const id = await bothChange('caller')
    await world.becomes(id, ({ topic }) => topic === 'Del calendario', 15_000)
    await world.api.db.execute(sql`update pgboss.job set start_after = now() where singleton_key = ${id}
      and name = 'provision-meeting' and state < 'active'`)
    const after = await world.becomes(id, ({ google }) => google === 'up_to_date', 15_000)
    expect(after).toMatchObject({ topic: 'Del calendario', description: 'Solo del que llama' })
    const actions = (await world.audited(id)).filter(({ action }) => /changed|conflict/.test(action))
    expect(actions.map(({ action, actor }) => [action, actor.split(':')[0]])).toEqual([
      ['meeting.changed', 'api_key'],
      ['meeting.conflict', 'google'],
      ['meeting.changed', 'google'],
    ])
    expect(actions[1]?.detail).toMatchObject({ winner: 'calendar', fields: ['topic'] })
  })

  test('stays what the caller changed last, and the audit log has both', async () => {
    const id = await bothChange('calendar')
    expect(await conflictOf(`meeting:${id}`)).toMatchObject({
      winner: 'caller',
      fields: ['topic'],
      caller: {
        topic: fingerprint('Del que llama'),
        description: fingerprint('Solo del que llama'),
        timeZone: 'America/Bogota',
      },
      calendar: { status: 'confirmed', topic: fingerprint('Del calendario'), description: null },
    })
    await world.api.db.execute(sql`update pgboss.job set start_after = now() where singleton_key = ${id}
      and name = 'provision-meeting' and state < 'active'`)
    const after = await world.becomes(id, ({ google }) => google === 'up_to_date', 15_000)
    expect(after).toMatchObject({ topic: 'Del que llama', description: 'Solo del que llama' })
    const eventId = await world.eventOf(id)
    const event = [...world.google.state.events.values()].find(({ resource }) => resource.id === eventId)
    expect(event?.resource.summary).toBe('Del que llama')
  })

  test('is in the audit log with both sides: times, words, guests, and a cancellation', async () => {
    const one = async () => {
      const meeting = await world.make()
      return { ...meeting, event_id: (await wasRead(meeting.id)).event_id }
    }
    const [moved, words, guests] = [await one(), await one(), await one()]
    const [gone, kept] = [await one(), await one()]
    const { start, end } = moved
    await whileUnread(async () => {
      await changeAs(HOST, moved.event_id, { start: later(start, 5), end: later(end, 5) })
      await ask('PATCH', moved.id, { start: later(start, 2), end: later(end, 2) })
      const madrid = { timeZone: 'Europe/Madrid', start, end, description: 'Sala 1' }
      await changeAs(HOST, words.event_id, madrid)
      await ask('PATCH', words.id, { timeZone: 'America/Lima', description: 'Sala 2' })
      const invite = ['carla@otra.example']
      await changeAs(HOST, guests.event_id, { invite, uninvite: ['luis@otra.example'] })
      const participants = [{ email: 'ana@clinica.example' }, { email: 'eva@otra.example' }]
      await ask('PATCH', guests.id, { participants })
      await ask('PATCH', gone.id, { topic: 'Para nada' })
      await world.google.personDoes({ do: 'cancel', as: HOST, eventId: gone.event_id })
      await world.google.personDoes({ do: 'cancel', as: HOST, eventId: kept.event_id })
      await ask('PATCH', kept.id, { topic: 'Sigue' })
    })
    expect(await conflictOf(`meeting:${moved.id}`)).toMatchObject({
      ...{ winner: 'caller', fields: ['times'] },
      caller: { start: later(start, 2), end: later(end, 2) },
      calendar: { start: later(start, 5), end: later(end, 5) },
    })
    expect(await conflictOf(`meeting:${words.id}`)).toMatchObject({
      ...{ winner: 'caller', fields: ['description', 'timeZone'] },
      caller: { description: fingerprint('Sala 2'), timeZone: 'America/Lima' },
      calendar: { description: fingerprint('Sala 1'), timeZone: 'Europe/Madrid' },
    })
    const people = (await world.read(guests.id)).participants as { id: string; email: string }[]
    const idsOf = (...emails: string[]) =>
      people.flatMap(({ id, email }) => (emails.includes(email) ? [id] : [])).sort()
    expect(idsOf('ana@clinica.example', 'eva@otra.example')).toHaveLength(2)
    expect(await conflictOf(`meeting:${guests.id}`)).toMatchObject({
      ...{ winner: 'caller', fields: ['guests'] },
      caller: {
        participants: idsOf('ana@clinica.example', 'eva@otra.example'),
        guests: { count: 2, ...fingerprint('ana@clinica.example eva@otra.example') },
      },
      calendar: {
        participants: idsOf('ana@clinica.example'),
        guests: { count: 2, ...fingerprint('ana@clinica.example carla@otra.example') },
      },
    })
    expect(await conflictOf(`meeting:${gone.id}`)).toMatchObject({
      ...{ winner: 'calendar', fields: ['status'] },
      caller: { status: 'scheduled', topic: fingerprint('Para nada') },
      calendar: { status: 'cancelled' },
    })
    await world.becomes(gone.id, ({ status }) => status === 'cancelled')
    expect(await conflictOf(`meeting:${kept.id}`)).toMatchObject({
      ...{ winner: 'caller', fields: ['status'] },
      caller: { status: 'scheduled', topic: fingerprint('Sigue') },
      calendar: { status: 'cancelled' },
    })
    await tellNow(kept.id)
    await world.becomes(kept.id, ({ google }) => google === 'up_to_date', 15_000)
    const eventId = await world.eventOf(kept.id)
    expect(eventId).not.toBe(kept.event_id)
    const event = world.google.state.events.get(`${HOST}/${eventId}`)
    expect(event?.resource).toMatchObject({ status: 'confirmed', summary: 'Sigue' })
  }, 40_000)

  test('of a series is what was changed last, and the audit log has both sides', async () => {
    const recurrence = ['RRULE:FREQ=DAILY;COUNT=3']
    const kept = await world.make({ ...inDays(2), timeZone: 'UTC', recurrence })
    const lost = await world.make({ ...inDays(2), timeZone: 'UTC', recurrence })
    const inCalendar = async ({ id }: { id: string }) =>
      changeAs(HOST, await world.eventOf(id), { title: 'Del calendario', scope: 'all' })
    const words = { topic: 'Del que llama', recurrence: ['RRULE:FREQ=DAILY;COUNT=2'] }
    await whileUnread(async () => {
      await inCalendar(kept)
      await ask('PATCH', `${kept.id}?scope=all`, words)
      await ask('PATCH', `${lost.id}?scope=all`, words)
      await inCalendar(lost)
    })
    for (const [{ series }, winner] of [
      [kept, 'caller'],
      [lost, 'calendar'],
    ] as const)
      expect(await conflictOf(`series:${series.id}`)).toMatchObject({
        winner,
        caller: { topic: fingerprint('Del que llama'), rule: 'FREQ=DAILY;COUNT=2' },
        calendar: { topic: fingerprint('Del calendario'), rule: 'FREQ=DAILY;COUNT=3' },
      })
    await tellNow(kept.series.id)
    for (const [{ id, series }, topic] of [
      [kept, 'Del que llama'],
      [lost, 'Del calendario'],
    ] as const) {
      const after = await world.becomes(id, is => is.topic === topic, 15_000)
      expect(after.series.id).toBe(series.id)
      const eventId = (await world.eventOf(id)).replace(/_.*/, '')
      const event = world.google.state.events.get(`${HOST}/${eventId}`)
      await until('Google says the same', () => event?.resource.summary === topic)
    }
    // Nobody in the calendar changed the rule.
    for (const { series } of [kept, lost])
      expect(await rowsOf(sql`series_id = ${series.id} and status = 'scheduled'`)).toHaveLength(2)
  }, 40_000)

  test('of a series is only what was changed there: an answer takes nothing back', async () => {
    const recurrence = ['RRULE:FREQ=DAILY;COUNT=2']
    const make = () => world.make({ ...inDays(2), timeZone: 'UTC', recurrence })
    const [answered, described, lost] = [await make(), await make(), await make()]
    const inCalendar = async ({ id }: { id: string }, change: object) =>
      changeAs(HOST, await world.eventOf(id), { ...change, scope: 'all' })
    const as = 'ana@clinica.example'
    const answer = async ({ id }: { id: string }) => {
      const eventId = await world.eventOf(id)
      await world.google.personDoes({ do: 'respond', as, eventId, response: 'accepted', scope: 'all' })
      await world.becomes(id, ({ participants }) =>
        participants.some((one: Answer['body']) => one.email === as && one.response === 'accepted'),
      )
      await nothingLeft(world.api)
    }
    const words = { topic: 'Del que llama' }
    await whileUnread(async () => {
      await inCalendar(lost, { title: 'Del calendario' })
      await ask('PATCH', `${lost.id}?scope=all`, words)
    })
    const { faults } = world.google
    faults.add({ kind: 'error', method: 'events.patch', status: 403, reason: 'forbidden', count: 1000 })
    for (const { id } of [answered, described]) await ask('PATCH', `${id}?scope=all`, words)
    await conflictOf(`series:${lost.series.id}`)
    await inCalendar(described, { description: 'Sala 1' })
    await world.becomes(described.id, ({ description }) => description === 'Sala 1')
    for (const one of [answered, lost]) await answer(one)
    const conflicts = await world.api.db.execute<{ subject: string }>(
      sql`select subject from (select subject, action from audit_log
          union all select subject, action from audit_pending) as noted
        where action = 'series.conflict' and subject in
          (${`series:${answered.series.id}`}, ${`series:${described.series.id}`}, ${`series:${lost.series.id}`})`,
    )
    expect(conflicts.map(({ subject }) => subject)).toEqual([`series:${lost.series.id}`])
    for (const { id } of [answered, described, lost])
      expect(await world.read(id)).toMatchObject({ topic: 'Del que llama' })
    faults.clear()
    for (const { id, series } of [answered, described, lost]) {
      const eventId = (await world.eventOf(id)).replace(/_.*/, '')
      const event = world.google.state.events.get(`${HOST}/${eventId}`)
      await tellNow(series.id)
      await until('Google says the same', () => event?.resource.summary === 'Del que llama', 15_000)
    }
    expect(await world.read(described.id)).toMatchObject({ topic: 'Del que llama', description: 'Sala 1' })
  }, 60_000)

  /** Google learns nothing of a meeting or a series until {@link tellNow}. */
  const holdBack = (id: string) =>
    world.api.db.execute(sql`update pgboss.job set start_after = now() + interval '1 hour'
      where singleton_key = ${id} and name like 'provision-%' and state < 'active'`)

  test('is noted once where a caller overruled a cancellation, however often it is read', async () => {
    const { id } = await world.make()
    const { event_id: eventId } = await wasRead(id)
    await whileUnread(async () => {
      await world.google.personDoes({ do: 'cancel', as: HOST, eventId })
      await ask('PATCH', id, { topic: 'Sigue' })
      await holdBack(id)
    })
    await conflictOf(`meeting:${id}`)
    await nothingLeft(world.api)
    await world.api.db.execute(sql`update followed_calendars set whole_at = null where calendar = ${HOST}`)
    await until(
      'everything was read',
      async () => {
        const unread = await world.api.db.execute(
          sql`update followed_calendars set sync_at = least(sync_at, now())
          where calendar = ${HOST} and whole_at is null returning calendar`,
        )
        return unread.length === 0
      },
      15_000,
    )
    const conflicts = (await world.audited(id)).filter(({ action }) => action === 'meeting.conflict')
    expect(conflicts.map(({ detail }) => detail.winner)).toEqual(['caller'])
    expect(await world.read(id)).toMatchObject({ status: 'scheduled', topic: 'Sigue' })
    await tellNow(id)
  }, 40_000)

  test('holds for both parts where the series is split in the calendar meanwhile', async () => {
    const recurrence = ['RRULE:FREQ=DAILY;COUNT=4']
    const { id, series } = await world.make({ ...inDays(2), timeZone: 'UTC', recurrence })
    const third = (await rowsOf(sql`series_id = ${series.id}`))[2]
    if (!third) throw new Error('too few')
    const to = { start: later(third.starts_at, 1), end: later(third.starts_at, 2) }
    await whileUnread(async () => {
      await ask('PATCH', `${id}?scope=all`, { topic: 'Del que llama' })
      await holdBack(series.id)
      await changeAs(HOST, third.event_id, { ...to, description: 'Sala 1', scope: 'following' })
    })
    const next = await until(
      'the second part is another series, of which Google knows',
      async () => {
        await world.api.db.execute(
          sql`update followed_calendars set sync_at = now() where failures > 0 and sync_at > now()`,
        )
        const [row] = await world.api.db.execute<{ id: string; event_id: string; told: boolean }>(
          sql`select id, event_id, synced_revision >= revision as told from series where continues = ${series.id}`,
        )
        return row?.told && row
      },
      20_000,
    )
    const event = world.google.state.events.get(`${HOST}/${next.event_id}`)
    expect(event?.resource.summary).toBe('Del que llama')
    expect(event?.resource.description).toContain('Sala 1')
    const rows = await rowsOf(sql`series_id = ${next.id} and status = 'scheduled'`)
    expect(rows.map(row => [row.topic, row.description, at(row.starts_at)])).toEqual(
      [0, 24].map(hours => ['Del que llama', 'Sala 1', at(later(to.start, hours))]),
    )
    await tellNow(series.id)
  }, 40_000)
})

describe('a captured calendar', () => {
  const create = (more: object) =>
    world.google.personDoes({ do: 'create', as: BOSS, ...inDays(2), title: 'Junta', ...more })
  const captured = (eventId: string) => rowsOf(sql`event_id = ${eventId} and organizer = ${BOSS}`)

  test('has every event with a Meet link recorded, and the bot invited', async () => {
    const { eventId } = await create({ attendees: ['ana@clinica.example'] })
    const [row] = await until('it is a meeting', async () => {
      const rows = await captured(eventId)
      return rows.length > 0 && rows
    })
    if (!row) throw new Error('none')
    const meeting = await world.read(row.id)
    expect(meeting).toMatchObject({ topic: 'Junta', status: 'scheduled', google: 'up_to_date' })
    expect(meeting.joinUrl).toMatch(/^https:\/\/meet\.google\.com\//)
    expect(meeting.participants).toMatchObject([{ email: 'ana@clinica.example' }])
    expect((await openJobsOf(world.api.db, row.id)).map(({ name }) => name)).toEqual(['record-meeting'])
    await until('the bot is invited', () =>
      [...world.google.state.events.values()]
        .find(({ resource }) => resource.id === eventId)
        ?.resource.attendees?.some(({ email }) => email === 'testigo@clinica.example'),
    )
    const to = inDays(7)
    await changeAs(BOSS, eventId, to)
    await world.becomes(row.id, ({ start }) => at(start) === at(to.start))
    await world.google.personDoes({ do: 'cancel', as: BOSS, eventId })
    await world.becomes(row.id, ({ status }) => status === 'cancelled')
    expect(await captured(eventId)).toHaveLength(1)
  })

  test('leaves out what has no link, lasts whole days, or was declined', async () => {
    const without = await create({ meet: false })
    const whole = await create({ start: inDays(3).start.slice(0, 10), end: inDays(4).start.slice(0, 10) })
    const other = await world.google.personDoes({
      ...{ do: 'create', as: HOST, title: 'De otros', attendees: [BOSS] },
      ...inDays(3),
    })
    await until('it is taken', async () => (await captured(other.eventId)).length === 1)
    const last = await create({ title: 'La última', ...inDays(6) })
    await until('the last is taken', async () => (await captured(last.eventId)).length === 1)
    for (const { eventId } of [without, whole]) expect(await captured(eventId)).toEqual([])
    const about = ({ eventId }: { eventId: string }) => told.filter(line => line.eventId === eventId)
    // As often as it is read.
    expect(new Set(about(whole).map(({ message }) => message))).toEqual(
      new Set(['an event of a captured calendar that lasts whole days is not recorded']),
    )
    expect(about(without)).toEqual([])
    const [taken] = await captured(other.eventId)
    await world.google.personDoes({ do: 'respond', as: BOSS, eventId: other.eventId, response: 'declined' })
    await world.becomes(taken?.id ?? '', ({ status }) => status === 'cancelled')
  })

  test('has each instance of a recurring event recorded, and follows them', async () => {
    const { eventId } = await create({ recurrence: ['RRULE:FREQ=DAILY;COUNT=4'], ...inDays(10) })
    const rows = () => rowsOf(sql`calendar_series = ${eventId}`)
    const made = await until('all four', async () => {
      const found = await rows()
      return found.length === 4 && found
    })
    expect(new Set(made.map(({ event_id }) => event_id)).size).toBe(4)
    await world.google.personDoes({ do: 'cancel', as: BOSS, eventId: made[1]?.event_id ?? '', scope: 'this' })
    await world.becomes(made[1]?.id ?? '', ({ status }) => status === 'cancelled')
    await world.google.personDoes({ do: 'cancel', as: BOSS, eventId, scope: 'all' })
    await until('the others too', async () => (await rows()).every(({ status }) => status === 'cancelled'))
  })

  test('records no call twice that Testigo made itself', async () => {
    const { id, meetingCode } = await world.make({ ...inDays(12), participants: [{ email: BOSS }] })
    const last = await create({ title: 'Después', ...inDays(13) })
    await until('the calendar was read', async () => (await captured(last.eventId)).length === 1)
    const rows = await rowsOf(sql`meeting_code = ${meetingCode}`)
    expect(rows.map(row => row.id)).toEqual([id])
  })
})
