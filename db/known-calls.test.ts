import { randomUUID } from 'node:crypto'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openAttempt } from './attempts.ts'
import { isRoomAttended } from './call-following.ts'
import { type OpenDatabase, openDatabase } from './connect.ts'
import { isKnownCall } from './find-followed.ts'
import { insertMeeting } from './meetings.ts'
import { hasSeenPeople } from './recordings.ts'
import { meetings, organizations, presences, recordings } from './schema.ts'
import { openTestDatabase } from './test-database.ts'

const organizationId = randomUUID()
let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  await database.db.insert(organizations).values({ id: organizationId, name: 'Clínica Andina' })
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

const minutes = (count: number) => new Date(Date.now() + count * 60_000)

async function made(facts: Partial<typeof meetings.$inferInsert>, startsAt = minutes(60)) {
  const id = randomUUID()
  const { db } = database
  await db.transaction(tx =>
    insertMeeting(
      tx,
      {
        ...{ id, organizationId, organizer: 'agenda@clinica.example', eventId: id, topic: 'Comité' },
        ...{ description: null, startsAt, endsAt: new Date(startsAt.getTime() + 3_600_000) },
        ...{ timeZone: 'UTC', externalId: null, relatedType: null, relatedId: null, customFields: null },
        ...{ patience: {}, redundancy: 1, participants: [] },
      },
      'test',
    ),
  )
  if (Object.keys(facts).length > 0) await db.update(meetings).set(facts).where(eq(meetings.id, id))
  const [recording] = await db.select().from(recordings).where(eq(recordings.meetingId, id))
  if (!recording) throw new Error('no recording')
  return { id, startsAt, recordingId: recording.id }
}

test('a call is known by its event wherever that was moved to, and by its link at its time only', async () => {
  const meetingCode = 'abc-mnop-xyz'
  const { id, startsAt } = await made({ meetingCode })
  const elsewhen = minutes(600)
  const known = (call: Partial<Parameters<typeof isKnownCall>[1]>) =>
    isKnownCall(database.db, { eventId: 'otro', meetingCode: 'qrs-tuvw-xyz', startsAt: elsewhen, ...call })
  expect(await known({ eventId: id })).toBe(true)
  expect(await known({ meetingCode, startsAt })).toBe(true)
  expect(await known({ meetingCode })).toBe(false)
  await database.db.update(meetings).set({ status: 'ended' }).where(eq(meetings.id, id))
  expect(await known({ eventId: id })).toBe(false)
  expect(await known({ eventId: id, startsAt })).toBe(true)
  await database.db.update(meetings).set({ status: 'cancelled' }).where(eq(meetings.id, id))
  expect(await known({ eventId: id, startsAt })).toBe(false)
})

test('a room is attended while a bot is there for any of the meetings that share it', async () => {
  const spaceName = 'spaces/compartida'
  const first = await made({ spaceName })
  const second = await made({ spaceName })
  const alone = await made({ spaceName: 'spaces/otra' })
  const isAttended = (id: string, room: string | null) => isRoomAttended(database.db, { id, spaceName: room })
  expect(await isAttended(second.id, spaceName)).toBe(false)
  await database.db.transaction(tx =>
    openAttempt(tx, first.recordingId, { recorder: 'host:1', botAccount: null }),
  )
  expect(await isAttended(second.id, spaceName)).toBe(true)
  expect(await isAttended(alone.id, 'spaces/otra')).toBe(false)
  expect(await isAttended(first.id, null)).toBe(true)
})

test('who looked in and left before the start has not been seen at the meeting', async () => {
  const { id, startsAt } = await made({}, minutes(-10))
  const before = (count: number) => new Date(startsAt.getTime() - count * 60_000)
  const come = (joinedAt: Date, leftAt: Date | null, bot = false) =>
    database.db.insert(presences).values({
      ...{ id: randomUUID(), organizationId, meetingId: id, personKey: randomUUID() },
      ...{ source: 'told' as const, bot, joinedAt, leftAt },
    })
  await come(before(8), before(5))
  await come(before(8), null, true)
  expect(await hasSeenPeople(database.db, id)).toBe(false)
  await come(before(8), null)
  expect(await hasSeenPeople(database.db, id)).toBe(true)
})
