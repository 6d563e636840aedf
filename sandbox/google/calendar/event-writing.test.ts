import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

type Event = calendar_v3.Schema$Event

let google: GoogleSandbox
let calendar: calendar_v3.Calendar
let guest: calendar_v3.Calendar
let bare: calendar_v3.Calendar
beforeAll(async () => {
  google = await openGoogle({ calendarTimeZone: 'America/Bogota' })
  calendar = (await officialClients(google, 'agenda@clinica.example')).calendar
  guest = (await officialClients(google, 'testigo@clinica.example')).calendar
  bare = (await officialClients(google)).calendar
})
afterEach(() => {
  google.state.mails.length = 0
})
afterAll(() => google.stop())

const start = { dateTime: '2026-12-01T10:00:00-05:00' }
const end = { dateTime: '2026-12-01T11:00:00-05:00' }
const bot = { email: 'testigo@clinica.example' }
const patient = { email: 'paciente@mail.example' }

async function insert(body: Event, more: object = {}): Promise<Event> {
  const requestBody = { summary: 'Consulta', start, end, ...body }
  return (await calendar.events.insert({ calendarId: 'primary', requestBody, ...more })).data
}
const get = async (eventId: string) => (await calendar.events.get({ calendarId: 'primary', eventId })).data
const patch = async (eventId: string, requestBody: Event, more: object = {}) =>
  (await calendar.events.patch({ calendarId: 'primary', eventId, requestBody, ...more })).data
const remove = (eventId: string, more: object = {}) =>
  calendar.events.delete({ calendarId: 'primary', eventId, ...more })

describe('an id chosen by the client', () => {
  test('is kept, and the event can be read by it', async () => {
    expect(await insert({ id: 'ab000' })).toMatchObject({
      kind: 'calendar#event',
      id: 'ab000',
      status: 'confirmed',
      etag: expect.stringMatching(/^".+"$/),
      iCalUID: 'ab000@google.com',
      sequence: 0,
      organizer: { email: 'agenda@clinica.example', self: true },
    })
    expect((await get('ab000')).summary).toBe('Consulta')
  })

  test.each(['ABCDE', 'xyz12', 'abc-de', 'abcd'])(
    'is refused outside base32hex or too short: %s',
    async id => {
      expect(await failureOf(insert({ id }))).toMatchObject({ status: 400, reason: 'invalid' })
    },
  )

  test('is refused with 409 duplicate when used, also by another summary', async () => {
    await insert({ id: 'ab001' })
    expect(await failureOf(insert({ id: 'ab001', summary: 'otra' }))).toEqual({
      status: 409,
      reason: 'duplicate',
      message: 'The requested identifier already exists.',
    })
  })

  test('stays taken after the event is deleted, which get still shows as cancelled', async () => {
    await insert({ id: 'ab002' })
    expect((await remove('ab002')).status).toBe(204)
    expect((await get('ab002')).status).toBe('cancelled')
    expect((await failureOf(insert({ id: 'ab002' }))).status).toBe(409)
    expect(await failureOf(remove('ab002'))).toMatchObject({ status: 410, reason: 'deleted' })
  })

  test('is free in the calendar of somebody else', async () => {
    await insert({ id: 'ab003' })
    const requestBody = { id: 'ab003', start, end }
    expect((await guest.events.insert({ calendarId: 'primary', requestBody })).status).toBe(200)
  })
})

describe('times', () => {
  test("come back in the calendar's zone", async () => {
    const event = await insert({
      start: { dateTime: '2026-12-01T15:00:00Z' },
      end: { dateTime: '2026-12-01T10:30:00', timeZone: 'America/Mexico_City' },
    })
    expect(event.start).toEqual({ dateTime: '2026-12-01T10:00:00-05:00', timeZone: 'America/Bogota' })
    expect(event.end).toEqual({ dateTime: '2026-12-01T11:30:00-05:00', timeZone: 'America/Mexico_City' })
  })

  test.each([
    ['an end before the start', { end: { dateTime: '2026-12-01T09:00:00-05:00' } }, 'timeRangeEmpty'],
    ['no offset and no zone', { start: { dateTime: '2026-12-01T10:00:00' } }, 'required'],
    ['an unknown zone', { start: { ...start, timeZone: 'America/Nowhere' } }, 'invalid'],
    ['a date against a time', { start: { date: '2026-12-01' } }, 'invalid'],
    ['neither date nor time', { start: { timeZone: 'UTC' } }, 'required'],
    ['a recurrence without a zone', { recurrence: ['RRULE:FREQ=DAILY'] }, 'required'],
    ['a broken recurrence', { recurrence: ['EVERY DAY'] }, 'invalid'],
  ])('are refused: %s', async (_what, body, reason) => {
    expect(await failureOf(insert(body))).toMatchObject({ status: 400, reason })
  })
})

describe('patch', () => {
  test('merges objects, replaces arrays whole, deletes with null', async () => {
    await insert({
      id: 'pa001',
      location: 'Sala 1',
      attendees: [bot, patient],
      extendedProperties: { private: { a: '1', b: '2' } },
    })
    const changed = await patch('pa001', {
      attendees: [bot],
      location: null,
      extendedProperties: { private: { b: null as unknown as string, c: '3' } },
    })
    expect(changed.attendees?.map(attendee => attendee.email)).toEqual([bot.email])
    expect(changed.location).toBeUndefined()
    expect(changed.summary).toBe('Consulta')
    expect(changed.extendedProperties?.private).toEqual({ a: '1', c: '3' })
  })

  test('raises the sequence when the time moves and only then', async () => {
    await insert({ id: 'pa002' })
    expect((await patch('pa002', { summary: 'x' })).sequence).toBe(0)
    expect((await patch('pa002', { end: { dateTime: '2026-12-01T12:00:00-05:00' } })).sequence).toBe(1)
  })

  test('with an old etag in If-Match is 412', async () => {
    const { etag } = await insert({ id: 'pa003' })
    const headers = { 'if-match': etag ?? '' }
    const change = () =>
      calendar.events.patch(
        { calendarId: 'primary', eventId: 'pa003', requestBody: { summary: 'x' } },
        { headers },
      )
    expect((await change()).data.etag).not.toBe(etag)
    expect(await failureOf(change())).toMatchObject({ status: 412, reason: 'conditionNotMet' })
  })

  test('of an unknown event is 404', async () => {
    expect(await failureOf(patch('nope0', {}))).toMatchObject({ status: 404, reason: 'notFound' })
  })

  test('does not bring a cancelled event back', async () => {
    await insert({ id: 'pa004' })
    await remove('pa004')
    expect((await failureOf(patch('pa004', { status: 'confirmed' }))).status).toBe(403)
  })
})

test('update puts what is not sent back to its default', async () => {
  await insert({ id: 'up001', location: 'Sala 1', attendees: [bot] })
  const { data } = await calendar.events.update({
    calendarId: 'primary',
    eventId: 'up001',
    requestBody: { start, end, summary: 'Solo' },
  })
  expect(data.location).toBeUndefined()
  expect(data.attendees).toBeUndefined()
  expect(data.iCalUID).toBe('up001@google.com')
})

test('an unchanged event is 304 for If-None-Match', async () => {
  const { etag } = await insert({ id: 'nm001' })
  const read = () =>
    calendar.events.get(
      { calendarId: 'primary', eventId: 'nm001' },
      { headers: { 'if-none-match': etag ?? '' } },
    )
  expect((await read()).status).toBe(304)
  await patch('nm001', { summary: 'x' })
  expect((await read()).status).toBe(200)
})

describe('guests', () => {
  test('see the event under the same id, with themselves marked and without private properties', async () => {
    await insert({
      id: 'gu001',
      attendees: [bot, patient],
      extendedProperties: { private: { a: '1' }, shared: { b: '2' } },
    })
    const { data } = await guest.events.get({ calendarId: 'primary', eventId: 'gu001' })
    expect(data.attendees?.find(attendee => attendee.self)?.email).toBe(bot.email)
    expect(data.organizer).toEqual({ email: 'agenda@clinica.example' })
    expect(data.extendedProperties).toEqual({ shared: { b: '2' } })
  })

  test('may answer and nothing else', async () => {
    const { etag } = await insert({ id: 'gu002', attendees: [bot] })
    const change = (requestBody: Event) =>
      guest.events.patch({ calendarId: 'primary', eventId: 'gu002', requestBody })
    await change({ attendees: [{ ...bot, responseStatus: 'accepted' }] })
    const event = await get('gu002')
    expect(event.attendees?.[0]?.responseStatus).toBe('accepted')
    expect(event.etag).not.toBe(etag)
    expect(await failureOf(change({ summary: 'x' }))).toMatchObject({
      status: 403,
      reason: 'forbiddenForNonOrganizer',
    })
  })

  test('decline when they delete their copy', async () => {
    await insert({ id: 'gu003', attendees: [bot] })
    await guest.events.delete({ calendarId: 'primary', eventId: 'gu003' })
    expect(await get('gu003')).toMatchObject({
      status: 'confirmed',
      attendees: [{ responseStatus: 'declined' }],
    })
  })

  test('cannot be invited by a service account of its own', async () => {
    const requestBody = { start, end, attendees: [patient] }
    expect(await failureOf(bare.events.insert({ calendarId: 'primary', requestBody }))).toEqual({
      status: 403,
      reason: 'forbiddenForServiceAccounts',
      message: 'Service accounts cannot invite attendees without Domain-Wide Delegation of Authority.',
    })
  })

  test('are refused with a broken address, and start without an answer', async () => {
    expect((await failureOf(insert({ attendees: [{ email: 'nobody' }] }))).status).toBe(400)
    expect((await insert({ attendees: [patient] })).attendees?.[0]?.responseStatus).toBe('needsAction')
  })

  test('the calendar of another user is 404', async () => {
    const call = guest.events.list({ calendarId: 'agenda@clinica.example' })
    expect((await failureOf(call)).status).toBe(404)
  })
})

describe('mails', () => {
  const sent = () => google.state.mails.map(mail => `${mail.kind} ${mail.to}`)

  test('go to every guest only when asked for', async () => {
    await insert({ attendees: [bot, patient] })
    expect(sent()).toEqual([])
    await insert({ attendees: [bot, patient] }, { sendUpdates: 'externalOnly' })
    expect(sent()).toEqual([`invitation ${patient.email}`])
  })

  test('do not go to the organizer among the guests', async () => {
    const attendees = [{ email: 'agenda@clinica.example' }, bot]
    const event = await insert({ attendees }, { sendUpdates: 'all' })
    expect(sent()).toEqual([`invitation ${bot.email}`])
    expect(event.attendees?.[0]).toMatchObject({ organizer: true, self: true })
  })

  test('invite the new, update the kept, cancel the dropped', async () => {
    await insert({ id: 'ma001', attendees: [bot, patient] })
    await patch('ma001', { attendees: [bot, { email: 'otro@mail.example' }] }, { sendUpdates: 'all' })
    expect(sent().sort()).toEqual([
      `cancellation ${patient.email}`,
      'invitation otro@mail.example',
      `update ${bot.email}`,
    ])
    google.state.mails.length = 0
    await remove('ma001', { sendUpdates: 'all' })
    expect(sent()).toEqual([`cancellation ${bot.email}`, 'cancellation otro@mail.example'])
  })
})

describe('attachments', () => {
  const attachments = [{ fileUrl: 'https://drive.google.com/file/d/1abcDEF/view', title: 'Grabación' }]

  test('are kept only with supportsAttachments and replace the earlier ones', async () => {
    expect((await insert({ id: 'at001', attachments })).attachments).toBeUndefined()
    const first = await patch('at001', { attachments }, { supportsAttachments: true })
    expect(first.attachments?.[0]?.fileId).toBe('1abcDEF')
    expect((await patch('at001', { attachments: [] })).attachments).toHaveLength(1)
    const other = [{ fileUrl: 'https://drive.google.com/file/d/2xyz/view' }]
    const second = await patch('at001', { attachments: other }, { supportsAttachments: true })
    expect(second.attachments?.map(attachment => attachment.fileId)).toEqual(['2xyz'])
  })

  test('are refused beyond 25 or without an address', async () => {
    const many = Array.from({ length: 26 }, () => attachments[0] ?? {})
    const supportsAttachments = true
    expect((await failureOf(insert({ attachments: many }, { supportsAttachments }))).status).toBe(400)
    expect((await failureOf(insert({ attachments: [{ title: 'x' }] }, { supportsAttachments }))).status).toBe(
      400,
    )
  })
})

test('property keys over 44 characters are dropped and long values cut, silently', async () => {
  const long = 'k'.repeat(45)
  const event = await insert({ extendedProperties: { private: { [long]: '1', short: 'v'.repeat(2000) } } })
  expect(event.extendedProperties?.private).toEqual({ short: 'v'.repeat(1024) })
})
