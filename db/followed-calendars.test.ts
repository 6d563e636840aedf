import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OpenDatabase, openDatabase } from './connect.ts'
import {
  type FollowedCalendar,
  findFollowed,
  followCalendars,
  noteSynced,
  noteSyncFailed,
  readWholeSoon,
  takeDue,
} from './followed-calendars.ts'
import { openTestDatabase } from './test-database.ts'

const NOW = new Date('2026-10-01T12:00:00Z')
const NEXT = new Date('2026-10-01T13:00:00Z')

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

/** A calendar that is being read: it was due, and taken. */
async function beingRead(calendar: string): Promise<FollowedCalendar> {
  await followCalendars(database.db, [calendar], NOW)
  await database.db.transaction(tx => takeDue(tx, 'syncAt', { now: NOW, next: NEXT }))
  const row = await findFollowed(database.db, calendar)
  if (!row) throw new Error('not followed')
  return row
}
const dueOf = async (calendar: string) => (await findFollowed(database.db, calendar))?.syncAt
const ENDINGS = {
  'was followed': (row: FollowedCalendar, next: Date) =>
    noteSynced(database.db, row, { token: 'next', whole: true, isLeft: false, now: NOW, next }),
  failed: (row: FollowedCalendar, next: Date) => noteSyncFailed(database.db, row, { error: 'away', next }),
}

describe.each(Object.entries(ENDINGS))('a reading that %s', (ending, note) => {
  test('is the last until the next one', async () => {
    const calendar = `quiet-${ending}@clinica.example`
    const later = new Date('2026-10-01T14:00:00Z')
    await note(await beingRead(calendar), later)
    expect(await dueOf(calendar)).toEqual(later)
  })

  test('does not put off another one that was asked for meanwhile', async () => {
    const calendar = `asked-${ending}@clinica.example`
    const row = await beingRead(calendar)
    const asked = new Date('2026-10-01T12:00:05Z')
    await readWholeSoon(database.db, [calendar], asked)
    await note(row, new Date('2026-10-01T14:00:00Z'))
    expect(await dueOf(calendar)).toEqual(asked)
    expect((await findFollowed(database.db, calendar))?.wholeAt).toEqual(new Date(0))
  })
})
