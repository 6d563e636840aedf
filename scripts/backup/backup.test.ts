import { randomUUID } from 'node:crypto'
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createApiKey } from '../../db/api-keys.ts'
import { appendAudit, verifyChain } from '../../db/audit.ts'
import { chainAllNotes, chainNotesOf } from '../../db/audit-notes.ts'
import { migrateDatabase, type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { type OpenJobs, openJobs } from '../../db/jobs.ts'
import { insertMeeting } from '../../db/meetings.ts'
import { postgresAt } from '../../db/postgres-at.ts'
import { auditLog, meetings, organizations, participants, recordings } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { backUpByCopy } from './back-up.ts'
import { connectionEnvironment, findTool } from './postgres-tools.ts'
import { restore } from './restore.ts'
import { checkBackup } from './restore-copy.ts'
import { PATIENT, tablesToCopy } from './tables.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let jobs: OpenJobs
let organizationId: string
let dir: string
let file: string

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url, { max: 10 })
  jobs = await openJobs(server.url, () => undefined)
  const { db } = database
  organizationId = (
    await createApiKey(db, { organization: 'Clínica "Andina"\n\\N\t', name: 'x', role: 'admin' })
  ).organizationId
  dir = await mkdtemp(join(tmpdir(), 'testigo-backup-'))
})
afterAll(async () => {
  await jobs?.close(0)
  await database?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(() => {
  file = join(dir, `${randomUUID()}.backup`)
})

async function makeMeeting(): Promise<string> {
  const id = randomUUID()
  await database.db.transaction(async tx => {
    const row = {
      ...{
        id,
        organizationId,
        organizer: 'a@b.example',
        eventId: id,
        topic: 'Ñandú\\n\t"x"\r\n\\.',
        description: '\\N',
      },
      ...{ startsAt: new Date('2031-01-01T10:00Z'), endsAt: new Date('2031-01-01T11:00Z'), timeZone: 'UTC' },
      ...{ externalId: null, relatedType: null, relatedId: null, patience: {}, redundancy: 1 },
      customFields: { texto: 'línea 1\nlínea 2\\', n: 0.1 },
      participants: [{ email: `${id}@b.example`, name: 'Ana', role: 'host' as const }],
    }
    await insertMeeting(tx, row, 'api_key:x')
    await jobs.send(tx, 'provision-meeting', { meetingId: id }, { key: id })
  })
  return id
}

/** Another database, with nothing in it. */
async function emptyTarget(): Promise<string> {
  const name = `target_${randomUUID().slice(0, 8)}`
  await database.db.execute(sql`create database ${sql.identifier(name)}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return url.href
}

/** Another database, with somebody else's rows in it. */
async function filledTarget(): Promise<string> {
  const url = await emptyTarget()
  await migrateDatabase(url)
  await using filled = openDatabase(url)
  await filled.db.insert(organizations).values({ id: randomUUID(), name: 'stays' })
  return url
}

/** Every row of every table, in one order. */
async function contents(url: string): Promise<Record<string, string>> {
  const connection = postgresAt(url, PATIENT)
  try {
    const found: Record<string, string> = {}
    for (const { name, table, columns } of await tablesToCopy(connection)) {
      const list = columns.map(column => `"${column}"`).join(', ')
      const [row] = await connection.unsafe(
        `select count(*) || ':' || coalesce(md5(string_agg(t::text, chr(10) order by t::text)), '') as all from (select ${list} from ${name}) t`,
      )
      found[table] = row?.all
    }
    return found
  } finally {
    await connection.end()
  }
}

describe('a backup', () => {
  test('restored into another database has the same rows, unbroken chains and jobs that work', async () => {
    for (let made = 0; made < 5; made += 1) await makeMeeting()
    await chainNotesOf(database.db, organizationId)
    await database.db.transaction(tx =>
      appendAudit(tx, {
        organizationId,
        actor: 'job:x',
        action: 'x',
        subject: 'x',
        detail: { weird: '\u2028\\\n' },
      }),
    )
    const made = await backUpByCopy(server.url, file)
    expect(made.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const target = await emptyTarget()
    const chains = await restore(target, file, { force: false })
    expect(chains).toEqual([expect.objectContaining({ ok: true, rows: 6 })])
    const [before, after] = [await contents(server.url), await contents(target)]
    expect(after).toEqual(before)
    expect(before['public.meetings']).toMatch(/^5:/)
    expect(before['pgboss.job']).not.toMatch(/^0:/)

    await using restored = openDatabase(target)
    const queue = await openJobs(target, () => undefined)
    onTestFinished(() => queue.close(0))
    const job = await queue.take('provision-meeting')
    expect(job?.payload.meetingId).toMatch(/^[0-9a-f-]{36}$/)
    if (job) await queue.done('provision-meeting', job.id)
    // Numbers go on where they stopped.
    await restored.db.transaction(tx =>
      appendAudit(tx, { organizationId, actor: 'a', action: 'goes.on', subject: 's' }),
    )
    expect(await verifyChain(restored.db, organizationId)).toMatchObject({ ok: true, rows: 7 })
    await expect(restored.db.execute(sql`delete from audit_log`)).rejects.toMatchObject({
      cause: { code: '42501' },
    })
  })

  test('made while others write is of one moment', async () => {
    let writing = true
    const writers = Array.from({ length: 4 }, async () => {
      while (writing) await makeMeeting()
    })
    const chaining = (async () => {
      while (writing) await chainAllNotes(database.db)
    })()
    for (let made = 0; made < 20; made += 1) await makeMeeting()
    await backUpByCopy(server.url, file)
    writing = false
    await Promise.all([...writers, chaining])
    const target = await emptyTarget()
    expect(await restore(target, file, { force: false })).toMatchObject([{ ok: true }])
    await using restored = openDatabase(target)
    const { db } = restored
    const ids = (await db.select({ id: meetings.id }).from(meetings)).map(({ id }) => id).sort()
    const of = async (table: typeof recordings | typeof participants) =>
      (await db.select({ id: table.meetingId }).from(table)).map(({ id }) => id).sort()
    expect(ids.length).toBeGreaterThan(20)
    expect(await of(recordings)).toEqual(ids)
    expect(await of(participants)).toEqual(ids)
    const jobsOf = await db.execute<{ id: string }>(
      sql`select singleton_key as id from pgboss.job where name = 'provision-meeting'`,
    )
    expect(jobsOf.map(({ id }) => id).sort()).toEqual(ids)
    // A note is waiting or in the chain, and never both or neither.
    await chainNotesOf(db, organizationId)
    const created = await db.select().from(auditLog).where(eq(auditLog.action, 'meeting.created'))
    expect(created.map(row => row.subject.slice('meeting:'.length)).sort()).toEqual(ids)
    expect(await verifyChain(db, organizationId)).toMatchObject({ ok: true, waiting: 0 })
  })

  test('of large tables goes on after each of them, however slow the disk is', async () => {
    const meetingId = await makeMeeting()
    await database.db.execute(sql`
      insert into meeting_events (organization_id, meeting_id, actor, kind, detail)
      select ${organizationId}, ${meetingId}, 'x', 'large', jsonb_build_object('text', repeat('x', 2000))
      from generate_series(1, 4000)`)
    for (let made = 0; made < 3; made += 1) await backUpByCopy(server.url, file)
    const { rows } = await checkBackup(file)
    expect(rows).toBeGreaterThan(4000)
    await database.db.execute(sql`delete from meeting_events where kind = 'large'`)
  })

  test('of a database without our tables is refused, and leaves no file', async () => {
    await expect(backUpByCopy(await emptyTarget(), file)).rejects.toMatchObject({
      code: 'nothing_to_back_up',
    })
    expect((await readdir(dir)).filter(name => file.endsWith(name) || name.endsWith('.part'))).toEqual([])
  })
})

describe('a restore', () => {
  test('over rows is refused, and with force it replaces them', async () => {
    await makeMeeting()
    await backUpByCopy(server.url, file)
    const target = await filledTarget()
    await expect(restore(target, file, { force: false })).rejects.toMatchObject({ code: 'cannot_restore' })
    await restore(target, file, { force: true })
    expect(await contents(target)).toEqual(await contents(server.url))
  })

  test('over tables that are not ours is refused, whatever is asked', async () => {
    await backUpByCopy(server.url, file)
    const target = await emptyTarget()
    const connection = postgresAt(target, { max: 1 })
    await connection`create table facturas (id int)`
    await connection.end()
    await expect(restore(target, file, { force: true })).rejects.toThrow(/not of Testigo \(facturas\)/)
  })

  test.each([
    ['was cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length - 40)],
    ['ends after a table', (bytes: Buffer) => gzipSync(beforeLastLine(gunzipSync(bytes)))],
    ['was changed', (bytes: Buffer) => gzipSync(replaced(gunzipSync(bytes), 'a@b.example', 'z@b.example'))],
    ['is no backup', () => Buffer.from('hello')],
    ['is another gzip', () => gzipSync('hello')],
  ])('of a file that %s is refused before anything is emptied', async (_what, damage) => {
    await backUpByCopy(server.url, file)
    await writeFile(file, damage(await readFile(file)))
    const target = await filledTarget()
    await expect(restore(target, file, { force: true })).rejects.toMatchObject({ code: 'backup_damaged' })
    await using filled = openDatabase(target)
    expect((await filled.db.select().from(organizations)).map(({ name }) => name)).toEqual(['stays'])
  })

  test('of a backup of other tables says which version it needs', async () => {
    await backUpByCopy(server.url, file)
    const { header } = await checkBackup(file)
    const bytes = gunzipSync(await readFile(file))
    await copyFile(file, `${file}.old`)
    await writeFile(file, gzipSync(replaced(bytes, header.migrations[0] ?? '', 'f'.repeat(64))))
    await expect(restore(await emptyTarget(), file, { force: false })).rejects.toThrow(/another version/)
  })
})

describe("PostgreSQL's own tools", () => {
  test('get the connection in their environment, password included', () => {
    expect(connectionEnvironment('postgres://us%40er:p%3Aw@[::1]:5433/da%20ta?sslmode=require')).toEqual({
      PGHOST: '::1',
      PGPORT: '5433',
      PGUSER: 'us@er',
      PGPASSWORD: 'p:w',
      PGDATABASE: 'da ta',
      PGSSLMODE: 'require',
    })
    expect(connectionEnvironment('postgres://u@127.0.0.1:5433/d?host=%2Fvar%2Frun%2Fpg')).toMatchObject({
      PGHOST: '/var/run/pg',
      PGPORT: '5433',
    })
  })

  test('are not used where they are older than the server, or missing', async () => {
    const found = await findTool('pg_dump', server.url)
    // The server that comes with Testigo is newer than what most machines have; where it is not, the tool fits.
    if (!found.usable)
      expect(found.because).toMatch(/there is no pg_dump here|of version \d+, the server of version \d+/)
    const { PATH } = process.env
    process.env.PATH = dir
    try {
      expect(await findTool('pg_dump', server.url)).toEqual({
        usable: false,
        because: 'there is no pg_dump here',
      })
    } finally {
      process.env.PATH = PATH
    }
  })
})

function replaced(bytes: Buffer, word: string, other: string): Buffer {
  const at = bytes.indexOf(word)
  if (at < 0) throw new Error(`there is no ${word} in the backup`)
  return Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from(other),
    bytes.subarray(at + Buffer.byteLength(word)),
  ])
}

function beforeLastLine(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf('{"complete"'))
}
