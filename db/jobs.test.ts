import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type OpenDatabase, openDatabase } from './connect.ts'
import { type OpenJobs, openJobs } from './jobs.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let jobs: OpenJobs

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  jobs = await openJobs(server.url, error => {
    throw error
  })
})
afterAll(async () => {
  await jobs?.close(0)
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

async function queued(key: string) {
  return (await database.db.execute(
    sql`select state, start_after from pgboss.job where singleton_key = ${key}`,
  )) as unknown as { state: string; start_after: string }[]
}

test('a job sent in a transaction that fails was never sent', async () => {
  const key = randomUUID()
  await expect(
    database.db.transaction(async tx => {
      await jobs.send(tx, 'record-meeting', { meetingId: key }, { key })
      throw new Error('the row could not be written')
    }),
  ).rejects.toThrow('the row could not be written')
  expect(await queued(key)).toEqual([])
})

test('a job sent twice is one job, due at the later word', async () => {
  const key = randomUUID()
  const due = new Date('2030-01-01T10:00:00Z')
  const moved = new Date('2030-01-01T11:00:00Z')
  for (const startAfter of [due, moved]) {
    await database.db.transaction(tx =>
      jobs.send(tx, 'record-meeting', { meetingId: key }, { key, startAfter }),
    )
  }
  const rows = await queued(key)
  expect(rows).toHaveLength(1)
  expect(new Date(rows[0]?.start_after ?? 0)).toEqual(moved)
})

test('a job can be withdrawn before it is due', async () => {
  const key = randomUUID()
  await database.db.transaction(tx =>
    jobs.send(tx, 'record-meeting', { meetingId: key }, { key, startAfter: new Date('2030-01-01') }),
  )
  await database.db.transaction(tx => jobs.withdraw(tx, 'record-meeting', key))
  expect(await queued(key)).toEqual([])
})

test('a job that is due is worked on, and a repeat while it is worked on makes no second one', async () => {
  const key = randomUUID()
  let release = () => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  const taken = new Promise<string>(resolve => {
    void jobs.work('copy-to-drive', { atOnce: 2, pollMs: 500 }, async payload => {
      resolve(payload.recordingId)
      await held
    })
  })
  await database.db.transaction(tx => jobs.send(tx, 'copy-to-drive', { recordingId: key }, { key }))
  expect(await taken).toBe(key)
  await database.db.transaction(tx => jobs.send(tx, 'copy-to-drive', { recordingId: key }, { key }))
  expect(await queued(key)).toHaveLength(1)
  release()
})

test('jobs are worked on as soon as they are there, one after the other, without being looked for', async () => {
  const keys = [1, 2, 3, 4, 5].map(() => randomUUID())
  const done = new Set<string>()
  await jobs.work('import-native', { atOnce: 1, pollMs: 600_000 }, async ({ recordingId }) => {
    done.add(recordingId)
  })
  // Its first look is over.
  const first = randomUUID()
  await database.db.transaction(tx => jobs.send(tx, 'import-native', { recordingId: first }, { key: first }))
  await vi.waitFor(() => expect(done).toContain(first), 5000)
  await database.db.transaction(tx =>
    jobs.sendMany(
      tx,
      'import-native',
      keys.map(key => ({ payload: { recordingId: key }, key })),
    ),
  )
  await vi.waitFor(() => expect([...done]).toEqual(expect.arrayContaining(keys)), 5000)
})

test('many jobs are sent at once; those that were sent before are moved, and only those', async () => {
  const [known, fresh, other] = [randomUUID(), randomUUID(), randomUUID()]
  const before = new Date('2031-01-01T00:00:00Z')
  const startAfter = new Date('2031-03-04T15:00:00Z')
  await database.db.transaction(async tx => {
    for (const key of [known, other])
      await jobs.send(tx, 'record-meeting', { meetingId: key }, { key, startAfter: before })
    await jobs.sendMany(
      tx,
      'record-meeting',
      [known, fresh].map(key => ({ payload: { meetingId: key }, key, startAfter })),
    )
    await jobs.sendMany(tx, 'record-meeting', [])
  })
  const due = async (key: string) => (await queued(key)).map(row => new Date(row.start_after))
  expect(await due(known)).toEqual([startAfter])
  expect(await due(fresh)).toEqual([startAfter])
  expect(await due(other)).toEqual([before])
})
