import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asc, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../config.ts'
import { verifyChain } from '../db/audit.ts'
import { chainNotesOf } from '../db/audit-notes.ts'
import { openJobs } from '../db/jobs.ts'
import {
  auditLog,
  meetingEvents,
  meetings,
  organizations,
  participants,
  presences,
  recordings,
  type SeriesTemplate,
  series,
} from '../db/schema.ts'
import { openTestGoogle, type TestGoogle } from '../google/test-google.ts'
import { createLog } from '../log.ts'
import { startLockingStore } from '../sandbox/object-lock.ts'
import { type ObjectStore, startObjectStore } from '../sandbox/s3.ts'
import { createStore } from '../storage/s3.ts'
import { type CoverageStage, ORGANIZER, openCoverageStage } from './coverage-for-tests.ts'
import { applyRetention, type RetentionDeps } from './retention.ts'
import { workOnJobs } from './work-on-jobs.ts'

// Real tables, a real bucket (behind Object Lock where a test wants it) and Google's Drive.

const DAY_MS = 86_400_000
const DRIVE_USER = 'archivo@clinica.example'
const never = new AbortController().signal
let stage: CoverageStage
let bucket: ObjectStore
let dir: string

beforeAll(async () => {
  stage = await openCoverageStage()
  dir = await mkdtemp(join(tmpdir(), 'testigo-retention-'))
  bucket = await startObjectStore({ dir, bucket: 'testigo' })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await bucket?.stop()
  await rm(dir, { recursive: true, force: true })
})

async function openRetention(lockDays = 0) {
  const google = await openTestGoogle({}, { settings: { timeoutMs: 2000 } })
  let passedMs = 0
  const now = () => Date.now() + passedMs
  const locking =
    lockDays > 0
      ? await startLockingStore({
          behind: bucket.endpoint,
          bucket: 'testigo',
          objectLock: {},
          pageSize: 100,
          now,
        })
      : undefined
  if (locking) onTestFinished(() => locking.stop())
  const config = readConfig({
    TESTIGO_S3_ENDPOINT: locking?.endpoint ?? bucket.endpoint,
    TESTIGO_S3_LOCK_DAYS: String(lockDays),
    TESTIGO_GOOGLE_DRIVE_USER: DRIVE_USER,
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
  })
  const log = createLog('silent')
  const store = createStore(config.storage, log)
  onTestFinished(() => store.close())
  const { db } = stage.database
  const deps: RetentionDeps = {
    config,
    db,
    store,
    driveRemoval: google.google.driveRemoval,
    clock: { now, sleep: async () => {} },
    log,
  }
  const days = (retentionDays: number | null) =>
    db.update(organizations).set({ retentionDays }).where(eq(organizations.id, stage.organizationId))
  onTestFinished(async () => {
    await days(null)
    // What a test leaves is not due in the next one.
    await db.update(meetings).set({ legalHold: true })
  })

  /** A meeting of some days ago with everything that one leaves behind. */
  const held = async (ago: number, facts: Partial<typeof meetings.$inferInsert> = {}) => {
    const at = new Date(Date.now() - ago * DAY_MS)
    const [ours, theirs] = [`1${randomUUID()}`, `1${randomUUID()}`]
    const { meetingId, recordingId } = await stage.meeting({
      meeting: { startsAt: new Date(at.getTime() - 3_600_000), endsAt: at, topic: 'Paciente X', ...facts },
    })
    const prefix = `${stage.organizationId}/${recordingId}/`
    const keys = [
      'attempt-001/init.mp4',
      'attempt-001/seg-00001.m4s',
      'recording.mp4',
      'manifest.json',
      'native-1.mp4',
    ]
    for (const key of keys)
      await store.put(`${prefix}${key}`, Buffer.from(key), { contentType: 'video/mp4', lock: lockDays > 0 })
    await putFile(google, ours, DRIVE_USER)
    await putFile(google, theirs, ORGANIZER)
    const native = {
      name: 'n',
      driveFileId: theirs,
      s3Key: `${prefix}native-1.mp4`,
      sha256: 'x',
      driveSha256: null,
    }
    await db
      .update(recordings)
      .set({
        s3Key: `${prefix}recording.mp4`,
        manifestKey: `${prefix}manifest.json`,
        sha256: 'f'.repeat(64),
        durationMs: 5000,
        driveStatus: 'uploaded',
        driveFileId: ours,
        driveLink: 'https://drive.google.com/x',
        nativeRecordings: [
          { ...native, sizeBytes: 1, startedAt: null, endedAt: null, copiedAt: at.toISOString() },
        ],
      })
      .where(eq(recordings.id, recordingId))
    const of = { organizationId: stage.organizationId, meetingId }
    await db
      .insert(participants)
      .values({ id: randomUUID(), ...of, email: 'ana@clinica.example', name: 'Ana' })
    await stage.saw(meetingId, 'Ana', 0, 10)
    await db
      .insert(meetingEvents)
      .values({ ...of, actor: 'x', kind: 'recording.available', detail: { by: 'Ana' } })
    return { meetingId, recordingId, prefix, ours, theirs }
  }
  const objects = async (prefix: string) => {
    const names: string[] = []
    for await (const { key } of store.list(prefix)) names.push(key)
    return names
  }
  return {
    db,
    deps,
    config,
    store,
    google,
    days,
    held,
    objects,
    inDrive: (id: string) => google.sandbox.state.files.get(id),
    pass: (ms: number) => {
      passedMs += ms
    },
    run: () => applyRetention(deps, never),
  }
}

async function putFile({ sandbox, folder }: TestGoogle, id: string, owner: string): Promise<void> {
  const path = join(folder, id)
  await writeFile(path, 'video')
  const now = new Date().toISOString()
  sandbox.state.files.set(id, {
    id,
    name: 'x.mp4',
    mimeType: 'video/mp4',
    parent: 'root',
    owner,
    createdTime: now,
    modifiedTime: now,
    trashed: false,
    appProperties: {},
    properties: {},
    permissions: [],
    madeByApp: false,
    content: { path, sizeBytes: 5, checksums: { md5Checksum: '', sha1Checksum: '', sha256Checksum: '' } },
  })
}

async function actionsOf(meetingId: string) {
  const { db } = stage.database
  await chainNotesOf(db, stage.organizationId)
  const rows = await db
    .select()
    .from(auditLog)
    .where(eq(auditLog.subject, `meeting:${meetingId}`))
    .orderBy(asc(auditLog.seq))
  return rows.map(({ action, detail }) => ({ action, detail }))
}

test('what is older than it is kept goes from bucket, Drive and rows; that it took place stays', async () => {
  const { db, days, held, objects, inDrive, run } = await openRetention()
  await days(30)
  const calendarSeen = { etag: 'x', updatedAt: null, fields: { guests: 'x' } }
  const old = await held(31, { calendarSeen })
  const young = await held(29)
  expect(await run()).toEqual({ erased: 1, blocked: 0, failed: 0 })
  expect(await objects(old.prefix)).toEqual([])
  expect([inDrive(old.ours), inDrive(old.theirs)]).toEqual([undefined, undefined])
  const [meeting] = await db.select().from(meetings).where(eq(meetings.id, old.meetingId))
  expect(meeting).toMatchObject({ topic: '', joinUrl: null, status: 'ended', erasedAt: expect.any(Date) })
  expect(meeting?.calendarSeen).toBeNull()
  const [recording] = await db.select().from(recordings).where(eq(recordings.id, old.recordingId))
  expect(recording).toMatchObject({
    status: 'available',
    s3Key: null,
    driveFileId: null,
    nativeRecordings: [],
    sha256: 'f'.repeat(64),
    durationMs: 5000,
  })
  for (const table of [participants, presences])
    expect(await db.select().from(table).where(eq(table.meetingId, old.meetingId))).toEqual([])
  const events = await db.select().from(meetingEvents).where(eq(meetingEvents.meetingId, old.meetingId))
  expect(events.map(event => [event.kind, event.detail])).toEqual([['recording.available', {}]])
  expect(await actionsOf(old.meetingId)).toEqual([
    {
      action: 'retention.begun',
      detail: expect.objectContaining({ retentionDays: 30, setBy: 'organization' }),
    },
    {
      action: 'retention.erased',
      detail: expect.objectContaining({
        fileSha256: 'f'.repeat(64),
        objects: 5,
        drive: [
          { file: 'ours', outcome: 'deleted' },
          { file: 'google', outcome: 'deleted' },
        ],
        rows: { participants: 1, presences: 1, segments: 0, mails: 0, webhookEvents: 0 },
      }),
    },
  ])
  expect(await verifyChain(db, stage.organizationId)).toMatchObject({ ok: true })
  expect(await objects(young.prefix)).toHaveLength(5)
  expect(inDrive(young.ours)).toBeDefined()
  expect(await run()).toEqual({ erased: 0, blocked: 0, failed: 0 })
})

test('a legal hold keeps everything, and a shorter time of its own lets a meeting go', async () => {
  const { days, held, objects, run } = await openRetention()
  await days(30)
  const kept = await held(500, { legalHold: true })
  const own = await held(10, { retentionDays: 5 })
  const longer = await held(500, { retentionDays: 1000 })
  expect(await run()).toMatchObject({ erased: 1, failed: 0 })
  expect(await Promise.all([kept, own, longer].map(async one => (await objects(one.prefix)).length))).toEqual(
    [5, 0, 5],
  )
})

test('nothing is erased where nobody set how long, nor of a meeting that is not over', async () => {
  const { days, held, run } = await openRetention()
  const old = await held(3000)
  expect(await run()).toEqual({ erased: 0, blocked: 0, failed: 0 })
  await days(30)
  await stage.database.db
    .update(recordings)
    .set({ status: 'finishing' })
    .where(eq(recordings.id, old.recordingId))
  expect(await run()).toEqual({ erased: 0, blocked: 0, failed: 0 })
})

test('what Object Lock keeps waits for the end of its lock, with its rows and its copy, and goes then', async () => {
  const { db, days, held, objects, inDrive, pass, run } = await openRetention(10)
  await days(5)
  const { meetingId, prefix, ours } = await held(6)
  expect(await run()).toMatchObject({ erased: 0, blocked: 1 })
  const [meeting] = await db.select().from(meetings).where(eq(meetings.id, meetingId))
  const until = meeting?.erasureBlockedUntil?.getTime() ?? 0
  expect(until - Date.now()).toBeGreaterThan(9.9 * DAY_MS)
  expect(meeting).toMatchObject({ topic: 'Paciente X', erasedAt: null, erasingSince: expect.any(Date) })
  expect(inDrive(ours)).toBeDefined()
  expect(await objects(prefix)).toHaveLength(5)
  pass(DAY_MS)
  expect(await run()).toEqual({ erased: 0, blocked: 0, failed: 0 })
  pass(9.1 * DAY_MS)
  expect(await run()).toMatchObject({ erased: 1, blocked: 0 })
  expect(await objects(prefix)).toEqual([])
  expect((await actionsOf(meetingId)).map(({ action }) => action)).toEqual([
    'retention.begun',
    'retention.blocked',
    'retention.erased',
  ])
})

test('a step that fails is repeated with the next run, and holds up no other meeting', async () => {
  const { deps, days, held, objects, run } = await openRetention()
  await days(30)
  const one = await held(40)
  const other = await held(40)
  const [first] = [one, other].sort((a, b) => (a.meetingId < b.meetingId ? -1 : 1))
  let broken = true
  const { remove } = deps.driveRemoval
  deps.driveRemoval = {
    remove: async (as, fileId, signal) => {
      if (broken && fileId === first?.ours) throw new Error('Drive is away')
      return remove(as, fileId, signal)
    },
  }
  expect(await run()).toEqual({ erased: 1, blocked: 0, failed: 1 })
  broken = false
  expect(await run()).toEqual({ erased: 1, blocked: 0, failed: 0 })
  expect([...(await objects(one.prefix)), ...(await objects(other.prefix))]).toEqual([])
})

test('a copy in Drive that is gone already is no fault', async () => {
  const { google, days, held, run } = await openRetention()
  await days(30)
  const { meetingId, ours } = await held(40)
  google.sandbox.state.files.delete(ours)
  expect(await run()).toMatchObject({ erased: 1, failed: 0 })
  expect((await actionsOf(meetingId)).at(-1)?.detail).toMatchObject({
    drive: [
      { file: 'ours', outcome: 'not_there' },
      { file: 'google', outcome: 'deleted' },
    ],
  })
})

test("Google's own recording of two meetings goes with the last of them", async () => {
  const { db, days, held, inDrive, run } = await openRetention()
  await days(30)
  const first = await held(40)
  const second = await held(40, { legalHold: true })
  const [row] = await db.select().from(recordings).where(eq(recordings.id, first.recordingId))
  await db
    .update(recordings)
    .set({ nativeRecordings: row?.nativeRecordings ?? [] })
    .where(eq(recordings.id, second.recordingId))
  expect(await run()).toMatchObject({ erased: 1, failed: 0 })
  expect(inDrive(first.theirs)).toBeDefined()
  expect((await actionsOf(first.meetingId)).at(-1)?.detail).toMatchObject({
    drive: [
      { file: 'ours', outcome: 'deleted' },
      { file: 'google', outcome: 'kept_for_another' },
    ],
  })
  await db.update(meetings).set({ legalHold: false }).where(eq(meetings.id, second.meetingId))
  expect(await run()).toMatchObject({ erased: 1, failed: 0 })
  expect(inDrive(first.theirs)).toBeUndefined()
})

test('the template of a series is emptied with the last of its meetings, where it makes no more', async () => {
  const { db, days, held, run } = await openRetention()
  await days(30)
  const template: SeriesTemplate = {
    topic: 'Paciente X',
    description: 'Control',
    relatedType: 'paciente',
    relatedId: '7',
    customFields: { sede: 'Bogotá' },
    patience: {},
    redundancy: 1,
    reminders: [],
    participants: [{ email: 'ana@clinica.example', name: 'Ana', role: 'participant' }],
  }
  const calendarSeen = { times: '', topic: 'x', description: 'x', guests: 'x', exceptions: [] }
  const seriesUntil = async (expandedUntil: Date) => {
    const id = randomUUID()
    await db.insert(series).values({
      ...{ id, organizationId: stage.organizationId, template, expandedUntil, organizer: ORGANIZER },
      ...{ rule: 'FREQ=WEEKLY', startsAt: new Date(), lengthMs: 3_600_000, timeZone: 'America/Bogota' },
      ...{ eventId: id.replaceAll('-', ''), calendarSeen },
    })
    return id
  }
  const [over, goesOn] = [
    await seriesUntil(new Date('9999-01-01T00:00:00Z')),
    await seriesUntil(new Date(Date.now() + 400 * DAY_MS)),
  ]
  const of = (seriesId: string, ago: number) =>
    held(ago, { seriesId, originalStart: new Date(Date.now() - ago * DAY_MS) })
  const last = await of(over, 29)
  await of(over, 40)
  await of(goesOn, 40)
  const rowOf = async (id: string) => (await db.select().from(series).where(eq(series.id, id)))[0]
  expect(await run()).toMatchObject({ erased: 2, failed: 0 })
  expect(await rowOf(over)).toMatchObject({ template, calendarSeen })
  await db.update(meetings).set({ retentionDays: 1 }).where(eq(meetings.id, last.meetingId))
  expect(await run()).toMatchObject({ erased: 1, failed: 0 })
  const nothing = { topic: '', description: null, customFields: null, participants: [] }
  expect(await rowOf(over)).toMatchObject({ template: { ...template, ...nothing }, calendarSeen: null })
  expect(await rowOf(goesOn)).toMatchObject({ template, calendarSeen })
})

test('a file that may not be deleted is moved to the bin, and one that may not even be that is a fault', async () => {
  const { google, deps } = await openRetention()
  await putFile(google, 'shared', ORGANIZER)
  const file = () => google.sandbox.state.files.get('shared')
  const forbid = (method: string) =>
    google.sandbox.faults.add({ kind: 'error', method, status: 403, reason: 'insufficientFilePermissions' })
  forbid('files.delete')
  expect(await deps.driveRemoval.remove(ORGANIZER, 'shared')).toBe('trashed')
  expect(file()?.trashed).toBe(true)
  forbid('files.delete')
  forbid('files.update')
  await expect(deps.driveRemoval.remove(ORGANIZER, 'shared')).rejects.toMatchObject({ code: 'forbidden' })
})

test('recorders do it once a day, and are asked to by the queue', async () => {
  const { db, deps, config, store, google, days, held, objects } = await openRetention()
  await days(30)
  const old = await held(31)
  const jobs = await openJobs(stage.databaseUrl, () => undefined)
  const stopping = new AbortController()
  try {
    await db.transaction(tx => jobs.send(tx, 'retention', {}, { key: 'retention' }))
    await workOnJobs({ ...deps, config, store, jobs, google: google.google }, stopping.signal)
    const scheduled = await db.execute<{ name: string; cron: string }>(
      sql`select name, cron from pgboss.schedule order by name`,
    )
    expect([...scheduled]).toEqual([
      { name: 'retention', cron: '23 7 * * *' },
      { name: 'sweep', cron: '* * * * *' },
    ])
    const erasedAt = async () =>
      (await db.select().from(meetings).where(eq(meetings.id, old.meetingId)))[0]?.erasedAt
    await expect.poll(erasedAt, { timeout: 20_000 }).toBeInstanceOf(Date)
    expect(await objects(old.prefix)).toEqual([])
  } finally {
    stopping.abort()
    await jobs.close(0)
  }
})
