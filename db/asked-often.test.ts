import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApiKey } from './api-keys.ts'
import { type OpenDatabase, openDatabase, type Transaction } from './connect.ts'
import { fillWithMeetings } from './fill-with-meetings.ts'
import { findCancelled } from './find-followed.ts'
import { findForgotten } from './forgotten.ts'
import { openJobs } from './jobs.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  const jobs = await openJobs(server.url, error => {
    throw error
  })
  await jobs.close(0)
  const wish = { organization: 'Clínica Andina', name: 'test', role: 'admin' } as const
  const { organizationId } = await createApiKey(database.db, wish)
  await fillWithMeetings(server.url, { count: 10_000, organizations: [organizationId] })
  await database.db.execute(
    sql`update meetings set cancelled_at = created_at where status = 'cancelled' and cancelled_at is null`,
  )
  await database.db.execute(sql`analyze meetings`)
}, 120_000)
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

const A_MINUTE_AGO = new Date(Date.now() - 60_000)
const OFTEN: Record<string, (tx: Transaction) => Promise<unknown>> = {
  'whether a meeting of a calendar was cancelled': tx =>
    findCancelled(tx, 'agenda1@clinica.example', A_MINUTE_AGO),
  'which meetings Google was not told of': tx => findForgotten(tx, 'provision-meeting', A_MINUTE_AGO, 100),
}

// Also what a transaction before read may still be counted here.
async function rowsRead(tx: Transaction): Promise<number> {
  const [row] = await tx.execute<{ read: number }>(
    sql`select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read
      from pg_stat_xact_user_tables where relname = 'meetings'`,
  )
  return row?.read ?? 0
}

test.each(Object.entries(OFTEN))('%s is asked all the time, and looks at few of them', async (_, ask) => {
  await database.db.transaction(async tx => {
    const before = await rowsRead(tx)
    await ask(tx)
    expect((await rowsRead(tx)) - before).toBeLessThan(50)
  })
})
