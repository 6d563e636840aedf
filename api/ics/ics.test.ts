import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readIcs } from '../../calendar/ics-import.ts'
import { setHosts } from '../../db/organizations.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, type TestApi, until } from '../test-api.ts'
import { importSchema } from './schema.ts'

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

const DAY_MS = 86_400_000
const FIRST = Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 2 * DAY_MS
const utc = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '')

const fileOf = (...events: string[][]) =>
  [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//x//ES',
    ...events.flatMap(lines => ['BEGIN:VEVENT', 'DTSTAMP:20261120T130000Z', ...lines, 'END:VEVENT']),
    'END:VCALENDAR',
    '',
  ].join('\r\n')
const event = (uid: string, ...more: string[]) => [
  `UID:${uid}`,
  'SUMMARY:Comité clínico',
  'DTSTART;TZID=America/Bogota:20310304T100000',
  'DTEND;TZID=America/Bogota:20310304T110000',
  ...more,
]
const send = (text: string, type = 'text/calendar; charset=utf-8') =>
  api.call('POST', '/v1/meetings/import', { text, headers: { 'content-type': type } })
async function imported(text: string) {
  const answer = await send(text)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return importSchema.parse(answer.body)
}
const shown = async (id: string | null | undefined) => (await api.call('GET', `/v1/meetings/${id}`)).body
const byUid = async (uid: string) =>
  (await api.call('GET', `/v1/meetings?externalId=${encodeURIComponent(uid)}`)).body.items[0]
const download = (path: string) => api.call('GET', path)
async function make(changes: Record<string, unknown> = {}) {
  const answer = await api.call('POST', '/v1/meetings', { body: newMeeting(changes) })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}

describe('a file out', () => {
  test('holds a meeting as it is, and reads back as the same', async () => {
    const reminders = [{ channel: 'email', amount: 1, unit: 'days' }]
    const { id, joinUrl } = await make({ description: 'Caso 17; «uno, dos»', reminders })
    const answer = await download(`/v1/meetings/${id}/ics`)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/calendar; charset=utf-8')
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename=meeting-${id}.ics`)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.body).toContain(joinUrl)
    expect(readIcs(answer.body).wishes).toMatchObject([
      {
        uid: `${id}@testigo`,
        topic: 'Comité clínico',
        description: 'Caso 17; «uno, dos»',
        start: new Date('2031-03-04T15:00:00Z'),
        end: new Date('2031-03-04T16:00:00Z'),
        timeZone: 'America/Bogota',
        organizer: 'agenda@clinica.example',
        participants: [
          { email: 'ana@clinica.example', name: 'Ana Ruiz', role: 'host' },
          { email: 'luis@otra.example', name: 'Luis Paz', role: 'participant' },
        ],
        reminders,
      },
    ])
  })

  test('of a cancelled meeting takes it back', async () => {
    const { id } = await make()
    await api.call('DELETE', `/v1/meetings/${id}`)
    const { body } = await download(`/v1/meetings/${id}/ics`)
    expect(readIcs(body).cancellations).toMatchObject([{ uid: `${id}@testigo` }])
  })

  test('holds what the list holds with the same filters, and no more', async () => {
    const related = { type: 'case', id: 'ics' }
    const mine = [await make({ related }), await make({ related })].map(({ id }) => `${id}@testigo`)
    await make()
    const answer = await download('/v1/meetings/ics?relatedType=case&relatedId=ics')
    expect(
      readIcs(answer.body)
        .wishes.map(({ uid }) => uid)
        .sort(),
    ).toEqual(mine.sort())
    const none = await download('/v1/meetings/ics?relatedType=case&relatedId=none')
    expect(none.body).toMatch(/^BEGIN:VCALENDAR\r\n[\s\S]*END:VCALENDAR\r\n$/)
    for (const query of ['limit=5', 'cursor=x', 'status=x'])
      expect((await download(`/v1/meetings/ics?${query}`)).body.code).toBe('invalid_query')
  })

  test('of a series has its rule, without what was cancelled and with what differs', async () => {
    const times = { start: new Date(FIRST).toISOString(), end: new Date(FIRST + 3_600_000).toISOString() }
    const made = await make({ ...times, recurrence: ['RRULE:FREQ=DAILY;COUNT=4'] })
    const { items } = (await api.call('GET', `/v1/meetings?series=${made.series.id}`)).body
    await api.call('PATCH', `/v1/meetings/${items[1].id}`, { body: { topic: 'Otro' } })
    await api.call('DELETE', `/v1/meetings/${items[2].id}`)
    const { body } = await download(`/v1/series/${made.series.id}/ics`)
    const [wish] = readIcs(body).wishes
    expect(wish?.recurrence?.exceptions).toEqual([new Date(FIRST + 2 * DAY_MS)])
    expect(wish?.changes).toMatchObject([{ topic: 'Otro', originalStart: new Date(FIRST + DAY_MS) }])
    for (const id of [crypto.randomUUID(), 'x'])
      expect((await download(`/v1/series/${id}/ics`)).body.code).toBe('series_not_found')
  })
})

describe('a file in', () => {
  test('makes a meeting of each event, with its people and reminders; the calendar follows', async () => {
    const text = fileOf(
      event(
        'uno@x',
        'ORGANIZER;CN=Jefa:mailto:jefa@otra.example',
        'ATTENDEE;CN=Ana Ruiz;ROLE=CHAIR:mailto:Ana@clinica.example',
        'DESCRIPTION:Línea uno\\nlínea dos',
        'BEGIN:VALARM',
        'ACTION:EMAIL',
        'TRIGGER:-P1D',
        'END:VALARM',
      ),
    )
    const { created, results } = await imported(text)
    expect(created).toBe(1)
    expect(results).toMatchObject([{ uid: 'uno@x', outcome: 'created', reason: null, seriesId: null }])
    const meeting = await shown(results[0]?.meetingId)
    expect(meeting).toMatchObject({
      externalId: 'uno@x',
      topic: 'Comité clínico',
      description: 'Línea uno\nlínea dos',
      start: '2031-03-04T15:00:00.000Z',
      timeZone: 'America/Bogota',
      organizer: 'agenda@clinica.example',
      reminders: [{ channel: 'email', amount: 1, unit: 'days' }],
      recording: { status: 'pending' },
    })
    expect(
      meeting.participants.map(({ email, role }: { email: string; role: string }) => [email, role]).sort(),
    ).toEqual([
      ['ana@clinica.example', 'host'],
      ['jefa@otra.example', 'host'],
    ])
    const done = await until('Google follows', async () => {
      const now = await shown(meeting.id)
      return now.google === 'up_to_date' && now
    })
    expect(done.joinUrl).toMatch(/^https:\/\/meet\.google\.com\//)
  })

  test('the organiser holds the meeting where they may be its host', async () => {
    await setHosts(api.db, 'Clínica Andina', ['comite@clinica.example'])
    await imported(fileOf(event('host@x', 'ORGANIZER:mailto:Comite@clinica.example')))
    expect(await byUid('host@x')).toMatchObject({ organizer: 'comite@clinica.example' })
  })

  test('sent again changes nothing, and sent with news changes that', async () => {
    const first = await imported(fileOf(event('dos@x')))
    const { meetingId } = first.results[0] ?? {}
    expect((await imported(fileOf(event('dos@x')))).results).toMatchObject([
      { outcome: 'unchanged', meetingId },
    ])
    const other = event('dos@x', 'ATTENDEE:mailto:eva@otra.example').with(1, 'SUMMARY:Otro')
    expect((await imported(fileOf(other))).results).toMatchObject([{ outcome: 'updated', meetingId }])
    expect(await shown(meetingId)).toMatchObject({
      topic: 'Otro',
      participants: [{ email: 'eva@otra.example' }],
    })
  })

  test('that was written here is known here', async () => {
    const { id } = await make()
    const { body } = await download(`/v1/meetings/${id}/ics`)
    expect((await imported(body)).results).toMatchObject([{ outcome: 'unchanged', meetingId: id }])
  })

  test('takes meetings back', async () => {
    await imported(fileOf(event('tres@x')))
    const { id } = await byUid('tres@x')
    const cancelled = fileOf(event('tres@x', 'STATUS:CANCELLED'))
    expect((await imported(cancelled)).results).toMatchObject([{ outcome: 'cancelled', meetingId: id }])
    expect((await shown(id)).status).toBe('cancelled')
    expect((await imported(cancelled)).results).toMatchObject([{ outcome: 'unchanged' }])
    expect((await imported(fileOf(event('tres@x')))).results).toMatchObject([
      { outcome: 'refused', reason: 'meeting_closed', meetingId: id },
    ])
    const never = fileOf(event('nunca@x', 'STATUS:CANCELLED'))
    expect((await imported(never)).results).toMatchObject([
      { outcome: 'refused', reason: 'meeting_not_found' },
    ])
  })

  test('refuses what cannot be, each with its reason, and makes the others', async () => {
    const allDay = ['UID:festivo@x', 'SUMMARY:Festivo', 'DTSTART;VALUE=DATE:20310305']
    const past = event('viejo@x').map(line => line.replace('2031', '2020'))
    const { created, refused, results } = await imported(
      fileOf(
        allDay,
        event('bueno@x'),
        past,
        event('mal@x', 'ATTENDEE:mailto:a@b'),
        event('largo@x').with(1, `SUMMARY:${'x'.repeat(301)}`),
        event('y'.repeat(201)),
      ),
    )
    expect([created, refused]).toEqual([1, 5])
    const reasons = Object.fromEntries(results.map(({ uid, reason }) => [uid?.slice(0, 9), reason]))
    expect(reasons).toEqual({
      'festivo@x': 'all_day',
      'bueno@x': null,
      'viejo@x': 'end_in_past',
      'mal@x': 'bad_email',
      'largo@x': 'invalid_field',
      yyyyyyyyy: 'invalid_field',
    })
    expect(results.find(({ uid }) => uid === 'festivo@x')?.message).toContain('all-day')
    expect(await byUid('mal@x')).toBeUndefined()
  })

  test('makes a series, with a meeting that differs and without one that is cancelled', async () => {
    const serie = (...more: string[]) => [
      'UID:serie@x',
      'SUMMARY:Diario',
      `DTSTART:${utc(FIRST)}`,
      'DURATION:PT1H',
      ...more,
    ]
    const whole = fileOf(
      serie('RRULE:FREQ=DAILY;COUNT=4'),
      serie(`RECURRENCE-ID:${utc(FIRST + DAY_MS)}`)
        .with(1, 'SUMMARY:Otro')
        .with(2, `DTSTART:${utc(FIRST + DAY_MS + 3_600_000)}`),
      serie(`RECURRENCE-ID:${utc(FIRST + 2 * DAY_MS)}`, 'STATUS:CANCELLED'),
    )
    const { results } = await imported(whole)
    expect(results.map(({ outcome }) => outcome)).toEqual(['created', 'updated'])
    const seriesId = results[0]?.seriesId ?? ''
    const list = async () =>
      (await api.call('GET', `/v1/meetings?series=${seriesId}&status=scheduled`)).body.items
    expect(
      (await list()).map(({ topic, start }: { topic: string; start: string }) => [topic, Date.parse(start)]),
    ).toEqual([
      ['Diario', FIRST],
      ['Otro', FIRST + DAY_MS + 3_600_000],
      ['Diario', FIRST + 3 * DAY_MS],
    ])
    await until('Google follows', async () =>
      (await list()).every((one: { google: string }) => one.google === 'up_to_date'),
    )
    expect((await imported(whole)).results.map(({ outcome }) => outcome)).toEqual(['unchanged', 'unchanged'])
    const found = await api.call('GET', '/v1/series?externalId=serie@x')
    expect(found.body.items).toMatchObject([{ id: seriesId, externalId: 'serie@x' }])

    const other = fileOf(serie('RRULE:FREQ=WEEKLY;COUNT=4'))
    expect((await imported(other)).results).toMatchObject([
      { outcome: 'refused', reason: 'external_id_taken' },
    ])
    const gone = fileOf(serie('STATUS:CANCELLED'))
    expect((await imported(gone)).results).toMatchObject([{ outcome: 'cancelled', seriesId }])
    expect(await list()).toEqual([])
    expect((await imported(whole)).results).toMatchObject([
      { outcome: 'refused', reason: 'meeting_closed' },
      { outcome: 'refused', reason: 'meeting_closed' },
    ])
  })

  test('of another organisation neither changes nor finds anything here', async () => {
    await imported(fileOf(event('ajeno@x')))
    const { id } = await byUid('ajeno@x')
    const key = await api.keyOf('Hospital del Valle')
    const text = fileOf(event('ajeno@x', 'STATUS:CANCELLED'), event(`${id}@testigo`))
    const answer = await api.call('POST', '/v1/meetings/import', {
      key,
      text,
      headers: { 'content-type': 'text/calendar' },
    })
    expect(answer.body.results).toMatchObject([
      { outcome: 'created', uid: `${id}@testigo` },
      { outcome: 'refused', reason: 'meeting_not_found' },
    ])
    expect(answer.body.results[0].meetingId).not.toBe(id)
    expect((await shown(id)).status).toBe('scheduled')
  })

  test.each([
    ['', 'text/calendar', 422, 'ics_refused'],
    ['hola', 'text/calendar', 422, 'ics_refused'],
    [fileOf(), 'text/calendar', 422, 'ics_refused'],
    ['{}', 'application/json', 415, 'unsupported_media_type'],
    [`BEGIN:VCALENDAR\r\n${'x'.repeat(1024 * 1024)}`, 'text/calendar', 413, 'body_too_large'],
  ])('what is no file is refused as a whole: %.20s as %s', async (text, type, status, code) => {
    const answer = await send(text, type)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('a request with an Idempotency-Key is answered once', async () => {
    const headers = { 'content-type': 'text/calendar', 'idempotency-key': crypto.randomUUID() }
    const text = fileOf(event('clave@x'))
    const ask = () => api.call('POST', '/v1/meetings/import', { text, headers })
    const first = await ask()
    expect(first.body.created).toBe(1)
    expect((await ask()).body).toEqual(first.body)
    const other = await api.call('POST', '/v1/meetings/import', { text: fileOf(event('otra@x')), headers })
    expect(other.body.code).toBe('idempotency_key_reused')
  })
})
