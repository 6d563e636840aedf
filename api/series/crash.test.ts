import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { instanceIdFor } from '../../calendar/recurrence.ts'
import { systemClock } from '../../clock.ts'
import { readConfig } from '../../config.ts'
import { isFault } from '../../google/fault.ts'
import { createGoogle, type Google } from '../../google/google.ts'
import { createLog } from '../../log.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import {
  type ApiProcess,
  beforeAnswerIsKept,
  type Held,
  hangAt,
  holdTable,
  leasesAreOver,
  openApiProcess,
  type StopAt,
} from '../api-process-for-tests.ts'
import {
  type Answer,
  callApi,
  makeDue,
  newMeeting,
  openJobsOf,
  openTestWorld,
  type TestWorld,
  until,
} from '../test-api.ts'

/**
 * The API as its own process, killed at each step of making, changing and cancelling a series, and of inviting people to
 * it; afterwards the request is repeated, or its jobs carry it on.
 */

let google: GoogleSandbox
let world: TestWorld
let key: string
let api: ApiProcess
let calendar: Google
let onConference: (() => Promise<void>) | undefined

beforeAll(async () => {
  google = await openGoogle({ onConference: () => onConference?.() })
  world = await openTestWorld(google)
  key = await world.key('Clínica Andina')
  calendar = createGoogle(readConfig(world.env).google, { log: createLog('silent'), clock: systemClock })
  api = openApiProcess(world)
  const body = {
    url: 'https://127.0.0.1:9/hook',
    events: ['meeting.created', 'meeting.updated', 'meeting.cancelled'],
  }
  const heard = await callApi(await api.url(), 'POST', '/v1/webhooks', { key, body })
  expect(heard.status, JSON.stringify(heard.body)).toBe(201)
})
afterEach(() => {
  onConference = undefined
  google.faults.clear()
})
afterAll(async () => {
  await api?.kill()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

const LIMIT = { timeout: 60_000 }
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const FIRST = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS + 3 * DAY_MS
const at = (day: number, hours = 0) => new Date(FIRST + day * DAY_MS + hours * HOUR_MS).toISOString()
const USUAL = ['ana@clinica.example', 'luis@otra.example']

const newSeries = (topic: string, more: object = {}) =>
  newMeeting({
    ...{ topic, start: at(0), end: at(0, 1), timeZone: 'America/Bogota' },
    recurrence: ['RRULE:FREQ=DAILY;COUNT=3'],
    ...more,
  })

const atGoogle =
  (method: string, service: 'calendar' | 'meet' = 'calendar'): StopAt =>
  () =>
    hangAt(google, method, service)()
const onTable =
  (table: string, doing = ''): StopAt =>
  async () => {
    const held = await holdTable(world, table, doing)
    return { reached: held.somebodyWaits, letGo: held.letGo }
  }
/** From the moment in which a link is made: the rows are written by then. */
const onTableAfterLink =
  (table: string): StopAt =>
  async () => {
    const { promise, resolve } = Promise.withResolvers<Held>()
    onConference = async () => resolve(await holdTable(world, table))
    return {
      reached: async () => (await promise).somebodyWaits(),
      letGo: async () => (await promise).letGo(),
    }
  }
const answerLost: StopAt = async () => {
  google.faults.add({ kind: 'cut', service: 'calendar', method: 'events.insert' })
  return atGoogle('events.get')()
}
/** All is done, and the answer is about to be kept. */
const beforeAnswer: StopAt = () => beforeAnswerIsKept(world, onTableAfterLink('pgboss.job'))

interface Asked {
  method: 'POST' | 'PATCH' | 'DELETE'
  path: string
  body?: object
  headers?: Record<string, string>
}

/** Sends a request, kills the API at the step, and gives what sends the same again. */
async function killedAt(stopAt: StopAt, { method, path, ...options }: Asked): Promise<() => Promise<Answer>> {
  const ask = async () => callApi(await api.url(), method, path, { key, ...options })
  const stop = await stopAt()
  const cutOff = ask().then(
    answer => answer.status,
    () => 'no answer',
  )
  await stop.reached()
  await api.kill()
  expect(await cutOff).toBe('no answer')
  await stop.letGo?.()
  onConference = undefined
  google.faults.clear()
  await leasesAreOver(world)
  return ask
}

let used = 0
const withKey = (): Record<string, string> => {
  used += 1
  return { 'idempotency-key': `series-${used}` }
}

/** What a repeat is answered, which is what the next repeat is answered too. */
async function repeated(ask: () => Promise<Answer>, status: number): Promise<Answer['body']> {
  const again = await ask()
  expect(again.status, JSON.stringify(again.body)).toBe(status)
  const third = await ask()
  expect([third.status, third.headers.get('idempotency-replayed')]).toEqual([status, 'true'])
  expect(third.body).toEqual(again.body)
  return again.body
}

/** What nobody asks for again is done by its jobs. */
async function carriedOn(): Promise<void> {
  await api.url()
  await until('what was left is done', async () => {
    const left = await world.db.execute<{ singleton_key: string }>(
      sql`select singleton_key from pgboss.job where name like 'provision-%' and state <= 'active'`,
    )
    for (const { singleton_key: id } of left) await makeDue(world.db, id)
    return left.length === 0
  })
}

interface Row extends Record<string, unknown> {
  id: string
  event_id: string
  status: string
  told: boolean
  join_url: string | null
  topic: string
  starts_at: string
  original_start: string
  people: string[]
  recordings: number
}

interface Chain {
  series: Row[]
  meetings: Row[]
}

/** A series with those that took over from it, and all their meetings. */
async function chainOf(first: string): Promise<Chain> {
  const series = await world.db.execute<Row>(
    sql`select id, event_id, status, synced_revision >= revision as told, join_url from series
      where id = ${first}::uuid or continues = ${first}::uuid order by starts_at`,
  )
  const meetings = await world.db.execute<Row>(sql`
    select m.*, synced_revision >= revision as told,
      array(select email from participants p where p.meeting_id = m.id and removed_at is null order by email) as people,
      (select count(*)::int from recordings r where r.meeting_id = m.id) as recordings
    from meetings m where series_id in (select id from series where id = ${first}::uuid or continues = ${first}::uuid)
    order by starts_at`)
  return { series: [...series], meetings: [...meetings] }
}

/** What there has to be of one series. */
interface Part {
  topic: string
  /** Starts of the meetings that take place. */
  starts: string[]
  people?: string[]
}

/** What there is of a series and its meetings is there once: rows, jobs, the event at Google, its instances and its mails. */
async function expectOnce(first: string, parts: Part[], { cancelled = 0 } = {}): Promise<Chain> {
  const chain = await chainOf(first)
  expect(chain.series).toHaveLength(parts.length)
  for (const [place, { topic, starts, people = USUAL }] of parts.entries()) {
    const row = chain.series[place]
    if (!row) throw new Error('there is no such series')
    const isOver = starts.length === 0
    expect(row).toMatchObject({ status: isOver ? 'cancelled' : 'active', told: true })
    expect(await openJobsOf(world.db, row.id)).toEqual([])
    const own = chain.meetings.filter(one => one.series_id === row.id && one.status === 'scheduled')
    expect(own.map(one => new Date(one.starts_at).toISOString())).toEqual(starts)
    for (const one of own) {
      const eventId = instanceIdFor(row.event_id, new Date(one.original_start))
      const wanted = { topic, people, told: true, recordings: 1, join_url: row.join_url, event_id: eventId }
      expect(one).toMatchObject(wanted)
      expect(one.join_url).toMatch(/^https:\/\/meet\.google\.com\//)
      const due = new Date(Date.parse(one.starts_at) - 60_000)
      expect(await openJobsOf(world.db, one.id)).toMatchObject([{ name: 'record-meeting', due }])
    }
    const events = [...google.state.events.values()]
      .map(({ resource }) => resource)
      .filter(
        event => event.extendedProperties?.private?.testigoMeetingId === row.id && !event.recurringEventId,
      )
    expect(events.map(({ id, status }) => [id, status])).toEqual([
      [row.event_id, isOver ? 'cancelled' : 'confirmed'],
    ])
    expect(await instancesOf(row)).toEqual(starts)
    if (!isOver) {
      expect(events[0]?.summary).toBe(topic)
      const guests = (events[0]?.attendees ?? []).map(({ email }) => email)
      expect(guests.filter(email => email !== 'testigo@clinica.example').sort()).toEqual(people)
    }
    for (const kind of ['invitation', 'cancellation']) {
      const to = google.state.mails.filter(mail => mail.about === row.event_id && mail.kind === kind)
      expect(new Set(to.map(mail => mail.to)).size).toBe(to.length)
    }
  }
  const gone = chain.meetings.filter(({ status }) => status !== 'scheduled')
  expect(gone.map(({ status }) => status)).toEqual(Array.from({ length: cancelled }, () => 'cancelled'))
  for (const { id } of gone) expect(await openJobsOf(world.db, id)).toEqual([])
  return chain
}

async function instancesOf({ event_id: eventId }: Row): Promise<string[]> {
  const of = { subject: 'agenda@clinica.example' }
  const range = { from: new Date(FIRST - DAY_MS), to: new Date(FIRST + 30 * DAY_MS) }
  const found = await calendar.events.listInstances(of, eventId, range).catch((error: unknown) => {
    if (isFault(error, 'gone') || isFault(error, 'not_found')) return []
    throw error
  })
  return found.map(one => one.start?.toISOString() ?? '')
}

interface Count extends Record<string, unknown> {
  name: string
  count: number
}
const listed = (names: string[]) =>
  sql.join(
    names.map(name => sql`${name}`),
    sql`, `,
  )

/** How often each thing was noted in the audit log, and told to whoever listens, of a series and its meetings. */
async function noted({ series, meetings }: Chain): Promise<{ audit: object; told: object }> {
  const subjects = [...series.map(({ id }) => `series:${id}`), ...meetings.map(({ id }) => `meeting:${id}`)]
  const audit = await world.db.execute<Count>(sql`
    select action as name, count(*)::int from (
      select action, subject from audit_log union all select action, subject from audit_pending
    ) as noted where subject in (${listed(subjects)}) group by action`)
  const told = await world.db.execute<Count>(sql`select type as name, count(*)::int from webhook_events
    where meeting_id::text in (${listed(meetings.map(({ id }) => id))}) group by type`)
  const counts = (rows: Iterable<Count>) =>
    Object.fromEntries([...rows].map(({ name, count }) => [name, count]))
  return { audit: counts(audit), told: counts(told) }
}

const CREATED = { 'series.created': 1, 'series.expanded': 1 }
const DAYS = [at(0), at(1), at(2)]

describe('making a series', () => {
  test.each<[string, StopAt]>([
    ['before its meetings were written', onTable('meetings', 'insert into "meetings"')],
    ['after its event was made and the answer was lost', answerLost],
    ['before the answer was kept', beforeAnswer],
  ])('repeated with its key after a kill %s makes one', LIMIT, async (topic, stopAt) => {
    const body = newSeries(topic)
    const ask = await killedAt(stopAt, { method: 'POST', path: '/v1/meetings', body, headers: withKey() })
    const made = await repeated(ask, 201)
    const chain = await expectOnce(made.series.id, [{ topic, starts: DAYS }])
    expect(await noted(chain)).toEqual({ audit: CREATED, told: { 'meeting.created': 3 } })
    const all = await world.db.execute(sql`select from series where template ->> 'topic' = ${topic}`)
    expect(all).toHaveLength(1)
  })

  test(
    'repeated with its external id after a kill before it was noted as made, makes one',
    LIMIT,
    async () => {
      const topic = 'ronda'
      const body = newSeries(topic, { externalId: topic })
      const ask = await killedAt(onTableAfterLink('series'), { method: 'POST', path: '/v1/meetings', body })
      const again = await ask()
      expect(again.status, JSON.stringify(again.body)).toBe(201)
      const third = await ask()
      expect([third.status, third.body.meetingId]).toEqual([409, again.body.id])
      const chain = await expectOnce(again.body.series.id, [{ topic, starts: DAYS }])
      expect(await noted(chain)).toEqual({ audit: CREATED, told: { 'meeting.created': 3 } })
    },
  )

  test('never repeated after a kill before its event was made is done by its job', LIMIT, async () => {
    const topic = 'nunca repetida'
    const body = newSeries(topic)
    await killedAt(atGoogle('events.insert'), { method: 'POST', path: '/v1/meetings', body })
    await carriedOn()
    const [row] = await world.db.execute<{ id: string }>(
      sql`select id from series where template ->> 'topic' = ${topic}`,
    )
    const chain = await expectOnce(row?.id ?? '', [{ topic, starts: DAYS }])
    expect(await noted(chain)).toEqual({ audit: CREATED, told: { 'meeting.created': 3 } })
  })
})

interface Subject {
  seriesId: string
  ids: string[]
  /** Path of the second meeting. */
  path: string
  tag: string
}

async function madeSeries(): Promise<Subject> {
  const made = await callApi(await api.url(), 'POST', '/v1/meetings', { key, body: newSeries('comité') })
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  const seriesId = made.body.series.id
  const ids = (await chainOf(seriesId)).meetings.map(({ id }) => id)
  const path = `/v1/meetings/${ids[1]}`
  const { headers } = await callApi(await api.url(), 'GET', path, { key })
  return { seriesId, ids, path, tag: headers.get('etag') ?? '' }
}

describe('changing a meeting and those after it', () => {
  const LATER = { topic: 'más tarde', start: at(1, 2), end: at(1, 3) }
  const SPLIT = [
    { topic: 'comité', starts: [at(0)] },
    { topic: LATER.topic, starts: [at(1, 2), at(2, 2)] },
  ]

  test.each<[string, StopAt, 'repeated' | 'never repeated']>([
    ['between the two words to Google', atGoogle('events.insert'), 'repeated'],
    ['before it was noted that Google knows the second', onTableAfterLink('series'), 'never repeated'],
  ])('splits the series once, killed %s', LIMIT, async (_name, stopAt, then) => {
    const { seriesId, ids, path } = await madeSeries()
    const asked: Asked = { method: 'PATCH', path: `${path}?scope=following`, body: LATER, headers: withKey() }
    const ask = await killedAt(stopAt, asked)
    if (then === 'repeated') {
      const view = await repeated(ask, 200)
      expect(view).toMatchObject({ id: ids[1], topic: LATER.topic, google: 'up_to_date' })
    } else await carriedOn()
    const chain = await expectOnce(seriesId, SPLIT)
    expect(chain.meetings.map(({ id }) => id)).toEqual(ids)
    expect(await noted(chain)).toEqual({
      audit: { ...CREATED, 'series.created': 2, 'series.changed': 1, 'meeting.changed': 2 },
      // Once with their times, and once with their link.
      told: { 'meeting.created': 3, 'meeting.updated': 4 },
    })
  })
})

test('changing all meetings is done once, killed before it was noted that Google knows', LIMIT, async () => {
  const { seriesId, ids, path, tag } = await madeSeries()
  const headers = { 'if-match': tag }
  const body = { topic: 'otro nombre' }
  const asked: Asked = { method: 'PATCH', path: `${path}?scope=all`, body, headers }
  const ask = await killedAt(atGoogle('spaces.get', 'meet'), asked)
  // Who asks again is told that it was changed; the jobs go on with it.
  const again = await ask()
  expect([again.status, again.body.code]).toEqual([412, 'version_changed'])
  await carriedOn()
  const chain = await expectOnce(seriesId, [{ topic: body.topic, starts: DAYS }])
  expect(chain.meetings.map(({ id }) => id)).toEqual(ids)
  expect(await noted(chain)).toEqual({
    audit: { ...CREATED, 'series.changed': 1, 'meeting.changed': 3 },
    told: { 'meeting.created': 3, 'meeting.updated': 3 },
  })
})

describe('cancelling', () => {
  test('a meeting and those after it is done once, killed before Google was told', LIMIT, async () => {
    const { seriesId, path, tag } = await madeSeries()
    const asked: Asked = { method: 'DELETE', path: `${path}?scope=following`, headers: { 'if-match': tag } }
    const ask = await killedAt(atGoogle('events.patch'), asked)
    expect((await ask()).status).toBe(204)
    await carriedOn()
    const chain = await expectOnce(seriesId, [{ topic: 'comité', starts: [at(0)] }], { cancelled: 2 })
    expect(await noted(chain)).toEqual({
      audit: { ...CREATED, 'series.changed': 1, 'meeting.cancelled': 2 },
      told: { 'meeting.created': 3, 'meeting.cancelled': 2 },
    })
  })

  test('all of them is done once, killed before Google was told', LIMIT, async () => {
    const { seriesId, path } = await madeSeries()
    const asked: Asked = { method: 'DELETE', path: `${path}?scope=all`, headers: withKey() }
    await repeated(await killedAt(atGoogle('events.delete'), asked), 204)
    const chain = await expectOnce(seriesId, [{ topic: 'comité', starts: [] }], { cancelled: 3 })
    expect(await noted(chain)).toEqual({
      audit: { ...CREATED, 'series.cancelled': 1, 'meeting.cancelled': 3 },
      told: { 'meeting.created': 3, 'meeting.cancelled': 3 },
    })
  })
})

describe('somebody', () => {
  const EVA = { email: 'eva@otra.example', name: 'Eva' }

  test('is invited to all meetings once, killed before Google was told', LIMIT, async () => {
    const { seriesId, path } = await madeSeries()
    const headers = withKey()
    const asked: Asked = { method: 'POST', path: `${path}/participants?scope=all`, body: EVA, headers }
    const added = await repeated(await killedAt(atGoogle('events.patch'), asked), 201)
    expect(added).toMatchObject(EVA)
    const people = [...USUAL, EVA.email].sort()
    const chain = await expectOnce(seriesId, [{ topic: 'comité', starts: DAYS, people }])
    expect(await noted(chain)).toEqual({
      audit: { ...CREATED, 'series.changed': 1, 'meeting.changed': 3 },
      told: { 'meeting.created': 3, 'meeting.updated': 3 },
    })
  })

  test('is taken off one meeting once, killed before Google was told', LIMIT, async () => {
    const { seriesId, ids, path } = await madeSeries()
    const { body } = await callApi(await api.url(), 'GET', `${path}/participants`, { key })
    const luis = body.invited.find(({ email }: { email: string }) => email === 'luis@otra.example')
    const asked: Asked = { method: 'DELETE', path: `${path}/participants/${luis.id}`, headers: withKey() }
    const ask = await killedAt(atGoogle('events.patch'), asked)
    await carriedOn()
    await repeated(ask, 204)
    const { meetings, ...rest } = await chainOf(seriesId)
    expect(meetings.map(({ id, people }) => [id, people])).toEqual(
      ids.map((id, place) => [id, place === 1 ? ['ana@clinica.example'] : USUAL]),
    )
    for (const { id } of meetings)
      expect((await openJobsOf(world.db, id)).map(({ name }) => name)).toEqual(['record-meeting'])
    const instances = [...google.state.events.values()].map(event => event.resource)
    const own = instances.filter(event => event.recurringEventId === rest.series[0]?.event_id)
    expect(own.map(({ id }) => id)).toEqual([meetings[1]?.event_id])
    const guests = (own[0]?.attendees ?? []).map(({ email }) => email)
    expect(guests).toContain('ana@clinica.example')
    expect(guests).not.toContain('luis@otra.example')
    expect(await noted({ meetings, ...rest })).toEqual({
      audit: { ...CREATED, 'meeting.changed': 1, 'meeting.provisioned': 1 },
      told: { 'meeting.created': 3, 'meeting.updated': 1 },
    })
  })
})
