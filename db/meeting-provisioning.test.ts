import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OpenDatabase, openDatabase } from './connect.ts'
import { noteProvisioned } from './meeting-provisioning.ts'
import { changeMeeting, insertMeeting, lockMeeting, type MeetingRow } from './meetings.ts'
import { organizations } from './schema.ts'
import { openTestDatabase } from './test-database.ts'

const organizationId = randomUUID()
const by = { actor: 'test', now: new Date('2026-10-01T12:00:00Z') }
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

async function made(): Promise<MeetingRow> {
  const id = randomUUID()
  const wish = {
    ...{ id, organizationId, organizer: 'agenda@clinica.example', eventId: id, topic: 'Comité' },
    ...{
      description: null,
      startsAt: new Date('2026-10-02T12:00:00Z'),
      endsAt: new Date('2026-10-02T13:00:00Z'),
    },
    ...{ timeZone: 'UTC', externalId: null, relatedType: null, relatedId: null, customFields: null },
    ...{ patience: {}, redundancy: 1, participants: [] },
  }
  const { meeting } = await database.db.transaction(tx => insertMeeting(tx, wish, 'test'))
  return meeting
}
const note = (meeting: MeetingRow) =>
  database.db.transaction(tx =>
    noteProvisioned(
      tx,
      meeting,
      {
        ...{ eventId: meeting.eventId, joinUrl: 'https://meet.google.com/abc-mnop-xyz' },
        ...{ meetingCode: 'abc-mnop-xyz', spaceName: null, space: { refusals: [] } },
      },
      by,
    ),
  )

test('what Google made of a meeting is noted with the meeting as it is then', async () => {
  const meeting = await made()
  expect(await note(meeting)).toMatchObject({ meetingCode: 'abc-mnop-xyz', revision: 1, syncedRevision: 1 })
})

test('a meeting that somebody changed meanwhile shows its later revision', async () => {
  const meeting = await made()
  await database.db.transaction(async tx => {
    const locked = await lockMeeting(tx, organizationId, meeting.id)
    if (locked) await changeMeeting(tx, locked, { topic: 'Otro' }, by)
  })
  expect(await note(meeting)).toMatchObject({ topic: 'Otro', revision: 2, syncedRevision: 1 })
})

test('who read the meeting before somebody else noted it notes nothing', async () => {
  const meeting = await made()
  await note(meeting)
  expect(await note(meeting)).toBeUndefined()
})
