import { randomUUID } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import {
  beat,
  listAttempts,
  listLiving,
  markAdmitted,
  markWaiting,
  offerHandover,
  standsStill,
} from '../db/attempts.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import type { Ending } from '../db/endings.ts'
import { type OpenJobs, openJobs } from '../db/jobs.ts'
import { addSegment, findRecording, notePresence } from '../db/recordings.ts'
import { meetings, organizations, recordings } from '../db/schema.ts'
import { findUnrecorded } from '../db/stalled.ts'
import { openTestDatabase } from '../db/test-database.ts'
import { createLog } from '../log.ts'
import { concludeAttempt } from './conclude-attempt.ts'
import { beginAttempt } from './record-meeting.ts'
import { sendOwed } from './send-owed.ts'
import { createSilence } from './watch-attempts.ts'

// Who records a meeting, and what follows an attempt: rows only, on a real PostgreSQL.

const config = readConfig({ TESTIGO_BOT_EMAIL: 'testigo@clinica.example' })
const log = createLog('silent')
const organizationId = randomUUID()
let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let jobs: OpenJobs

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  jobs = await openJobs(server.url, error => {
    throw error
  })
  await database.db.insert(organizations).values({ id: organizationId, name: 'Clínica del Norte' })
})
afterAll(async () => {
  await jobs?.close(0)
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

const recorder = (name: string) => ({
  config,
  db: database.db,
  databaseUrl: server.url,
  jobs,
  clock: systemClock,
  log,
  name,
})

async function meetingNow(redundancy = 1): Promise<{ meetingId: string; recordingId: string }> {
  const [meetingId, recordingId] = [randomUUID(), randomUUID()]
  await database.db.insert(meetings).values({
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
  await database.db.insert(recordings).values({ id: recordingId, organizationId, meetingId })
  return { meetingId, recordingId }
}

async function begin(meeting: { meetingId: string; lane?: number }, by = 'one:1') {
  const begun = await beginAttempt(recorder(by), meeting)
  if (begun.kind !== 'opened') throw new Error(`no attempt: ${JSON.stringify(begun)}`)
  return begun
}

const conclude = (attempt: { id: string; recordingId: string; recorder: string }, ending: Ending) =>
  database.db.transaction(tx => concludeAttempt(tx, config, attempt, { ending, at: new Date() }, Date.now()))

const statusOf = async (recordingId: string) =>
  (await findRecording(database.db, { recordingId }))?.recording.status

const storePicture = (attemptId: string) =>
  addSegment(database.db, {
    organizationId,
    attemptId,
    number: 1,
    s3Key: randomUUID(),
    sha256: 'x',
    sizeBytes: 1,
    startMs: 0,
    durationMs: 4000,
    startedAt: new Date(),
    endedAt: new Date(),
    storedAt: new Date(),
  })

test('of many recorders woken for one meeting exactly one gets it', async () => {
  const { meetingId, recordingId } = await meetingNow()
  const begun = await Promise.all(
    Array.from({ length: 12 }, (_, index) => beginAttempt(recorder(`host${index}:1`), { meetingId })),
  )
  expect(begun.filter(({ kind }) => kind === 'opened')).toHaveLength(1)
  expect(await listAttempts(database.db, recordingId)).toHaveLength(1)
})

test('a silent attempt is only closed while its beats stand where they were seen', async () => {
  const { meetingId } = await meetingNow()
  const { attempt } = await begin({ meetingId })
  const seen = (await listLiving(database.db)).find(({ attemptId }) => attemptId === attempt.id)
  if (!seen) throw new Error('the attempt does not live')
  expect(await database.db.transaction(tx => standsStill(tx, seen))).toBe(true)
  await beat(database.db, attempt.id, 0)
  expect(await database.db.transaction(tx => standsStill(tx, seen))).toBe(false)
})

test('a watcher judges by its own monotonic clock, and never by what it saw before it was away', () => {
  const silent = createSilence()
  const at = (beats: number) => [
    {
      attemptId: 'a',
      recordingId: 'r',
      meetingId: 'm',
      lane: 0,
      beats,
      heartbeatAt: new Date(0),
      recorder: 'x',
    },
  ]
  for (const ms of [0, 2000, 4000, 6000, 8000]) expect(silent(at(5), ms)).toEqual([])
  expect(silent(at(5), 10_000)).toHaveLength(1)
  expect(silent(at(6), 12_000)).toEqual([])
  // The database was away for a minute: nobody could write a sign of life, nobody is dead.
  expect(silent(at(6), 72_000)).toEqual([])
  expect(silent(at(6), 74_000)).toEqual([])
})

test('a dead attempt is followed by the next one at once; the returning zombie learns that it is lost', async () => {
  const { meetingId, recordingId } = await meetingNow()
  const first = await begin({ meetingId }, 'one:1')
  await database.db.transaction(tx => markAdmitted(tx, first.attempt.id, new Date(), 'test'))
  expect((await conclude(first.attempt, 'recorder_died')).kind).toBe('again')
  expect(await statusOf(recordingId)).toBe('interrupted')
  await sendOwed(recorder('two:1'), recordingId)
  const job = await jobs.take('record-meeting')
  expect(job?.payload).toEqual({ meetingId, lane: 0 })
  const second = await begin({ meetingId }, 'two:1')
  expect(second.attempt.number).toBe(2)
  expect(await beat(database.db, first.attempt.id, 0)).toEqual({ kind: 'lost' })
  expect(await conclude(first.attempt, 'call_ended_by_host')).toEqual({ kind: 'lost' })
  expect(await statusOf(recordingId)).toBe('joining')
})

test('a handover lets one more bot in beside the first, which leaves once the other has a picture', async () => {
  const { meetingId, recordingId } = await meetingNow()
  const first = await begin({ meetingId }, 'one:1')
  await database.db.transaction(tx => markAdmitted(tx, first.attempt.id, new Date(), 'test'))
  expect((await beginAttempt(recorder('two:1'), { meetingId })).kind).toBe('nothing')
  await database.db.transaction(tx => offerHandover(tx, first.attempt.id))
  const second = await begin({ meetingId }, 'two:1')
  expect(second.beside).toBe(true)
  expect((await beginAttempt(recorder('three:1'), { meetingId })).kind).toBe('nothing')
  await database.db.transaction(tx => markWaiting(tx, second.attempt, 'waiting_room', 'test'))
  expect(await statusOf(recordingId)).toBe('recording')
  await database.db.transaction(tx => markAdmitted(tx, second.attempt.id, new Date(), 'test'))
  expect(await beat(database.db, first.attempt.id, 0)).toMatchObject({ relieved: false })
  await storePicture(second.attempt.id)
  expect(await beat(database.db, first.attempt.id, 0)).toMatchObject({ relieved: true })
  expect(await conclude(first.attempt, 'handed_over')).toEqual({ kind: 'another_goes_on' })
  expect(await statusOf(recordingId)).toBe('recording')
  expect(await conclude(second.attempt, 'call_ended_by_host')).toEqual({ kind: 'settled', as: 'finishing' })
  expect((await findRecording(database.db, { recordingId }))?.recording.ending).toBe('call_ended_by_host')
})

test('when the call ends before the relief is in, the relief goes on alone and the status tells', async () => {
  const { meetingId, recordingId } = await meetingNow()
  const first = await begin({ meetingId }, 'one:1')
  await database.db.transaction(tx => markAdmitted(tx, first.attempt.id, new Date(), 'test'))
  await database.db.transaction(tx => offerHandover(tx, first.attempt.id))
  const second = await begin({ meetingId }, 'two:1')
  await storePicture(first.attempt.id)
  expect(await conclude(first.attempt, 'browser_died')).toEqual({ kind: 'another_goes_on' })
  expect(await statusOf(recordingId)).toBe('joining')
  expect((await conclude(second.attempt, 'meeting_not_found')).kind).toBe('settled')
  expect(await statusOf(recordingId)).toBe('finishing')
})

test('two lanes are recorded on two hosts, and the recording is settled when the last one ends', async () => {
  const { meetingId, recordingId } = await meetingNow(2)
  expect((await findUnrecorded(database.db, recordingId)).map(({ lane }) => lane)).toEqual([0, 1])
  const zero = await begin({ meetingId, lane: 0 }, 'one:1')
  expect(await beginAttempt(recorder('one:2'), { meetingId, lane: 1 })).toEqual({ kind: 'elsewhere' })
  const one = await begin({ meetingId, lane: 1 }, 'two:1')
  expect(await findUnrecorded(database.db, recordingId)).toEqual([])
  for (const { attempt } of [zero, one]) {
    await database.db.transaction(tx => markAdmitted(tx, attempt.id, new Date(), 'test'))
    await storePicture(attempt.id)
  }
  expect((await conclude(zero.attempt, 'browser_died')).kind).toBe('again')
  expect(await statusOf(recordingId)).toBe('recording')
  expect((await findUnrecorded(database.db, recordingId)).map(({ lane }) => lane)).toEqual([0])
  expect((await conclude(one.attempt, 'call_ended_by_host')).kind).toBe('settled')
  expect(await statusOf(recordingId)).toBe('finishing')
})

test('a lane that died does not come back into a call that the other one saw end', async () => {
  const { meetingId, recordingId } = await meetingNow(2)
  const zero = await begin({ meetingId, lane: 0 }, 'one:1')
  const one = await begin({ meetingId, lane: 1 }, 'two:1')
  for (const { attempt } of [zero, one]) {
    await database.db.transaction(tx => markAdmitted(tx, attempt.id, new Date(), 'test'))
    await storePicture(attempt.id)
  }
  expect((await conclude(one.attempt, 'call_ended_by_host')).kind).toBe('another_goes_on')
  expect((await conclude(zero.attempt, 'recorder_died')).kind).toBe('settled')
  expect((await beginAttempt(recorder('three:1'), { meetingId, lane: 0 })).kind).toBe('nothing')
  expect((await findRecording(database.db, { recordingId }))?.recording).toMatchObject({
    status: 'finishing',
    ending: 'call_ended_by_host',
  })
})

test('the ending is told by who saw the call end among people, not by who came into the empty call afterwards', async () => {
  const { meetingId, recordingId } = await meetingNow(2)
  const first = await begin({ meetingId, lane: 0 }, 'one:1')
  const second = await begin({ meetingId, lane: 1 }, 'two:1')
  for (const { attempt } of [first, second])
    await database.db.transaction(tx => markAdmitted(tx, attempt.id, new Date(), 'test'))
  const of = { organizationId, meetingId, attemptId: first.attempt.id }
  await notePresence(database.db, of, { personKey: 'a', name: 'Ana', kind: 'joined', at: new Date() })
  await storePicture(first.attempt.id)
  expect((await conclude(first.attempt, 'call_ended_by_host')).kind).toBe('another_goes_on')
  expect((await conclude(second.attempt, 'everyone_left')).kind).toBe('settled')
  expect((await findRecording(database.db, { recordingId }))?.recording.ending).toBe('call_ended_by_host')
})

test('a lane that is over is not recorded again while the other goes on', async () => {
  const { meetingId, recordingId } = await meetingNow(2)
  const zero = await begin({ meetingId, lane: 0 }, 'one:1')
  const one = await begin({ meetingId, lane: 1 }, 'two:1')
  for (const { attempt } of [zero, one])
    await database.db.transaction(tx => markAdmitted(tx, attempt.id, new Date(), 'test'))
  expect(await conclude(zero.attempt, 'everyone_left')).toEqual({ kind: 'another_goes_on' })
  expect(await findUnrecorded(database.db, recordingId)).toEqual([])
})

test('a meeting that nobody recorded in time has failed as missed; a cancelled one is cancelled', async () => {
  const missed = await meetingNow()
  await database.db
    .update(meetings)
    .set({ startsAt: new Date('2020-01-01T10:00:00Z'), endsAt: new Date('2020-01-01T11:00:00Z') })
    .where(eq(meetings.id, missed.meetingId))
  expect((await beginAttempt(recorder('one:1'), missed)).kind).toBe('nothing')
  expect(await findRecording(database.db, missed)).toMatchObject({
    recording: { status: 'failed', ending: 'missed' },
    meeting: { status: 'ended' },
  })
  const cancelled = await meetingNow()
  await begin(cancelled)
  await database.db.update(meetings).set({ status: 'cancelled' }).where(eq(meetings.id, cancelled.meetingId))
  expect((await beginAttempt(recorder('two:1'), cancelled)).kind).toBe('nothing')
  expect(await statusOf(cancelled.recordingId)).toBe('joining')
})

test('a bot that left for another room, or judged by an old start that nobody came, is followed by the next one', async () => {
  const moved = await meetingNow()
  const first = await begin(moved)
  await database.db.transaction(tx => markAdmitted(tx, first.attempt.id, new Date(), 'test'))
  expect((await conclude(first.attempt, 'room_changed')).kind).toBe('again')
  const second = await begin(moved)
  await database.db
    .update(meetings)
    .set({ startsAt: new Date(Date.now() + 60_000) })
    .where(eq(meetings.id, moved.meetingId))
  expect((await conclude(second.attempt, 'nobody_came')).kind).toBe('again')
  const third = await begin(moved)
  await database.db
    .update(meetings)
    .set({ startsAt: new Date(Date.now() - 3_000_000) })
    .where(eq(meetings.id, moved.meetingId))
  expect(await conclude(third.attempt, 'nobody_came')).toEqual({ kind: 'settled', as: 'not_held' })
})

test('a call that was put off while its bot was let in has not begun', async () => {
  const { meetingId, recordingId } = await meetingNow()
  const { attempt } = await begin({ meetingId })
  await database.db
    .update(meetings)
    .set({ startsAt: new Date(Date.now() + 7_200_000), endsAt: new Date(Date.now() + 10_800_000) })
    .where(eq(meetings.id, meetingId))
  await database.db.transaction(tx => markAdmitted(tx, attempt.id, new Date(), 'test'))
  expect((await findRecording(database.db, { recordingId }))?.meeting.status).toBe('scheduled')
})

test('a pause between two attempts is kept by the trigger that is sent for the next one', async () => {
  const { meetingId, recordingId } = await meetingNow()
  const { attempt } = await begin({ meetingId })
  const conclusion = await conclude(attempt, 'cannot_join')
  expect(conclusion.kind).toBe('again')
  await sendOwed(recorder('one:1'), recordingId)
  const rows = (await database.db.execute(
    sql`select start_after - now() > interval '20 seconds' as later from pgboss.job where singleton_key = ${meetingId} and state < 'active'`,
  )) as unknown as { later: boolean }[]
  expect(rows).toEqual([{ later: true }])
})
