import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { matchMethod } from './discovery.ts'
import { accessToken } from './official-client.ts'
import { checkAnswer } from './request-check.ts'
import type { GoogleSandbox } from './server.ts'
import { openGoogle } from './test-google.ts'

let google: GoogleSandbox
let authorization: string
beforeAll(async () => {
  google = await openGoogle()
  authorization = `Bearer ${await accessToken(google, 'agenda@clinica.example')}`
})
afterAll(() => google.stop())

const start = { dateTime: '2026-12-01T10:00:00Z' }
const end = { dateTime: '2026-12-01T11:00:00Z' }

async function ask(method: string, path: string, body?: unknown) {
  const answer = await fetch(google.url + path, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: answer.status, text: await answer.text() }
}

const events = '/calendar/v3/calendars/primary/events'

describe('a request that the discovery document does not allow', () => {
  test.each([
    ['an unknown query parameter', 'GET', `${events}?foo=1`, undefined, 'Unknown name \\"foo\\"'],
    ['a parameter of the wrong type', 'GET', `${events}?maxResults=many`, undefined, 'invalidParameter'],
    ['a parameter out of range', 'GET', `${events}?maxResults=0`, undefined, 'at least 1'],
    ['a parameter outside its enum', 'POST', `${events}?sendUpdates=some`, { start, end }, 'one of: [all'],
    ['a boolean that is none', 'GET', `${events}?singleEvents=1`, undefined, 'expected boolean'],
    ['a time without an offset', 'GET', `${events}?timeMin=2026-12-01T10:00:00`, undefined, 'date-time'],
    ['an unknown field', 'POST', events, { start, end, title: 'x' }, 'Unknown name \\"title\\"'],
    [
      'an unknown inner field',
      'POST',
      events,
      { start: { ...start, zone: 'x' }, end },
      'Unknown name \\"zone\\"',
    ],
    ['a field of the wrong type', 'POST', events, { start, end, summary: 7 }, 'expected string'],
    ['a missing start', 'POST', events, { end }, 'Missing start time.'],
    ['a missing end', 'POST', events, { start }, 'Missing end time.'],
    ['broken JSON', 'POST', events, '{"start":', 'parseError'],
    ['a body that is a list', 'POST', events, [], 'parseError'],
    ['a body where none belongs', 'DELETE', `${events}/abcde`, { a: 1 }, 'takes no request body'],
    ['a word outside the enum of Meet', 'POST', '/v2/spaces', { config: { accessType: 'ALL' } }, 'OPEN'],
  ])('is refused with 400: %s', async (_what, method, path, body, text) => {
    const token = await accessToken(google, 'agenda@clinica.example', [
      'https://www.googleapis.com/auth/calendar.events',
      'https://www.googleapis.com/auth/meetings.space.created',
    ])
    authorization = `Bearer ${token}`
    const answer = await ask(method, path, body)
    expect(answer.text).toContain(text)
    expect(answer.status).toBe(400)
  })

  test('is 404 where Google has no such method', async () => {
    expect((await ask('POST', '/calendar/v3/nothing')).status).toBe(404)
    expect((await ask('PATCH', '/v2/conferenceRecords/abc')).status).toBe(404)
  })

  test('is 501 where Google has a method that the sandbox does not play', async () => {
    const answer = await ask('POST', `${events}/quickAdd?text=consulta`)
    expect(answer.status).toBe(501)
    expect(answer.text).toContain('calendar.events.quickAdd')
  })
})

describe('an answer of the sandbox', () => {
  const method = matchMethod('GET', '/calendar/v3/calendars/primary/events/abcde')?.method

  test('passes when it is what the schema says', () => {
    if (!method) throw new Error('events.get was not found')
    expect(() =>
      checkAnswer(method, { id: 'abcde', sequence: 1, attendees: [{ email: 'a@b.c' }] }),
    ).not.toThrow()
  })

  test.each([
    ['an unknown field', { colour: 'red' }, /colour: Unknown name/],
    ['a wrong type', { sequence: '1' }, /sequence: expected integer/],
    ['a null', { summary: null }, /summary: expected string/],
    ['a broken time', { updated: 'yesterday' }, /updated: Invalid value for date-time/],
    [
      'a time without an offset',
      { start: { dateTime: '2026-12-01T10:00:00' } },
      /start.dateTime: Invalid value/,
    ],
  ])('is a defect with %s', (_what, answer, message) => {
    if (!method) throw new Error('events.get was not found')
    expect(() => checkAnswer(method, answer)).toThrow(message)
  })
})

test('a defect of the sandbox is told as one, with the field and the method', async () => {
  await ask('POST', events, { id: 'de001', start, end })
  const stored = google.state.events.get('agenda@clinica.example/de001')
  if (!stored) throw new Error('The event is not in the state')
  stored.resource.colour = 'red'
  const answer = await ask('GET', `${events}/de001`)
  expect(answer.status).toBe(500)
  expect(answer.text).toContain('Sandbox defect in calendar.events.get')
  expect(answer.text).toContain('colour')
})

describe('the methods of Google', () => {
  test.each([
    ['GET', '/drive/v3/files/generateIds', 'drive.files.generateIds', {}],
    ['GET', '/drive/v3/files/abc', 'drive.files.get', { fileId: 'abc' }],
    ['GET', '/v2/spaces/abc-mnop-xyz', 'meet.spaces.get', { name: 'spaces/abc-mnop-xyz' }],
    ['POST', '/v2/spaces/X1:endActiveConference', 'meet.spaces.endActiveConference', { name: 'spaces/X1' }],
    [
      'GET',
      '/v2/conferenceRecords/a/recordings/b',
      'meet.conferenceRecords.recordings.get',
      { name: 'conferenceRecords/a/recordings/b' },
    ],
    [
      'GET',
      '/calendar/v3/calendars/a%40b.c/events/e1',
      'calendar.events.get',
      { calendarId: 'a@b.c', eventId: 'e1' },
    ],
  ])('are found by path: %s %s', (httpMethod, path, id, parameters) => {
    const match = matchMethod(httpMethod, path)
    expect(match?.method.id).toBe(id)
    expect(match?.path).toEqual(parameters)
  })

  test('take uploads only where Google does', () => {
    expect(matchMethod('POST', '/upload/drive/v3/files')?.upload).toBe(true)
    expect(matchMethod('POST', '/upload/calendar/v3/calendars/primary/events')).toBeUndefined()
  })
})
