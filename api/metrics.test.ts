import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../config.ts'
import type { Ending } from '../db/endings.ts'
import { attempts, meetings, organizations, recordings, segments } from '../db/schema.ts'
import type { RecordingStatus } from '../db/states.ts'
import { createLog } from '../log.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { startApi } from './start.ts'
import { callApi, openTestWorld, type TestWorld } from './test-api.ts'

const TOKEN = 'metrics-token-of-the-test'
const organizationId = randomUUID()
let google: GoogleSandbox
let world: TestWorld
let api: Awaited<ReturnType<typeof startApi>>

beforeAll(async () => {
  google = await openGoogle()
  world = await openTestWorld(google)
  api = await start({ TESTIGO_METRICS_TOKEN: TOKEN })
  await world.db.insert(organizations).values({ id: organizationId, name: 'Clínica' })
})
afterAll(async () => {
  await api?.close()
  await world?.[Symbol.asyncDispose]()
  await google?.stop()
})

const start = (changes: Record<string, string>) =>
  startApi(readConfig({ ...world.env, ...changes }), {
    databaseUrl: world.databaseUrl,
    log: createLog('silent'),
  })
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000)

async function addRecording(
  status: RecordingStatus,
  changes: { ending?: Ending; startsAt?: Date; updatedAt?: Date; coverageAlertAt?: Date } = {},
): Promise<string> {
  const [meetingId, id] = [randomUUID(), randomUUID()]
  const { startsAt = ago(600), ...ofRecording } = changes
  await world.db.insert(meetings).values({
    ...{ id: meetingId, organizationId, topic: 'Consulta', timeZone: 'America/Bogota' },
    ...{ startsAt, endsAt: new Date(startsAt.getTime() + 3_600_000) },
    ...{
      organizer: 'agenda@clinica.example',
      eventId: meetingId,
      joinUrl: 'https://meet.google.com/abc-defg-hij',
    },
  })
  await world.db.insert(recordings).values({ id, organizationId, meetingId, status, ...ofRecording })
  return id
}

async function scrape(): Promise<(series: string) => number | undefined> {
  const { status, headers, body } = await callApi(api.url, 'GET', '/metrics', { key: TOKEN })
  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const series = new Map<string, number>()
  for (const line of body.trimEnd().split('\n')) {
    if (line.startsWith('# ')) continue
    const [, name, value] =
      /^([a-z_]+(?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})?) (\d+(?:\.\d+)?(?:e-\d+)?)$/.exec(line) ?? []
    if (name === undefined) throw new Error(`"${line}" is not in the text format`)
    expect(series.has(name), `${name} stands once`).toBe(false)
    series.set(name, Number(value))
  }
  return name => series.get(name)
}

test('the numbers are those of the rows, and are counted at most every five seconds', async () => {
  await addRecording('failed', { ending: 'join_denied' })
  await addRecording('failed', { ending: 'join_denied', coverageAlertAt: new Date() })
  await addRecording('available', { coverageAlertAt: new Date() })
  await addRecording('finishing', { updatedAt: ago(300) })
  await addRecording('pending', { startsAt: ago(45) })
  await addRecording('pending', { startsAt: ago(-86_400) })
  const recordingId = await addRecording('recording')
  const attemptId = randomUUID()
  await world.db.insert(attempts).values({
    id: attemptId,
    organizationId,
    recordingId,
    number: 1,
    recorder: 'host:1',
    admittedAt: ago(500),
  })
  for (const number of [0, 1])
    await world.db.insert(segments).values({
      ...{ organizationId, attemptId, number, s3Key: `${number}`, sha256: 'x', sizeBytes: 1, startMs: 0 },
      ...{ durationMs: 0, startedAt: ago(500), endedAt: ago(400), storedAt: ago(90 - number * 60) },
    })

  const metric = await scrape()
  expect(metric('testigo_recordings{status="failed"}')).toBe(2)
  expect(metric('testigo_recordings{status="pending"}')).toBe(2)
  expect(metric('testigo_recordings{status="not_held"}')).toBe(0)
  expect(metric('testigo_meetings_not_recorded{ending="join_denied"}')).toBe(2)
  expect(metric('testigo_coverage_alerts_total')).toBe(2)
  expect(metric('testigo_attempts_living')).toBe(1)
  for (const [what, seconds] of Object.entries({ segment: 30, join: 45, finish: 300, rejoin: 0, drive: 0 })) {
    const waiting = metric(`testigo_waiting_seconds{what="${what}"}`)
    expect(waiting, what).toBeGreaterThanOrEqual(seconds)
    expect(waiting, what).toBeLessThan(seconds + 30)
  }
  expect(metric('testigo_leftovers{kind="unrecorded"}')).toBe(2)
  expect(metric('testigo_leftovers{kind="unfinished"}')).toBe(1)

  await addRecording('failed', { ending: 'join_denied' })
  expect((await scrape())('testigo_recordings{status="failed"}')).toBe(2)
})

test('jobs are counted by name and state', async () => {
  await using other = await start({ TESTIGO_METRICS_TOKEN: TOKEN })
  const key = await world.key('Clínica Andina')
  const meeting = { topic: 'Consulta', start: '2031-03-04T10:00:00-05:00', end: '2031-03-04T11:00:00-05:00' }
  expect((await callApi(other.url, 'POST', '/v1/meetings', { key, body: meeting })).status).toBe(201)
  const { body } = await callApi(other.url, 'GET', '/metrics', { key: TOKEN })
  expect(body).toMatch(/^testigo_jobs\{name="record-meeting",state="created"\} 1$/m)
})

test.each([
  ['no token', '', 401, 'missing_api_key'],
  ['another token', `${TOKEN}!`, 401, 'wrong_api_key'],
])('%s is refused', async (_name, key, status, code) => {
  const answer = await callApi(api.url, 'GET', '/metrics', { key })
  expect(answer).toMatchObject({ status, body: { code } })
  expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="testigo metrics"')
})

test("an organisation's key opens no metrics, and the token of metrics opens nothing else", async () => {
  const key = await world.key('Clínica Andina')
  expect((await callApi(api.url, 'GET', '/metrics', { key })).status).toBe(401)
  expect((await callApi(api.url, 'GET', '/v1/meetings', { key: TOKEN })).status).toBe(401)
})

test('without a token in the settings there are no metrics', async () => {
  await using closed = await start({})
  expect(await callApi(closed.url, 'GET', '/metrics', { key: TOKEN })).toMatchObject({
    status: 404,
    body: { code: 'route_not_found' },
  })
})
