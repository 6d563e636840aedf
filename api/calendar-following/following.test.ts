import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../config.ts'
import { createLog } from '../../log.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { startApi } from '../start.ts'
import { callApi, openJobsOf, until } from '../test-api.ts'
import {
  type FollowingWorld as AnyWorld,
  HOST,
  inDays,
  meetingsWhere,
  openFollowingWorld,
  QUICK_GOOGLE,
} from './following-world.ts'

type FollowingWorld = AnyWorld<GoogleSandbox>

const recordJobOf = async ({ api }: FollowingWorld, id: string) =>
  (await openJobsOf(api.db, id)).find(({ name }) => name === 'record-meeting')
const changeOf = (world: FollowingWorld, eventId: string, change: object) =>
  world.google.personDoes({ do: 'change', as: HOST, eventId, ...change })
const sameTime = (text: string, at: string) => Date.parse(text) === Date.parse(at)
const idle = async ({ api }: FollowingWorld) =>
  until('nothing is left to follow', async () => {
    const jobs = await api.db.execute(
      sql`select from pgboss.job where name = 'sync-calendar' and state in ('created', 'active')`,
    )
    return jobs.length === 0
  })

describe('a change made in the calendar is followed by push', () => {
  let world: FollowingWorld
  beforeAll(async () => {
    world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE))
    await world.ready()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  test('moved: the meeting and its bot move', async () => {
    const { id, organizer } = await world.make()
    expect(organizer).toBe(HOST)
    await idle(world)
    const before = await world.read(id)
    const to = inDays(5)
    await changeOf(world, await world.eventOf(id), to)
    const after = await world.becomes(id, ({ start }) => sameTime(start, to.start))
    expect(after).toMatchObject({ google: 'up_to_date', status: 'scheduled', topic: before.topic })
    expect(sameTime(after.end, to.end)).toBe(true)
    const job = await recordJobOf(world, id)
    expect(job?.due.getTime()).toBe(Date.parse(to.start) - 60_000)
    expect(await world.audited(id)).toContainEqual(
      expect.objectContaining({ action: 'meeting.changed', actor: 'google' }),
    )
    // Nothing was written back.
    await idle(world)
    expect(world.asked('events.patch')).toBe(0)
  })

  test('a meeting asked for with fractions of a second, which Google does not keep, is not taken for moved', async () => {
    const { start, end } = inDays(3)
    const fine = { start: start.replace('.000Z', '.417Z'), end: end.replace('.000Z', '.999Z') }
    const { id, ...made } = await world.make(fine)
    expect(made).toMatchObject({ start, end })
    await idle(world)
    expect((await world.audited(id)).filter(({ actor }) => actor === 'google')).toEqual([])
    const answer = await world.api.call('PATCH', `/v1/meetings/${id}`, { body: { end: fine.end } })
    expect(answer).toMatchObject({ status: 200, body: { start, end } })
    // What people really move is followed as before.
    const to = inDays(4)
    await changeOf(world, await world.eventOf(id), to)
    await world.becomes(id, meeting => sameTime(meeting.start, to.start))
    const noted = (await world.audited(id)).filter(({ actor }) => actor === 'google')
    expect(noted.map(({ action }) => action)).toEqual(['meeting.changed'])
  })

  test('cancelled: no bot comes, and the event is not cancelled once more', async () => {
    const { id } = await world.make()
    await world.google.personDoes({ do: 'cancel', as: HOST, eventId: await world.eventOf(id) })
    const after = await world.becomes(id, ({ status }) => status === 'cancelled')
    expect(after).toMatchObject({ google: 'up_to_date', recording: { status: 'cancelled' } })
    expect(await recordJobOf(world, id)).toBeUndefined()
    await idle(world)
    expect(world.asked('events.delete')).toBe(0)
    const cancelled = (await world.audited(id)).filter(({ action }) => action === 'meeting.cancelled')
    expect(cancelled).toMatchObject([{ actor: 'google' }])
  })

  test('guests, their answers, and words', async () => {
    const { id } = await world.make()
    const eventId = await world.eventOf(id)
    await changeOf(world, eventId, {
      title: 'Comité ampliado',
      description: 'Con anexos',
      invite: ['Marta@clinica.example'],
      uninvite: ['luis@otra.example'],
    })
    const after = await world.becomes(id, ({ topic }) => topic === 'Comité ampliado')
    expect(after.description).toBe('Con anexos')
    const emails = after.participants.map(({ email }: { email: string }) => email)
    expect(emails.sort()).toEqual(['ana@clinica.example', 'marta@clinica.example'])
    expect(after.participants).toContainEqual(
      expect.objectContaining({ email: 'ana@clinica.example', role: 'host', name: 'Ana Ruiz' }),
    )
    await world.google.personDoes({ do: 'respond', as: 'ana@clinica.example', eventId, response: 'declined' })
    const answered = await until('Ana has answered', async () => {
      const [row] = await world.api.db.execute<{ response: string; at: string | null }>(
        sql`select response, responded_at as at from participants where meeting_id = ${id} and email = 'ana@clinica.example'`,
      )
      return row?.response === 'declined' && row
    })
    expect(answered.at).not.toBeNull()
  })

  test('put back after it was cancelled: it is recorded after all', async () => {
    const { id } = await world.make()
    const eventId = await world.eventOf(id)
    await world.google.personDoes({ do: 'cancel', as: HOST, eventId })
    await world.becomes(id, ({ status }) => status === 'cancelled')
    const event = [...world.google.state.events.values()].find(({ resource }) => resource.id === eventId)
    if (!event) throw new Error('no event')
    event.resource.status = 'confirmed'
    await changeOf(world, eventId, { title: 'Otra vez' })
    const after = await world.becomes(id, ({ status }) => status === 'scheduled')
    expect(after).toMatchObject({ cancelledAt: null, recording: { status: 'pending' }, topic: 'Otra vez' })
    expect(await recordJobOf(world, id)).toBeDefined()
  })

  test('put back after it was cancelled and erased: another meeting is recorded', async () => {
    const { id } = await world.make()
    const eventId = await world.eventOf(id)
    await world.google.personDoes({ do: 'cancel', as: HOST, eventId })
    await world.becomes(id, ({ status }) => status === 'cancelled')
    await world.api.db.execute(
      sql`update meetings set erasing_since = now(), erased_at = now(), calendar_seen = null, join_url = null,
        meeting_code = null, space_name = null where id = ${id}`,
    )
    const event = [...world.google.state.events.values()].find(({ resource }) => resource.id === eventId)
    if (!event) throw new Error('no event')
    event.resource.status = 'confirmed'
    await changeOf(world, eventId, { title: 'Otra vez' })
    const [other] = await until('it is another meeting', async () => {
      const found = await meetingsWhere(world.api, sql`event_id = ${eventId} and status = 'scheduled'`)
      return found.length > 0 && found
    })
    expect(other?.id).not.toBe(id)
    expect(await world.read(other?.id ?? '')).toMatchObject({
      topic: 'Otra vez',
      meetingCode: expect.any(String),
    })
    expect(await recordJobOf(world, other?.id ?? '')).toBeDefined()
  })

  test('our own changes come back as no change', async () => {
    const { id } = await world.make()
    const body = { ...inDays(6), topic: 'Otro', participants: [{ email: 'eva@clinica.example' }] }
    expect((await world.api.call('PATCH', `/v1/meetings/${id}`, { body })).status).toBe(200)
    const pushes = world.pushed.length
    await until('Google has told of it', () => world.pushed.length > pushes || world.pushed.length > 2)
    await idle(world)
    const actions = (await world.audited(id)).map(({ action, actor }) => `${actor.split(':')[0]} ${action}`)
    expect(actions.filter(action => action.startsWith('google'))).toEqual([])
    expect(await world.read(id)).toMatchObject({ topic: 'Otro', google: 'up_to_date' })
    expect((await world.api.call('DELETE', `/v1/meetings/${id}`)).status).toBe(204)
    await idle(world)
    expect((await world.audited(id)).filter(({ actor }) => actor === 'google')).toEqual([])
  })

  test('webhooks tell of it, with what is different', async () => {
    const hook = { url: 'http://127.0.0.1:9/hook', events: ['meeting.updated', 'meeting.cancelled'] }
    expect((await world.api.call('POST', '/v1/webhooks', { body: hook })).status).toBe(201)
    const { id } = await world.make()
    const eventId = await world.eventOf(id)
    await changeOf(world, eventId, { ...inDays(4) })
    await until('it is told', async () => (await eventsOf(world, id)).length === 1)
    await world.google.personDoes({ do: 'cancel', as: HOST, eventId })
    await until('both are told', async () => (await eventsOf(world, id)).length === 2)
    expect(await eventsOf(world, id)).toMatchObject([
      { type: 'meeting.updated', payload: { changed: ['start', 'end'] } },
      { type: 'meeting.cancelled' },
    ])
  })
})

async function eventsOf({ api }: FollowingWorld, id: string) {
  return api.db.execute<{ type: string; payload: Record<string, unknown> }>(
    sql`select type, payload from webhook_events where meeting_id = ${id} and type like 'meeting.%' order by sequence`,
  )
}

describe('a push that does not come', () => {
  let world: FollowingWorld
  beforeAll(async () => {
    world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE), { pollSeconds: 2 })
    await world.ready()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  test('because it was lost: the poll follows', async () => {
    const { id } = await world.make()
    await idle(world)
    world.google.faults.add({ kind: 'losePush', service: 'calendarPush', count: 1 })
    const to = inDays(9)
    await changeOf(world, await world.eventOf(id), to)
    await world.becomes(id, ({ start }) => sameTime(start, to.start))
    expect(world.google.state.pushes.some(({ outcome }) => outcome === 'lost')).toBe(true)
  })

  test('because its channel ran out unnoticed: the poll follows, another channel is opened, and pushes come again', async () => {
    const { id } = await world.make()
    await idle(world)
    const eventId = await world.eventOf(id)
    // Until a poll finds a change that is older than a push would have taken.
    world.google.expireChannels()
    const living = () =>
      [...world.google.state.channels.values()].some(({ expiresAtMs }) => expiresAtMs > Date.now())
    for (let tries = 0; !living() && tries < 5; tries++) {
      const title = `Comité ${tries}`
      await changeOf(world, eventId, { title })
      await world.becomes(id, ({ topic }) => topic === title)
      await idle(world)
    }
    await until('another channel is open', living)
    const pushes = world.pushed.length
    await changeOf(world, eventId, { title: 'El último' })
    await until('Google pushes again', () => world.pushed.length > pushes)
    await world.becomes(id, ({ topic }) => topic === 'El último')
  })
})

describe('a push', () => {
  let world: FollowingWorld
  beforeAll(async () => {
    world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE))
    await world.ready()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  const headersOf = (world: FollowingWorld) => {
    const last = world.pushed.findLast(({ path }) => path === '/v1/hooks/google/calendar')
    if (!last) throw new Error('nothing was pushed')
    const entries = Object.entries(last.headers).filter(([name]) => name.startsWith('x-goog-'))
    return Object.fromEntries(entries) as Record<string, string>
  }
  const send = (world: FollowingWorld, headers: Record<string, string>) =>
    callApi(world.api.url, 'POST', '/v1/hooks/google/calendar', { headers })

  test('that comes twice, and many at once, are harmless', async () => {
    const { id } = await world.make()
    await idle(world)
    world.google.faults.add({ kind: 'duplicatePush', service: 'calendarPush' })
    await changeOf(world, await world.eventOf(id), { title: 'Dos veces' })
    await world.becomes(id, ({ topic }) => topic === 'Dos veces')
    const readings = world.asked('events.list')
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(world, headersOf(world))))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]))
    await idle(world)
    expect(world.asked('events.list') - readings).toBeLessThanOrEqual(3)
    const changes = (await world.audited(id)).filter(({ action }) => action === 'meeting.changed')
    expect(changes).toHaveLength(1)
  })

  test('with a wrong token, another resource, or of an unknown channel is refused, each alike', async () => {
    await until('Google has pushed', () => world.pushed.length > 0)
    await idle(world)
    const good = headersOf(world)
    const readings = world.asked('events.list')
    const wrong = [
      { ...good, 'x-goog-channel-token': 'adivinado' },
      Object.fromEntries(Object.entries(good).filter(([name]) => name !== 'x-goog-channel-token')),
      { ...good, 'x-goog-resource-id': 'otro' },
      { ...good, 'x-goog-channel-id': crypto.randomUUID() },
    ]
    for (const headers of wrong) {
      const answer = await send(world, headers)
      expect([answer.status, answer.body.code]).toEqual([404, 'channel_not_found'])
    }
    expect(await send(world, {})).toMatchObject({ status: 400, body: { code: 'not_a_push' } })
    await idle(world)
    expect(world.asked('events.list')).toBe(readings)
    expect((await send(world, good)).status).toBe(204)
  })

  test('that comes before the answer to the watch is taken, and no secret is kept', async () => {
    const rows = await world.api.db.execute<{ row: string }>(
      sql`select calendar_channels::text as row from calendar_channels`,
    )
    await until('Google has pushed', () => world.pushed.length > 0)
    const token = headersOf(world)['x-goog-channel-token'] ?? ''
    expect(token.length).toBeGreaterThan(40)
    expect(rows.map(({ row }) => row).join()).not.toContain(token)
  })
})

describe('where there are no pushes', () => {
  let world: FollowingWorld
  beforeAll(async () => {
    world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE), { pushes: false, pollSeconds: 1 })
    await world.ready()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  test('a change is followed within one poll', async () => {
    const { id } = await world.make()
    const to = inDays(9)
    await changeOf(world, await world.eventOf(id), to)
    await world.becomes(id, ({ start }) => sameTime(start, to.start))
    expect(world.asked('events.watch')).toBe(0)
  })

  const changesOf = async (id: string) =>
    (await world.audited(id)).filter(({ action }) => action === 'meeting.changed')
  const tokenOf = async () => {
    const [row] = await world.api.db.execute<{ token: string }>(
      sql`select sync_token as token from followed_calendars where calendar = ${HOST}`,
    )
    return row?.token ?? ''
  }

  test('a process that dies before it noted how far it came leaves a change that is followed once', async () => {
    const { id } = await world.make()
    const before = await tokenOf()
    await changeOf(world, await world.eventOf(id), { title: 'Una vez' })
    await world.becomes(id, ({ topic }) => topic === 'Una vez')
    await until('it was noted', async () => (await tokenOf()) !== before)
    const readings = world.asked('events.list')
    await world.api.db.execute(sql`update followed_calendars set sync_token = ${before}`)
    await until('it is read again', async () => {
      return world.asked('events.list') >= readings + 2 && (await tokenOf()) !== before
    })
    expect(await changesOf(id)).toHaveLength(1)
    expect(await world.read(id)).toMatchObject({ topic: 'Una vez', status: 'scheduled' })
  })

  test('two processes that follow one calendar follow each change once', async () => {
    const env = { ...world.api.env, TESTIGO_CALENDAR_POLL_SECONDS: '1' }
    const other = { databaseUrl: world.api.databaseUrl, log: createLog('silent') }
    await using _second = await startApi(readConfig(env), other)
    const { id } = await world.make()
    const eventId = await world.eventOf(id)
    for (const title of ['Uno', 'Dos', 'Tres']) {
      await changeOf(world, eventId, { title })
      await world.becomes(id, ({ topic }) => topic === title)
    }
    await idle(world)
    expect(await changesOf(id)).toHaveLength(3)
  })

  test('a place to go on from that Google forgot (410) means that everything is read, and what is gone meanwhile is found', async () => {
    const kept = await world.make()
    const gone = await world.make(inDays(4))
    const moved = await world.make(inDays(5))
    await idle(world)
    const to = inDays(8)
    await changeOf(world, await world.eventOf(moved.id), to)
    const eventId = await world.eventOf(gone.id)
    await world.google.personDoes({ do: 'cancel', as: HOST, eventId })
    // Google shows what was deleted long ago to nobody who lists.
    const event = world.google.state.events.get(`${HOST}/${eventId}`)
    if (!event) throw new Error('no event')
    event.resource.start = { dateTime: '2020-01-01T10:00:00Z' }
    event.resource.end = { dateTime: '2020-01-01T11:00:00Z' }
    world.google.expireSyncTokens()
    await world.becomes(moved.id, ({ start }) => sameTime(start, to.start), 15_000)
    await world.becomes(gone.id, ({ status }) => status === 'cancelled', 15_000)
    expect(await world.read(kept.id)).toMatchObject({ status: 'scheduled', start: kept.start })
  })
})

describe('a channel', () => {
  let world: FollowingWorld
  beforeAll(async () => {
    world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE))
    await world.ready()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  test('is renewed before it ends, and the one before it is stopped', async () => {
    const [first] = [...world.google.state.channels.keys()]
    await world.api.db.execute(sql`update calendar_channels set expires_at = now() + interval '23 hours'`)
    await world.api.db.execute(sql`update followed_calendars set upkeep_at = now() - interval '1 second'`)
    await until('there is another one alone', () => {
      const ids = [...world.google.state.channels.keys()]
      return ids.length === 1 && ids[0] !== first
    })
    const rows = await until('the row of the old one is gone', async () => {
      const found = await world.api.db.execute<{ id: string }>(sql`select id from calendar_channels`)
      return found.length === 1 && found
    })
    expect([...world.google.state.channels.keys()]).toEqual(rows.map(({ id }) => id))
  })

  test('whose opening got no answer is opened anew and not left behind', async () => {
    world.google.faults.add({ kind: 'cut', method: 'events.watch' })
    await world.api.db.execute(sql`update calendar_channels set expires_at = now()`)
    await world.api.db.execute(sql`update followed_calendars set upkeep_at = now() - interval '1 second'`)
    await until('it was asked for', () => world.asked('events.watch') === 2)
    await until('the failure is noted', async () => {
      const [row] = await world.api.db.execute<{ failures: number }>(
        sql`select upkeep_failures as failures from followed_calendars`,
      )
      return Number(row?.failures) === 1
    })
    await world.api.db.execute(sql`update followed_calendars set upkeep_at = now() - interval '1 second'`)
    await until('one is left', () => world.google.state.channels.size === 1)
    const rows = await until('and one row', async () => {
      const found = await world.api.db.execute<{ id: string }>(sql`select id from calendar_channels`)
      return found.length === 1 && found
    })
    expect([...world.google.state.channels.keys()]).toEqual(rows.map(({ id }) => id))
  })
})
