import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type officialClients as Clients, failureOf, officialClients } from './official-client.ts'
import type { GoogleSandbox } from './server.ts'
import { openGoogle } from './test-google.ts'

let google: GoogleSandbox
let clients: Awaited<ReturnType<typeof Clients>>
beforeAll(async () => {
  google = await openGoogle()
  clients = await officialClients(google, 'agenda@clinica.example')
})
afterEach(() => google.faults.clear())
afterAll(() => google.stop())

const start = { dateTime: '2026-12-01T10:00:00Z' }
const end = { dateTime: '2026-12-01T11:00:00Z' }
const list = () => clients.calendar.events.list({ calendarId: 'primary' })
const insert = (id: string) =>
  clients.calendar.events.insert({ calendarId: 'primary', requestBody: { id, start, end } })

describe('errors on demand', () => {
  test('hit as often as asked and no more', async () => {
    google.faults.add({ kind: 'error', service: 'calendar', status: 503, count: 2 })
    expect((await failureOf(list())).status).toBe(503)
    expect((await failureOf(list())).status).toBe(503)
    expect((await list()).status).toBe(200)
  })

  test('hit only the service and method they name', async () => {
    google.faults.add({ kind: 'error', service: 'calendar', method: 'events.insert', status: 500 })
    await list()
    await clients.drive.files.list()
    expect(await failureOf(insert('fa001'))).toMatchObject({ status: 500, reason: 'backendError' })
    expect(google.state.events.has('agenda@clinica.example/fa001')).toBe(false)
  })

  test('carry reason and Retry-After', async () => {
    google.faults.add({ kind: 'error', status: 429, reason: 'rateLimitExceeded', retryAfterSeconds: 7 })
    const answer = await fetch(`${google.url}/calendar/v3/calendars/primary/events`)
    expect(answer.status).toBe(429)
    expect(answer.headers.get('retry-after')).toBe('7')
    expect(await answer.json()).toMatchObject({
      error: { code: 429, errors: [{ domain: 'usageLimits', reason: 'rateLimitExceeded' }] },
    })
  })

  test('take the form of each family', async () => {
    google.faults.add({ kind: 'error', service: 'meet', status: 429 })
    expect(await failureOf(clients.meet.conferenceRecords.list())).toMatchObject({
      reason: 'RESOURCE_EXHAUSTED',
    })
    google.faults.add({ kind: 'error', service: 'token', status: 500 })
    const token = await fetch(google.baseUrls.token, { method: 'POST' })
    expect(token.status).toBe(500)
    expect(await token.json()).toMatchObject({ error: 'internal_failure' })
  })
})

describe('connections that fail on demand', () => {
  test('cut loses the answer after the work was done', async () => {
    google.faults.add({ kind: 'cut', service: 'calendar', method: 'events.insert' })
    await expect(insert('fa002')).rejects.toThrow()
    expect(google.state.events.has('agenda@clinica.example/fa002')).toBe(true)
    expect(await failureOf(insert('fa002'))).toMatchObject({ status: 409, reason: 'duplicate' })
  })

  test('down loses the request before any work, until it is cleared', async () => {
    google.faults.add({ kind: 'down', service: 'calendar' })
    for (const id of ['fa003', 'fa004']) await expect(insert(id)).rejects.toThrow()
    expect(google.state.events.has('agenda@clinica.example/fa003')).toBe(false)
    google.faults.clear()
    expect((await insert('fa003')).status).toBe(200)
  })

  test('hang never answers and does no work', async () => {
    google.faults.add({ kind: 'hang', service: 'calendar' })
    const waiting = clients.calendar.events.insert(
      { calendarId: 'primary', requestBody: { id: 'fa005', start, end } },
      { timeout: 300 },
    )
    await expect(waiting).rejects.toThrow(/abort|timeout/i)
    expect(google.state.events.has('agenda@clinica.example/fa005')).toBe(false)
    expect(google.state.requests.at(-1)).toEqual({
      service: 'calendar',
      method: 'calendar.events.insert',
      status: 'hang',
    })
  })

  test('stopping ends a request that hangs', async () => {
    const other = await openGoogle()
    other.faults.add({ kind: 'hang' })
    const waiting = fetch(`${other.url}/drive/v3/files`)
    const outcome = expect(waiting).rejects.toThrow()
    await expect.poll(() => other.state.requests.length).toBe(1)
    await other.stop()
    await outcome
    await other.stop()
  })
})

describe('the control door', () => {
  test('adds, shows and clears faults', async () => {
    const fault = { kind: 'error', service: 'drive', status: 403, reason: 'storageQuotaExceeded' }
    const added = await fetch(`${google.url}/_sandbox/faults`, {
      method: 'POST',
      body: JSON.stringify(fault),
    })
    expect(added.status).toBe(201)
    expect(await failureOf(clients.drive.files.list())).toMatchObject({
      status: 403,
      reason: 'storageQuotaExceeded',
    })
    google.faults.add({ kind: 'down' })
    expect((await fetch(`${google.url}/_sandbox/faults`, { method: 'DELETE' })).status).toBe(204)
    expect(await (await fetch(`${google.url}/_sandbox/faults`)).json()).toEqual([])
  })

  test('says what is wrong with a fault', async () => {
    const answer = await fetch(`${google.url}/_sandbox/faults`, { method: 'POST', body: '{"kind":"boom"}' })
    expect(answer.status).toBe(400)
    expect(((await answer.json()) as { error: string }).error).toContain('kind')
  })

  test('shows the state without the addresses of uploads', async () => {
    const started = await fetch(`${google.url}/upload/drive/v3/files?uploadType=resumable`, {
      method: 'POST',
      headers: { authorization: `Bearer ${clients.token}` },
    })
    const uploadId = new URL(started.headers.get('location') ?? '').searchParams.get('upload_id') ?? ''
    const text = await (await fetch(`${google.url}/_sandbox/state`)).text()
    expect(JSON.parse(text)).toMatchObject({ uploads: [{ storedBytes: 0, finished: false }] })
    expect(uploadId).not.toBe('')
    expect(text).not.toContain(uploadId)
  })
})

test('a callback that fails is told when the sandbox stops', async () => {
  const broken = await openGoogle({
    conferencePendingMs: 1,
    onConference: () => {
      throw new Error('no room')
    },
  })
  const { calendar } = await officialClients(broken, 'agenda@clinica.example')
  await calendar.events.insert({
    calendarId: 'primary',
    conferenceDataVersion: 1,
    requestBody: { start, end, conferenceData: { createRequest: { requestId: 'r' } } },
  })
  await expect.poll(() => broken.state.spaces.size).toBe(1)
  await expect(broken.stop()).rejects.toThrow('A callback of the Google sandbox failed')
})
