import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { failureOf, officialClients } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'
import type { NewConference } from '../world.ts'

let google: GoogleSandbox
let calendar: calendar_v3.Calendar
const made: NewConference[] = []
const cancelled: { code: string; eventId: string }[] = []

beforeAll(async () => {
  google = await openGoogle({
    conferencePendingMs: 30,
    onConference: conference => {
      made.push(conference)
    },
    onCancelled: one => {
      cancelled.push(one)
    },
  })
  calendar = (await officialClients(google, 'agenda@clinica.example')).calendar
})
afterEach(() => google.faults.clear())
afterAll(() => google.stop())

const start = { dateTime: '2026-12-01T10:00:00-06:00' }
const end = { dateTime: '2026-12-01T11:00:00-06:00' }
const createRequest = (requestId: string) => ({
  createRequest: { requestId, conferenceSolutionKey: { type: 'hangoutsMeet' } },
})

async function insert(id: string, body: calendar_v3.Schema$Event = {}, conferenceDataVersion = 1) {
  const requestBody = {
    id,
    start,
    end,
    summary: 'Consulta',
    conferenceData: createRequest(`r-${id}`),
    ...body,
  }
  return (await calendar.events.insert({ calendarId: 'primary', conferenceDataVersion, requestBody })).data
}
const get = async (eventId: string) => (await calendar.events.get({ calendarId: 'primary', eventId })).data
const patch = async (eventId: string, requestBody: calendar_v3.Schema$Event, conferenceDataVersion = 1) =>
  (await calendar.events.patch({ calendarId: 'primary', eventId, requestBody, conferenceDataVersion })).data
const status = async (id: string) => (await get(id)).conferenceData?.createRequest?.status?.statusCode
const ready = async (id: string) => {
  await expect.poll(() => status(id)).toBe('success')
  return get(id)
}

describe('a conference asked for with an event', () => {
  test('is pending without entry points, then ready with a code, and changes the etag', async () => {
    const first = await insert('co001')
    expect(first.conferenceData).toEqual({
      createRequest: {
        requestId: 'r-co001',
        conferenceSolutionKey: { type: 'hangoutsMeet' },
        status: { statusCode: 'pending' },
      },
    })
    expect(first.hangoutLink).toBeUndefined()
    const event = await ready('co001')
    const code = event.conferenceData?.conferenceId ?? ''
    expect(code).toMatch(/^[a-z]{3}-[a-z]{4}-[a-z]{3}$/)
    expect(event.hangoutLink).toBe(`https://meet.google.com/${code}`)
    expect(event.conferenceData?.entryPoints?.[0]).toEqual({
      entryPointType: 'video',
      uri: `https://meet.google.com/${code}`,
      label: `meet.google.com/${code}`,
    })
    expect(event.etag).not.toBe(first.etag)
  })

  test('is told to the outside before the event shows it', async () => {
    await insert('co002', { attendees: [{ email: 'testigo@clinica.example' }] })
    const event = await ready('co002')
    expect(made.find(conference => conference.eventId === 'co002')).toEqual({
      code: event.conferenceData?.conferenceId,
      eventId: 'co002',
      summary: 'Consulta',
      start: start.dateTime,
      end: end.dateTime,
      attendees: ['testigo@clinica.example'],
      organizer: 'agenda@clinica.example',
    })
  })

  test('is dropped without conferenceDataVersion=1', async () => {
    expect((await insert('co003', {}, 0)).conferenceData).toBeUndefined()
  })

  test('can fail: no entry points, no solution', async () => {
    google.faults.add({ kind: 'conferenceFailure' })
    await insert('co004')
    await expect.poll(() => status('co004')).toBe('failure')
    const { conferenceData, hangoutLink } = await get('co004')
    expect(Object.keys(conferenceData ?? {})).toEqual(['createRequest'])
    expect(hangoutLink).toBeUndefined()
  })

  test('survives a patch that comes while it is pending', async () => {
    await insert('co005')
    await patch('co005', { summary: 'Otra' }, 0)
    expect(await ready('co005')).toMatchObject({ summary: 'Otra' })
  })

  test('is not made for an event cancelled meanwhile', async () => {
    await insert('co006')
    await calendar.events.delete({ calendarId: 'primary', eventId: 'co006' })
    await insert('co007')
    await ready('co007')
    expect(made.some(conference => conference.eventId === 'co006')).toBe(false)
  })

  test.each([
    [
      'another kind of conference',
      { createRequest: { requestId: 'x', conferenceSolutionKey: { type: 'addOn' } } },
    ],
    ['no request id', { createRequest: {} }],
    ['nothing in it', {}],
  ])('is refused with %s', async (_what, conferenceData) => {
    expect((await failureOf(insert('co099', { conferenceData }))).status).toBe(400)
  })

  test('is refused to a service account of its own', async () => {
    const bare = (await officialClients(google)).calendar
    const requestBody = { start, end, conferenceData: createRequest('r') }
    const call = bare.events.insert({ calendarId: 'primary', conferenceDataVersion: 1, requestBody })
    expect(await failureOf(call)).toMatchObject({ status: 400, message: 'Invalid conference type value.' })
  })
})

describe('a conference in place', () => {
  test('is kept by a second request with the same id, and replaced by another id', async () => {
    await insert('co010')
    const code = (await ready('co010')).conferenceData?.conferenceId
    await patch('co010', { conferenceData: createRequest('r-co010') })
    expect((await get('co010')).conferenceData?.conferenceId).toBe(code)
    await patch('co010', { conferenceData: createRequest('r-other') })
    expect((await ready('co010')).conferenceData?.conferenceId).not.toBe(code)
  })

  test('stays when an update does not ask for version 1, and goes when it does', async () => {
    await insert('co011')
    await ready('co011')
    const update = async (conferenceDataVersion: number) => {
      const requestBody = { start, end }
      const call = { calendarId: 'primary', eventId: 'co011', conferenceDataVersion, requestBody }
      return (await calendar.events.update(call)).data
    }
    expect((await update(0)).conferenceData?.conferenceId).toBeDefined()
    const gone = await update(1)
    expect(gone.conferenceData).toBeUndefined()
    expect(gone.hangoutLink).toBeUndefined()
  })

  test('is removed by null', async () => {
    await insert('co012')
    await ready('co012')
    const event = await patch('co012', { conferenceData: null } as unknown as calendar_v3.Schema$Event)
    expect(event.conferenceData).toBeUndefined()
  })

  test('tells its end when the event is cancelled', async () => {
    await insert('co013')
    const code = (await ready('co013')).conferenceData?.conferenceId ?? ''
    await patch('co013', { status: 'cancelled' }, 0)
    expect(cancelled).toContainEqual({ code, eventId: 'co013' })
  })
})

test('a space of the Meet API can be attached; the event then has no conferenceId', async () => {
  const uri = 'https://meet.google.com/abc-defg-hij'
  const conferenceData = {
    conferenceSolution: { key: { type: 'hangoutsMeet' }, name: 'Google Meet' },
    entryPoints: [{ entryPointType: 'video', uri, label: 'meet.google.com/abc-defg-hij' }],
  }
  const event = await insert('co020', { conferenceData })
  expect(event.conferenceData?.conferenceId).toBeUndefined()
  expect(event.conferenceData?.entryPoints?.[0]?.uri).toBe(uri)
  expect(event.hangoutLink).toBe(uri)
})
