import { randomUUID } from 'node:crypto'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { systemClock } from '../clock.ts'
import { type Config, readConfig } from '../config.ts'
import { listAuditOf } from '../db/audit.ts'
import { findRecording } from '../db/recordings.ts'
import { meetingEvents, presences, recordings, webhookEndpoints, webhookEvents } from '../db/schema.ts'
import { findUncovered } from '../db/stalled.ts'
import { openTestGoogle, type TestGoogle } from '../google/test-google.ts'
import {
  type CoverageStage,
  errorsOf,
  holdConference,
  openCoverageStage,
  withAlertAt,
} from './coverage-for-tests.ts'
import type { Pace } from './look-again.ts'
import { type CoverageDeps, readConference } from './read-conference.ts'

// Google's record and real tables; no call, no browser.

const config: Config = readConfig({ TESTIGO_BOT_EMAIL: 'testigo@clinica.example' })
const pace: Pace = { delaysMs: [15_000, 30_000], afterEndMs: 300_000, giveUpMs: 24 * 3_600_000 }
let stage: CoverageStage

beforeAll(async () => {
  stage = await openCoverageStage()
  // Somebody listens: only then are there events for webhooks.
  const { organizationId, database } = stage
  const endpoint = { id: randomUUID(), organizationId, url: 'https://xoma.example/hook', secrets: [] }
  await database.db.insert(webhookEndpoints).values(endpoint)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

type Meeting = Awaited<ReturnType<CoverageStage['meeting']>>
type Payload = Parameters<typeof readConference>[1]

/** Google, and looks at it at a minute of the meeting; an hour and a half after its start unless told otherwise. */
async function openLooks(options: Parameters<typeof openTestGoogle>[0] = {}) {
  const google = await openTestGoogle(options)
  const { log, errors } = errorsOf()
  const deps: CoverageDeps = {
    config,
    db: stage.database.db,
    jobs: stage.jobs,
    google: google.google,
    clock: systemClock,
    log,
    pace,
  }
  const look = (
    { recordingId }: Meeting,
    {
      minute = 90,
      changed = {},
      ...more
    }: Partial<Payload> & { minute?: number; changed?: Partial<CoverageDeps> } = {},
  ) => {
    const clock = { ...systemClock, now: () => stage.at(minute).getTime() }
    return readConference(
      { ...deps, clock, ...changed },
      { recordingId, ...more },
      new AbortController().signal,
    )
  }
  /** As the queue does it: with what the look before left for the next one. */
  const lookAgain = async (meeting: Meeting, options: Parameters<typeof look>[1] = {}) => {
    const [next] = await stage.queued('read-conference', meeting.recordingId)
    if (!next) throw new Error('there is no next look')
    return look(meeting, { ...(next.data as object), ...options })
  }
  const lookUntilFinal = async (meeting: Meeting, options: Parameters<typeof look>[1] = {}) => {
    expect(await look(meeting, options)).toBe('waiting')
    expect(await lookAgain(meeting, options)).toBe('final')
    return row(meeting)
  }
  return { google, deps, errors, look, lookAgain, lookUntilFinal }
}

async function row({ recordingId }: Meeting) {
  const found = await findRecording(stage.database.db, { recordingId })
  if (!found) throw new Error('the recording is gone')
  return found
}

async function alertsOf({ meetingId }: Meeting) {
  const rows = await stage.database.db
    .select()
    .from(meetingEvents)
    .where(eq(meetingEvents.meetingId, meetingId))
  return rows.filter(({ kind }) => kind === 'coverage.alert')
}

const held = (google: TestGoogle, meeting: Meeting, people: Parameters<typeof holdConference>[3]) =>
  holdConference(google, stage, meeting, people)

test('two readings that say the same of a conference that is over are final, and fill in who was there', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([-1, 55]) } })
  const conference = held(at.google, meeting, {
    Testigo: [[-1, 55]],
    'Ana Torres': [
      [1, 20],
      [22, 54],
    ],
    'Luis Gómez': [[0, 30]],
  })
  const { recording, meeting: after } = await at.lookUntilFinal(meeting)
  expect(recording.coverage).toEqual({
    source: 'google',
    final: true,
    percent: 100,
    humanMs: 54 * 60_000,
    recordedMs: 54 * 60_000,
    gaps: [],
  })
  expect(recording.conferences).toEqual([conference.name])
  expect([after.actualStart, after.actualEnd]).toEqual([stage.at(0), stage.at(54)])
  const stays = await stage.database.db
    .select()
    .from(presences)
    .where(eq(presences.meetingId, meeting.meetingId))
  expect(stays.map(({ name, bot, source }) => [name, bot, source]).sort()).toEqual([
    ['Ana Torres', false, 'google'],
    ['Ana Torres', false, 'google'],
    ['Luis Gómez', false, 'google'],
    ['Testigo', true, 'google'],
  ])
  expect(await stage.queued('import-native', meeting.recordingId)).toHaveLength(1)
  expect(await alertsOf(meeting)).toEqual([])
  const audit = await listAuditOf(stage.database.db, stage.organizationId, `recording:${meeting.recordingId}`)
  expect(audit).toEqual([
    expect.objectContaining({
      action: 'recording.coverage',
      detail: expect.objectContaining({ percent: 100, final: true }),
    }),
  ])
})

test('a conference that still runs is not final: it is looked at again, later each time', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([0, 30]) } })
  held(at.google, meeting, { 'Ana Torres': [[0]] })
  expect(await at.look(meeting, { minute: 60 })).toBe('waiting')
  expect((await row(meeting)).recording.coverage).toMatchObject({
    source: 'google',
    final: false,
    percent: 50,
  })
  const [first] = await stage.queued('read-conference', meeting.recordingId)
  expect(first?.startAfter).toEqual(new Date(stage.at(60).getTime() + 15_000))
  expect(await at.lookAgain(meeting, { minute: 61 })).toBe('waiting')
  const [second] = await stage.queued('read-conference', meeting.recordingId)
  expect(second?.startAfter).toEqual(new Date(stage.at(61).getTime() + 30_000))
  expect(await alertsOf(meeting)).toEqual([])
})

test('a record that changed since the last look is not final', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([0, 60]) } })
  const conference = held(at.google, meeting, { 'Ana Torres': [[0, 40]] })
  expect(await at.look(meeting)).toBe('waiting')
  conference.endTime = stage.at(41).toISOString()
  expect(await at.lookAgain(meeting)).toBe('waiting')
  expect(await at.lookAgain(meeting)).toBe('final')
})

test('too little recorded raises the alert once, with every gap and its reason', async () => {
  const at = await openLooks()
  const gap = { from: stage.at(20).toISOString(), to: stage.at(30).toISOString(), ms: 600_000 }
  const meeting = await stage.meeting({
    recording: {
      status: 'partial',
      timeline: stage.timeline([0, 20], [30, 50]),
      gaps: [{ ...gap, reason: 'recorder_died' }],
    },
  })
  held(at.google, meeting, { 'Ana Torres': [[0, 50]], Testigo: [[0, 50]] })
  const { recording } = await at.lookUntilFinal(meeting)
  expect(recording.coverage).toMatchObject({ percent: 80, gaps: [{ ...gap, reason: 'recorder_died' }] })
  expect(recording.coverageAlertAt).toEqual(stage.at(90))
  expect(await at.look(meeting)).toBe('final')
  expect(await at.look(meeting)).toBe('final')
  const alerts = await alertsOf(meeting)
  expect(alerts).toHaveLength(1)
  expect(alerts[0]?.detail).toMatchObject({
    percent: 80,
    recordedMs: 40 * 60_000,
    gaps: [{ reason: 'recorder_died' }],
  })
  expect(at.errors.map(({ message }) => message)).toEqual(['MEETING NOT RECORDED WHOLE'])
  const told = await stage.database.db.select().from(webhookEvents)
  expect(told.filter(({ meetingId }) => meetingId === meeting.meetingId)).toEqual([
    expect.objectContaining({
      type: 'coverage.alert',
      payload: expect.objectContaining({
        thresholdPercent: 99,
        coverage: expect.objectContaining({ percent: 80 }),
      }),
    }),
  ])
  const audit = await listAuditOf(stage.database.db, stage.organizationId, `recording:${meeting.recordingId}`)
  expect(audit.map(({ action, detail }) => [action, detail.alert])).toEqual([
    ['coverage.alert', undefined],
    ['recording.coverage', true],
  ])
})

test.each([
  ['failed', 'bot_not_signed_in'],
  ['not_held', 'nobody_came'],
] as const)('a recording that is %s raises the alert when Google saw people', async (status, ending) => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { status, ending, revision: 0 } })
  held(at.google, meeting, { 'Ana Torres': [[20, 50]] })
  const { recording } = await at.lookUntilFinal(meeting)
  expect(recording.coverage).toMatchObject({ percent: 0, gaps: [{ reason: ending, ms: 30 * 60_000 }] })
  expect(await alertsOf(meeting)).toHaveLength(1)
  expect(at.errors.map(({ message }) => message)).toEqual(['MEETING HELD AND NOT RECORDED'])
})

test('a meeting where only bots were is covered by nothing and alerts nobody', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({
    recording: { status: 'not_held', ending: 'nobody_came', revision: 0 },
  })
  held(at.google, meeting, { Testigo: [[0, 20]], "Ana's Notetaker": [[5, 20]] })
  expect((await at.lookUntilFinal(meeting)).recording.coverage).toMatchObject({ percent: null, humanMs: 0 })
  expect(await alertsOf(meeting)).toEqual([])
})

test('a meeting without any conference is final only after its time, as people may still come', async () => {
  const at = await openLooks()
  const recording = { status: 'failed', ending: 'bot_not_signed_in', revision: 0, endedAt: null } as const
  const meeting = await stage.meeting({ recording, wasThere: false })
  expect(await at.look(meeting, { minute: 1 })).toBe('waiting')
  expect((await stage.queued('read-conference', meeting.recordingId))[0]?.startAfter).toEqual(stage.at(65))
  held(at.google, meeting, { 'Ana Torres': [[10, 62]] })
  expect(await at.lookAgain(meeting, { minute: 65 })).toBe('waiting')
  expect(await at.lookAgain(meeting, { minute: 66 })).toBe('final')
  expect(await alertsOf(meeting)).toHaveLength(1)
})

test('people who come back before the scheduled end, when nobody records any more, are found out', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({
    recording: { timeline: stage.timeline([0, 30]), endedAt: stage.at(30) },
  })
  held(at.google, meeting, { 'Ana Torres': [[0, 30]] })
  expect((await at.lookUntilFinal(meeting, { minute: 31 })).recording.coverage?.percent).toBe(100)
  expect((await stage.queued('read-conference', meeting.recordingId))[0]?.startAfter).toEqual(stage.at(65))
  held(at.google, meeting, { 'Ana Torres': [[40, 60]] })
  expect(await at.lookAgain(meeting, { minute: 65 })).toBe('waiting')
  expect(await at.lookAgain(meeting, { minute: 66 })).toBe('final')
  const { recording } = await row(meeting)
  expect(recording.coverage).toMatchObject({ percent: 60, gaps: [{ reason: 'ended_too_early' }] })
  expect(await alertsOf(meeting)).toHaveLength(1)
})

test('a conference in the same room long before the meeting is not part of it', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([0, 30]) } })
  held(at.google, meeting, { 'Otra persona': [[-300, -200]] })
  held(at.google, meeting, { 'Ana Torres': [[0, 30]] })
  expect((await at.lookUntilFinal(meeting)).recording.coverage?.humanMs).toBe(30 * 60_000)
})

test('while Google is silent the coverage is by what the bot saw, and after a day that decides', async () => {
  const at = await openLooks()
  const impatient = {
    ...at.google.google.records,
    listConferences: at.google.another({ settings: { timeoutMs: 300 } }).records.listConferences,
  }
  const changed = { google: { records: impatient } }
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([10, 30]) } })
  await stage.saw(meeting.meetingId, 'Ana Torres', 0, 20)
  await stage.saw(meeting.meetingId, 'Testigo (grabación)', 0, 50)
  at.google.sandbox.faults.add({ kind: 'down', service: 'meet' })
  expect(await at.look(meeting, { changed })).toBe('waiting')
  expect((await row(meeting)).recording.coverage).toMatchObject({
    source: 'bot',
    final: false,
    percent: 50,
    gaps: [{ reason: 'not_yet_recording' }],
  })
  expect(await alertsOf(meeting)).toEqual([])
  expect(await at.lookAgain(meeting, { minute: 60 + 24 * 60, changed })).toBe('given_up')
  expect(await alertsOf(meeting)).toHaveLength(1)
})

test('a Google that refuses to tell decides nothing less: the alert comes at once by what the bot saw', async () => {
  const at = await openLooks({ delegatedScopes: ['https://www.googleapis.com/auth/calendar.events'] })
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([10, 30]) } })
  await stage.saw(meeting.meetingId, 'Ana Torres', 0, 20)
  expect(await at.look(meeting)).toBe('waiting')
  expect(await alertsOf(meeting)).toHaveLength(1)
})

test('a record that can no longer be read does not undo what it said', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([0, 30]) } })
  held(at.google, meeting, { 'Ana Torres': [[0, 30]] })
  const before = (await at.lookUntilFinal(meeting)).recording.coverage
  at.google.sandbox.faults.add({ kind: 'error', method: 'conferenceRecords.list', status: 403 })
  expect(await at.look(meeting)).toBe('final')
  expect((await row(meeting)).recording.coverage).toEqual(before)
})

test('a new revision of the video is covered anew, at once, and alerts nobody twice', async () => {
  const at = await openLooks()
  const { db } = stage.database
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([0, 20]) } })
  held(at.google, meeting, { 'Ana Torres': [[0, 40]] })
  expect((await at.lookUntilFinal(meeting)).recording.coverage?.percent).toBe(50)
  await db
    .update(recordings)
    .set({ revision: 2, timeline: stage.timeline([0, 30]) })
    .where(eq(recordings.id, meeting.recordingId))
  expect(await at.look(meeting)).toBe('final')
  expect((await row(meeting)).recording.coverage).toMatchObject({ percent: 75, final: true })
  expect(await alertsOf(meeting)).toHaveLength(1)
})

test('a video that is still being made is waited for', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { status: 'finishing', revision: 0 } })
  held(at.google, meeting, { 'Ana Torres': [[0, 40]] })
  expect(await at.look(meeting)).toBe('waiting')
  expect(await at.lookAgain(meeting)).toBe('waiting')
  expect((await row(meeting)).recording.coverage).toBeNull()
  expect(await alertsOf(meeting)).toEqual([])
})

test('a video of an older version, which does not say when its parts were recorded, is not judged', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { timeline: null, revision: 0 } })
  held(at.google, meeting, { 'Ana Torres': [[0, 40]] })
  expect(await at.look(meeting)).toBe('not_concerned')
})

test('a recording that nobody looks at is found until there is a final word on it', async () => {
  const at = await openLooks()
  const { db } = stage.database
  const found = async ({ recordingId }: Meeting) => (await findUncovered(db, recordingId)).length
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([0, 60]) } })
  held(at.google, meeting, { 'Ana Torres': [[0, 40]] })
  expect(await found(meeting)).toBe(1)
  expect(await at.look(meeting)).toBe('waiting')
  expect(await found(meeting)).toBe(0)
  await db.execute(`delete from pgboss.job where singleton_key = '${meeting.recordingId}'`)
  expect(await found(meeting)).toBe(1)
  await at.lookUntilFinal(meeting)
  await db.execute(`delete from pgboss.job where singleton_key = '${meeting.recordingId}'`)
  expect(await found(meeting)).toBe(0)
  expect(await found(await stage.meeting({ recording: { status: 'recording' } }))).toBe(0)
})

test('0 percent alerts never, and a cancelled recording is nobody’s concern', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { status: 'failed', ending: 'missed', revision: 0 } })
  held(at.google, meeting, { 'Ana Torres': [[0, 40]] })
  const { recording } = await at.lookUntilFinal(meeting, { changed: { config: withAlertAt(config, 0) } })
  expect(recording.coverage?.percent).toBe(0)
  expect(await alertsOf(meeting)).toEqual([])
  const cancelled = await stage.meeting({ recording: { status: 'cancelled' } })
  expect(await at.look(cancelled)).toBe('not_concerned')
})

test('the queue carries it on by itself until it is final', async () => {
  const at = await openLooks()
  const meeting = await stage.meeting({ recording: { timeline: stage.timeline([0, 60]) } })
  const conference = held(at.google, meeting, { 'Ana Torres': [[0]] })
  // What the other tests left waiting.
  await stage.database.db.execute("delete from pgboss.job where name = 'read-conference'")
  const outcomes: string[] = []
  const quick = { ...pace, delaysMs: [1] }
  await stage.jobs.work('read-conference', { atOnce: 1, pollMs: 500 }, async (payload, job) => {
    outcomes.push(await readConference({ ...at.deps, pace: quick }, payload, job.signal))
    const [person] = conference.participants
    if (outcomes.length === 1 && person?.sessions[0]) {
      person.sessions[0].endTime = stage.at(50).toISOString()
      conference.endTime = stage.at(50).toISOString()
    }
  })
  await stage.database.db.transaction(tx =>
    stage.jobs.send(
      tx,
      'read-conference',
      { recordingId: meeting.recordingId },
      { key: meeting.recordingId },
    ),
  )
  await vi.waitFor(() => expect(outcomes.at(-1)).toBe('final'), { timeout: 15_000, interval: 50 })
  await stage.jobs.stopTaking('read-conference')
  expect(outcomes).toEqual(['waiting', 'waiting', 'final'])
})
