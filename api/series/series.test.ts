import { eq } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { instantAt, wallTimeAt } from '../../calendar/wall-time.ts'
import { systemClock } from '../../clock.ts'
import { readConfig } from '../../config.ts'
import { type OpenJobs, openJobs } from '../../db/jobs.ts'
import { meetings, recordings, series } from '../../db/schema.ts'
import { isFault } from '../../google/fault.ts'
import { createGoogle, type Google } from '../../google/google.ts'
import { createLog } from '../../log.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { makeDue, newMeeting, openJobsOf, openTestApi, type TestApi, until } from '../test-api.ts'
import { expandAllSeries } from './expand-series.ts'

let google: GoogleSandbox
let api: TestApi
let jobs: OpenJobs
let calendar: Google
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, 3)
  jobs = await openJobs(api.databaseUrl, () => {})
  calendar = createGoogle(readConfig(api.env).google, { log: createLog('silent'), clock: systemClock })
})
afterEach(() => google.faults.clear())
afterAll(async () => {
  await jobs?.close()
  await api?.close()
  await google?.stop()
})

const DAY_MS = 86_400_000
// A whole hour some days ahead, so that a week later is the same hour in Bogotá.
const FIRST = new Date(Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 3 * DAY_MS)
const day = (days: number, hours = 0) => new Date(FIRST.getTime() + days * DAY_MS + hours * 3_600_000)
const hour = (days: number, hours = 0) => ({
  start: day(days, hours).toISOString(),
  end: day(days, hours + 1).toISOString(),
})

async function makeSeries(rule = 'RRULE:FREQ=WEEKLY;COUNT=5', changes: Record<string, unknown> = {}) {
  const body = newMeeting({ ...hour(0), timeZone: 'America/Bogota', recurrence: [rule], ...changes })
  const answer = await api.call('POST', '/v1/meetings', { body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}
const patch = (id: string, scope: string, body: object) =>
  api.call('PATCH', `/v1/meetings/${id}?scope=${scope}`, { body })
const cancel = (id: string, scope: string) => api.call('DELETE', `/v1/meetings/${id}?scope=${scope}`)
const shown = async (id: string) => (await api.call('GET', `/v1/meetings/${id}`)).body

/** The meetings of a series as the list shows them. */
async function listed(seriesId: string, status = 'scheduled') {
  const answer = await api.call('GET', `/v1/meetings?series=${seriesId}&status=${status}&limit=200`)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.items
}
const startsOf = async (seriesId: string) =>
  (await listed(seriesId)).map((one: { start: string }) => one.start)

/** What the calendar has of a series: the starts of the instances that take place. */
async function inCalendar(seriesId: string): Promise<string[]> {
  const [row] = await api.db.select().from(series).where(eq(series.id, seriesId))
  const found = await calendar.events
    .listInstances({ subject: row?.organizer ?? '' }, row?.eventId ?? '', { from: day(-30), to: day(500) })
    // A series that is cancelled has none.
    .catch((error: unknown) => {
      if (isFault(error, 'gone') || isFault(error, 'not_found')) return []
      throw error
    })
  return found.map(one => one.start?.toISOString() ?? '')
}

describe('a series', () => {
  test('of many days is found by its people and its words, also after a change of all', async () => {
    const people = (email: string) => ({ participants: [{ email }] })
    const first = await makeSeries('RRULE:FREQ=DAILY;COUNT=30', {
      ...people('diaria@otra.example'),
      topic: 'Ronda',
    })
    const count = async (query: string) =>
      (await api.call('GET', `/v1/meetings?limit=200&${query}`)).body.items.length
    const all = 30
    expect(await count(`series=${first.series.id}`)).toBe(all)
    expect(await count('participant=diaria@otra.example')).toBe(all)
    expect(await count('text=ronda')).toBe(all)
    const later = await patch(first.id, 'all', { ...people('nueva@otra.example'), topic: 'Visita' })
    expect(later.status, JSON.stringify(later.body)).toBe(200)
    expect(await count('participant=nueva@otra.example')).toBe(all)
    expect(await count('participant=diaria@otra.example')).toBe(0)
    expect(await count('text=visita')).toBe(all)
    expect(await count('text=ronda')).toBe(0)
  })

  test('is one event, one link, and a meeting with a recording for each time', async () => {
    const first = await makeSeries('RRULE:FREQ=WEEKLY;COUNT=3')
    expect(first.series).toEqual({ id: expect.any(String), originalStart: day(0).toISOString() })
    const all = await listed(first.series.id)
    expect(all.map((one: { start: string }) => one.start)).toEqual(
      [0, 7, 14].map(days => day(days).toISOString()),
    )
    expect(new Set(all.map((one: { joinUrl: string }) => one.joinUrl))).toEqual(new Set([first.joinUrl]))
    expect(new Set(all.map((one: { id: string }) => one.id)).size).toBe(3)
    for (const one of all) {
      expect(one).toMatchObject({
        google: 'up_to_date',
        recording: { status: 'pending' },
        topic: first.topic,
      })
      const jobs = await openJobsOf(api.db, one.id)
      expect(jobs.map(({ name }) => name)).toEqual(['record-meeting'])
      expect(jobs[0]?.due.getTime()).toBeLessThanOrEqual(Date.parse(one.start))
      expect(jobs[0]?.due.getTime()).toBeGreaterThan(Date.parse(one.start) - 15 * 60_000)
    }
  })

  test('is told in words, with its rule in normal form', async () => {
    const first = await makeSeries('RRULE:FREQ=DAILY;INTERVAL=1;COUNT=2')
    const { body } = await api.call('GET', `/v1/series/${first.series.id}`)
    expect(body).toMatchObject({
      recurrence: ['RRULE:FREQ=DAILY;COUNT=2'],
      status: 'active',
      google: 'up_to_date',
      joinUrl: first.joinUrl,
      meetings: { scheduled: 2, inProgress: 0, ended: 0, cancelled: 0 },
      continues: null,
    })
    expect(body.inWords.es).toMatch(/^cada día, a las \d\d:00 \(America\/Bogota\), 2 veces$/)
  })

  test('without end is made 400 days ahead, and further as time goes by, once', async () => {
    const first = await makeSeries('RRULE:FREQ=WEEKLY')
    const seriesId = first.series.id
    expect(await startsOf(seriesId)).toHaveLength(57)
    const settings = { accessType: 'TRUSTED', autoRecording: false, joinLeadSeconds: 60 } as const
    const later = { now: () => Date.now() + 70 * DAY_MS, sleep: async () => {} }
    const deps = { db: api.db, jobs, settings, clock: later }
    const made = await Promise.all([expandAllSeries(deps), expandAllSeries(deps)])
    expect(made[0] + made[1]).toBeGreaterThanOrEqual(10)
    const starts = await startsOf(seriesId)
    expect(starts).toEqual(starts.map((_: string, week: number) => day(week * 7).toISOString()))
    expect(starts.length).toBe(67)
    const last = (await listed(seriesId)).at(-1)
    expect(last.joinUrl).toBe(first.joinUrl)
    expect((await openJobsOf(api.db, last.id)).map(({ name }) => name)).toEqual(['record-meeting'])
  })

  test('that begins years from now has its first meeting at once', async () => {
    const far = { start: '2031-03-04T10:00:00-05:00', end: '2031-03-04T11:00:00-05:00' }
    const first = await makeSeries('RRULE:FREQ=WEEKLY', far)
    expect(await startsOf(first.series.id)).toEqual(['2031-03-04T15:00:00.000Z'])
  })

  test.each([
    ['RRULE:FREQ=HOURLY', /FREQ=HOURLY/],
    ['RDATE:20270101T100000Z', /RDATE/],
    ['RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYMONTH=1', /BYMONTH/],
    ['RRULE:FREQ=DAILY;COUNT=5000', /1000/],
  ])('with %s is refused with a reason', async (line, words) => {
    const body = newMeeting({ ...hour(0), recurrence: [line] })
    const { status, body: problem } = await api.call('POST', '/v1/meetings', { body })
    expect([status, problem.code]).toEqual([422, 'bad_recurrence'])
    expect(problem.errors[0]).toMatchObject({ path: 'recurrence', message: expect.stringMatching(words) })
  })

  test('while Google is down is kept, and made by its job; the same request goes on with it', async () => {
    google.faults.add({ kind: 'down', service: 'calendar' })
    const body = newMeeting({
      ...hour(0),
      recurrence: ['RRULE:FREQ=DAILY;COUNT=2'],
      externalId: 'series-down',
    })
    const down = await api.call('POST', '/v1/meetings', { body })
    expect([down.status, down.body.code]).toEqual([503, 'google_unavailable'])
    const waiting = await shown(down.body.meetingId)
    expect(waiting).toMatchObject({ google: 'pending', joinUrl: null })
    google.faults.clear()
    await makeDue(api.db, waiting.series.id)
    await until('the series at Google', async () => (await shown(waiting.id)).joinUrl !== null)
    const again = await api.call('POST', '/v1/meetings', { body })
    expect([again.status, again.body.code]).toEqual([409, 'external_id_taken'])
    expect(await startsOf(waiting.series.id)).toHaveLength(2)
  })

  test('is nothing that another organisation learns of', async () => {
    const first = await makeSeries()
    const key = await api.keyOf('Hospital del Valle')
    const theirs = await api.call('GET', `/v1/series/${first.series.id}`, { key })
    expect([theirs.status, theirs.body.code]).toEqual([404, 'series_not_found'])
    const list = await api.call('GET', `/v1/meetings?series=${first.series.id}`, { key })
    expect(list.body.items).toEqual([])
    for (const scope of ['one', 'following', 'all']) {
      const path = `/v1/meetings/${first.id}?scope=${scope}`
      expect((await api.call('DELETE', path, { key })).status).toBe(404)
      expect((await api.call('PATCH', path, { key, body: { topic: 'x' } })).status).toBe(404)
    }
  })
})

describe('one meeting of a series', () => {
  test('moves alone, and its bot with it; the calendar shows it too', async () => {
    const first = await makeSeries()
    const [, second] = await listed(first.series.id)
    const answer = await patch(second.id, 'one', hour(8, 2))
    expect(answer.body).toMatchObject({ ...hour(8, 2), google: 'up_to_date', joinUrl: first.joinUrl })
    expect(answer.body.series.originalStart).toBe(day(7).toISOString())
    const wanted = [day(0), day(8, 2), day(14), day(21), day(28)].map(at => at.toISOString())
    expect(await startsOf(first.series.id)).toEqual(wanted)
    expect((await inCalendar(first.series.id)).sort()).toEqual(wanted)
    const [job] = await openJobsOf(api.db, second.id)
    expect(job?.due.getTime()).toBeGreaterThan(day(8, 1).getTime())
  })

  test('is cancelled alone, and is not made again', async () => {
    const first = await makeSeries()
    const [, second] = await listed(first.series.id)
    expect((await cancel(second.id, 'one')).status).toBe(204)
    const wanted = [0, 14, 21, 28].map(days => day(days).toISOString())
    expect(await startsOf(first.series.id)).toEqual(wanted)
    expect(await inCalendar(first.series.id)).toEqual(wanted)
    expect(await openJobsOf(api.db, second.id)).toEqual([])
    await patch(first.id, 'all', { topic: 'Otro' })
    expect(await startsOf(first.series.id)).toEqual(wanted)
    expect(await inCalendar(first.series.id)).toEqual(wanted)
  })
})

describe('all meetings of a series', () => {
  test('get another topic and other guests, but for what one had of its own', async () => {
    const first = await makeSeries()
    const [, second] = await listed(first.series.id)
    await patch(second.id, 'one', { topic: 'Extraordinario' })
    const answer = await patch(first.id, 'all', {
      topic: 'Comité nuevo',
      participants: [{ email: 'eva@clinica.example' }],
      customFields: { sede: 'Cali' },
    })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const all = await Promise.all((await listed(first.series.id)).map((one: { id: string }) => shown(one.id)))
    expect(all.map(({ topic }) => topic)).toEqual([
      'Comité nuevo',
      'Extraordinario',
      'Comité nuevo',
      'Comité nuevo',
      'Comité nuevo',
    ])
    for (const one of all) {
      expect(one.participants.map(({ email }: { email: string }) => email)).toEqual(['eva@clinica.example'])
      expect(one).toMatchObject({
        customFields: { sede: 'Cali' },
        google: 'up_to_date',
        joinUrl: first.joinUrl,
      })
    }
  })

  test('move together, as the one moves that is named; ids, link and exceptions stay', async () => {
    const first = await makeSeries()
    const before = await listed(first.series.id)
    await cancel(before[3].id, 'one')
    const answer = await patch(before[1].id, 'all', hour(8, 2))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const wanted = [1, 8, 15, 29].map(days => day(days, 2).toISOString())
    const after = await listed(first.series.id)
    expect(after.map((one: { start: string }) => one.start)).toEqual(wanted)
    expect(after.map((one: { id: string }) => one.id)).toEqual([0, 1, 2, 4].map(at => before[at].id))
    expect(after[0].joinUrl).toBe(first.joinUrl)
    expect(await inCalendar(first.series.id)).toEqual(wanted)
    const [job] = await openJobsOf(api.db, before[4].id)
    expect(job?.due.getTime()).toBeGreaterThan(day(29, 1).getTime())
  })

  test('by a day each, into each other’s places', async () => {
    const first = await makeSeries('RRULE:FREQ=DAILY;COUNT=4')
    const before = (await listed(first.series.id)).map((one: { id: string }) => one.id)
    expect((await patch(first.id, 'all', hour(1))).status).toBe(200)
    const after = await listed(first.series.id)
    expect(after.map((one: { id: string; start: string }) => [one.id, one.start])).toEqual(
      before.map((id: string, at: number) => [id, day(at + 1).toISOString()]),
    )
  })

  test('follow another rule: who keeps the day keeps the meeting, others are cancelled or made', async () => {
    const first = await makeSeries()
    const before = await listed(first.series.id)
    const answer = await patch(first.id, 'all', { recurrence: ['RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4'] })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const after = await listed(first.series.id)
    expect(after.map((one: { start: string }) => one.start)).toEqual(
      [0, 14, 28, 42].map(days => day(days).toISOString()),
    )
    expect(after.map((one: { id: string }) => one.id).slice(0, 3)).toEqual([0, 2, 4].map(at => before[at].id))
    expect((await shown(before[1].id)).status).toBe('cancelled')
    expect(await inCalendar(first.series.id)).toEqual(await startsOf(first.series.id))
    expect((await shown(after[3].id)).joinUrl).toBe(first.joinUrl)
  })

  test('are cancelled together: one word to Google, no bot', async () => {
    const first = await makeSeries()
    const all = await listed(first.series.id)
    expect((await cancel(all[2].id, 'all')).status).toBe(204)
    expect(await startsOf(first.series.id)).toEqual([])
    expect(await inCalendar(first.series.id)).toEqual([])
    const { body } = await api.call('GET', `/v1/series/${first.series.id}`)
    expect(body).toMatchObject({ status: 'cancelled', google: 'up_to_date', meetings: { cancelled: 5 } })
    for (const { id } of all) expect(await openJobsOf(api.db, id)).toEqual([])
    const states = await api.db
      .select({ status: recordings.status })
      .from(recordings)
      .innerJoin(meetings, eq(meetings.id, recordings.meetingId))
      .where(eq(meetings.seriesId, first.series.id))
    expect(new Set(states.map(({ status }) => status))).toEqual(new Set(['cancelled']))
    expect((await cancel(all[2].id, 'all')).status).toBe(204)
  })
})

describe('a meeting and all that follow', () => {
  test('become a series of their own at other times, with their ids and another link', async () => {
    const first = await makeSeries()
    const before = await listed(first.series.id)
    const answer = await patch(before[2].id, 'following', { ...hour(14, 3), topic: 'Más tarde' })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const next = answer.body.series.id
    expect(next).not.toBe(first.series.id)
    expect(await startsOf(first.series.id)).toEqual([0, 7].map(days => day(days).toISOString()))
    expect(await inCalendar(first.series.id)).toEqual([0, 7].map(days => day(days).toISOString()))
    const after = await listed(next)
    expect(after.map((one: { start: string }) => one.start)).toEqual(
      [14, 21, 28].map(days => day(days, 3).toISOString()),
    )
    expect(after.map((one: { id: string }) => one.id)).toEqual([2, 3, 4].map(at => before[at].id))
    expect(await inCalendar(next)).toEqual([14, 21, 28].map(days => day(days, 3).toISOString()))
    for (const one of after) expect(one).toMatchObject({ topic: 'Más tarde', joinUrl: answer.body.joinUrl })
    expect(answer.body.joinUrl).not.toBe(first.joinUrl)
    expect((await shown(first.id)).topic).toBe(first.topic)
    expect((await api.call('GET', `/v1/series/${next}`)).body.continues).toBe(first.series.id)
  })

  test('from the first on are the whole series', async () => {
    const first = await makeSeries()
    const answer = await patch(first.id, 'following', hour(0, 1))
    expect(answer.body.series.id).toBe(first.series.id)
    expect(answer.body.joinUrl).toBe(first.joinUrl)
    expect(await inCalendar(first.series.id)).toEqual(
      [0, 7, 14, 21, 28].map(days => day(days, 1).toISOString()),
    )
  })

  test('are cancelled, and the earlier ones stay', async () => {
    const first = await makeSeries('RRULE:FREQ=WEEKLY')
    const all = await listed(first.series.id)
    expect((await cancel(all[2].id, 'following')).status).toBe(204)
    const wanted = [0, 7].map(days => day(days).toISOString())
    expect(await startsOf(first.series.id)).toEqual(wanted)
    expect(await inCalendar(first.series.id)).toEqual(wanted)
    expect(await listed(first.series.id, 'cancelled')).toHaveLength(all.length - 2)
  })
})

describe.each(['America/New_York', 'Europe/Madrid'])('a series in %s', timeZone => {
  // Every four weeks for eleven months: over both changes of the clock.
  const RULE = 'RRULE:FREQ=WEEKLY;INTERVAL=4;COUNT=13'
  const at = (day: Date, hour: number) =>
    instantAt({ ...wallTimeAt(day, timeZone), hour, minute: 0, second: 0 }, timeZone)
  const from = (day: Date, hour: number) => ({
    start: at(day, hour).toISOString(),
    end: at(day, hour + 1).toISOString(),
  })
  const clock = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' })
  const hoursOf = (starts: string[]) => starts.map(start => clock.format(new Date(start)))
  /** When its meetings begin there, once Google has shown the same. */
  async function compared(seriesId: string): Promise<string[]> {
    const starts: string[] = await startsOf(seriesId)
    expect((await inCalendar(seriesId)).sort()).toEqual([...starts].sort())
    return starts
  }

  test('keeps its hour over changes of the clock, as Google has it, also when one, many or all are moved', async () => {
    const first = await makeSeries(RULE, { ...from(FIRST, 10), timeZone })
    const id = first.series.id
    const starts = await compared(id)
    expect(hoursOf(starts)).toEqual(Array(13).fill('10:00'))
    expect(new Set(starts.map(start => start.slice(11, 16))).size).toBe(2)

    expect((await patch(first.id, 'all', from(FIRST, 9))).status).toBe(200)
    expect(hoursOf(await compared(id))).toEqual(Array(13).fill('09:00'))

    const all = await listed(id)
    const moved = from(new Date(all[2].start), 12)
    expect((await patch(all[2].id, 'one', moved)).body).toMatchObject(moved)
    const one = ['09:00', '09:00', '12:00', ...Array(10).fill('09:00')]
    expect(hoursOf(await compared(id))).toEqual(one)

    const answer = await patch(all[6].id, 'following', from(new Date(all[6].start), 15))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(hoursOf(await compared(id))).toEqual(one.slice(0, 6))
    expect(hoursOf(await compared(answer.body.series.id))).toEqual(Array(7).fill('15:00'))
  })
})

describe('a series that has begun', () => {
  const BEGAN = new Date(Math.floor(Date.now() / 1000) * 1000 - 1_800_000)
  const later = (days: number, hours = 0) => new Date(BEGAN.getTime() + days * DAY_MS + hours * 3_600_000)
  const begun = () => {
    const times = { start: BEGAN.toISOString(), end: later(0, 1).toISOString() }
    return makeSeries('RRULE:FREQ=WEEKLY;COUNT=4', times)
  }

  test('keeps what takes place now when all get other times: the rest goes on as another series', async () => {
    const first = await begun()
    const [, second] = await listed(first.series.id)
    const times = { start: later(7, 5).toISOString(), end: later(7, 6).toISOString() }
    const answer = await patch(second.id, 'all', times)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(await startsOf(first.series.id)).toEqual([BEGAN.toISOString()])
    expect(await inCalendar(first.series.id)).toEqual([BEGAN.toISOString()])
    const wanted = [7, 14, 21].map(days => later(days, 5).toISOString())
    expect(await startsOf(answer.body.series.id)).toEqual(wanted)
    expect(await inCalendar(answer.body.series.id)).toEqual(wanted)
    expect(answer.body.joinUrl).not.toBe(first.joinUrl)
    expect((await shown(first.id)).joinUrl).toBe(first.joinUrl)
  })

  test('keeps its link when all get another topic, and what has begun keeps its own', async () => {
    const first = await begun()
    const [, second] = await listed(first.series.id)
    const answer = await patch(second.id, 'all', { topic: 'Nuevo' })
    expect(answer.body).toMatchObject({ topic: 'Nuevo', joinUrl: first.joinUrl })
    expect((await shown(first.id)).topic).toBe(first.topic)
    expect(await startsOf(first.series.id)).toEqual([0, 7, 14, 21].map(days => later(days).toISOString()))
  })

  test('is cancelled from the next meeting on; nothing is left to cancel after the last has begun', async () => {
    const first = await begun()
    expect((await cancel(first.id, 'following')).status).toBe(204)
    expect(await startsOf(first.series.id)).toEqual([BEGAN.toISOString()])
    expect(await inCalendar(first.series.id)).toEqual([BEGAN.toISOString()])
    const again = await cancel(first.id, 'all')
    expect([again.status, again.body.code]).toEqual([409, 'meeting_in_progress'])
  })
})

describe('custom fields of a series', () => {
  test('follow the schema of the organisation', async () => {
    const key = await api.keyOf('Hospital San José')
    const call = (method: string, path: string, body?: unknown) =>
      api.call(method, path, { key, ...(body === undefined ? {} : { body }) })
    const schema = {
      type: 'object',
      properties: { sede: { type: 'string' } },
      required: ['sede'],
      additionalProperties: false,
    }
    expect((await call('GET', '/v1/organization/custom-fields')).body).toMatchObject({ schema: null })
    const bad = await call('PUT', '/v1/organization/custom-fields', { schema: { type: 'array' } })
    expect([bad.status, bad.body.code]).toEqual([422, 'bad_schema'])
    const put = await call('PUT', '/v1/organization/custom-fields', { schema })
    expect(put.body).toMatchObject({ schema, version: 1 })
    const recurring = { ...hour(0), recurrence: ['RRULE:FREQ=DAILY;COUNT=2'] }
    for (const extra of [{}, recurring]) {
      const none = await call('POST', '/v1/meetings', newMeeting(extra))
      expect(none.body).toMatchObject({
        status: 422,
        errors: [{ path: 'customFields.sede', code: 'missing_field' }],
      })
      const more = await call(
        'POST',
        '/v1/meetings',
        newMeeting({ ...extra, customFields: { sede: 'x', a: 1 } }),
      )
      expect(more.body).toMatchObject({
        status: 422,
        errors: [{ path: 'customFields.a', code: 'unknown_field' }],
      })
      const good = await call(
        'POST',
        '/v1/meetings',
        newMeeting({ ...extra, customFields: { sede: 'Cali' } }),
      )
      expect(good.status, JSON.stringify(good.body)).toBe(201)
      const { id } = good.body
      const changed = await call('PATCH', `/v1/meetings/${id}`, { customFields: { sede: 7 } })
      expect(changed.body).toMatchObject({ errors: [{ path: 'customFields.sede', code: 'invalid_field' }] })
      expect((await call('PATCH', `/v1/meetings/${id}`, { topic: 'Otro' })).status).toBe(200)
    }
    expect((await call('PUT', '/v1/organization/custom-fields', { schema: null })).body.schema).toBeNull()
    expect((await call('POST', '/v1/meetings', newMeeting())).status).toBe(201)
  })
})

test('a scope is refused where there is no series, and a rule where one meeting is meant', async () => {
  const single = (await api.call('POST', '/v1/meetings', { body: newMeeting() })).body
  for (const answer of [await patch(single.id, 'all', { topic: 'x' }), await cancel(single.id, 'following')])
    expect([answer.status, answer.body.code]).toEqual([422, 'not_in_series'])
  const first = await makeSeries()
  const rule = await patch(first.id, 'one', { recurrence: ['RRULE:FREQ=DAILY'] })
  expect([rule.status, rule.body.code]).toEqual([422, 'invalid_field'])
  const scope = await patch(first.id, 'some', { topic: 'x' })
  expect([scope.status, scope.body.code]).toEqual([400, 'invalid_query'])
})
