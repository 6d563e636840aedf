import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { listAttempts } from '../db/attempts.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import { type OpenJobs, openJobs } from '../db/jobs.ts'
import { meetings, organizations, recordings } from '../db/schema.ts'
import { openTestDatabase } from '../db/test-database.ts'
import { createLog } from '../log.ts'
import { beginAttempt, type RecorderDeps } from './record-meeting.ts'
import { createVisits } from './visits.ts'

// A recorder and the real process of an attempt, as far as it comes without a browser.

const config = readConfig({
  TESTIGO_BOT_EMAIL: 'testigo@clinica.example',
  TESTIGO_SECOND_BOT_EMAIL: 'testigo2@clinica.example',
})
let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let jobs: OpenJobs
let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-visits-'))
  process.env.TESTIGO_DATA_DIR = dir
  server = await openTestDatabase()
  database = openDatabase(server.url)
  jobs = await openJobs(server.url, error => {
    throw error
  })
})
afterAll(async () => {
  delete process.env.TESTIGO_DATA_DIR
  await jobs?.close(0)
  await database?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

test('a child that takes long to load is kept alive by its recorder; one that dies is closed at once', async () => {
  const recordingId = await dueMeeting()
  const visits = createVisits(recorder('one:1'), () => ({ ok: true }))
  const stop = new AbortController()
  const taking = visits.takeUntil(stop.signal)
  await expect.poll(() => visits.pids().length, { timeout: 10_000 }).toBe(1)
  stop.abort()
  const [pid] = visits.pids()
  if (!pid) throw new Error('there is no child')
  // As slow as can be: it does not load at all.
  process.kill(pid, 'SIGSTOP')
  const beats = async () => (await listAttempts(database.db, recordingId))[0]?.beats
  await expect.poll(beats, { timeout: 15_000 }).toBeGreaterThanOrEqual(3)
  process.kill(pid, 'SIGKILL')
  await Promise.all([visits.settled(), taking])
  expect(await listAttempts(database.db, recordingId)).toMatchObject([{ ending: 'recorder_died' }])
}, 60_000)

test('a recorder that may not have a meeting leaves it to the one that may', async () => {
  const [recordingId, meetingId] = await addMeeting(2)
  await beginAttempt(recorder('one:1'), { meetingId, lane: 0 })
  const givenBack = Promise.withResolvers<void>()
  const stop = new AbortController()
  const first = createVisits(
    recorder('one:1', {
      ...jobs,
      async giveBack(name, id, reason) {
        await jobs.giveBack(name, id, reason)
        givenBack.resolve()
      },
    }),
    () => ({ ok: true }),
  )
  const second = createVisits(recorder('two:1'), () => ({ ok: true }))
  await database.db.transaction(tx =>
    jobs.send(tx, 'record-meeting', { meetingId, lane: 1 }, { key: `${meetingId}:1` }),
  )
  const taking = [first.takeUntil(stop.signal)]
  await givenBack.promise
  taking.push(second.takeUntil(stop.signal))
  await expect.poll(() => second.count(), { timeout: 4_000 }).toBe(1)
  stop.abort()
  expect(await listAttempts(database.db, recordingId)).toMatchObject([{ lane: 0 }, { lane: 1 }])
  for (const pid of second.pids()) process.kill(pid, 'SIGKILL')
  await Promise.all([second.settled(), ...taking])
})

function recorder(name: string, queue: OpenJobs = jobs): RecorderDeps {
  return {
    ...{ config, db: database.db, databaseUrl: server.url, jobs: queue },
    ...{ clock: systemClock, log: createLog('silent'), name },
  }
}

async function dueMeeting(): Promise<string> {
  const [recordingId, meetingId] = await addMeeting(1)
  await database.db.transaction(tx => jobs.send(tx, 'record-meeting', { meetingId }, { key: meetingId }))
  return recordingId
}

async function addMeeting(redundancy: number): Promise<[recordingId: string, meetingId: string]> {
  const [organizationId, meetingId, recordingId] = [randomUUID(), randomUUID(), randomUUID()]
  const { db } = database
  await db.insert(organizations).values({ id: organizationId, name: organizationId })
  await db.insert(meetings).values({
    id: meetingId,
    organizationId,
    topic: 'Consulta',
    startsAt: new Date(),
    endsAt: new Date(Date.now() + 3_600_000),
    timeZone: 'America/Bogota',
    organizer: 'agenda@clinica.example',
    eventId: meetingId.replaceAll('-', ''),
    joinUrl: 'https://meet.google.com/abc-defg-hij',
    redundancy,
  })
  await db.insert(recordings).values({ id: recordingId, organizationId, meetingId })
  return [recordingId, meetingId]
}
