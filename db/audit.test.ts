import { createHash, randomUUID } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type AuditEntry,
  type AuditHead,
  appendAudit,
  auditHash,
  readAuditHead,
  verifyChain,
} from './audit.ts'
import { migrateDatabase, type OpenDatabase, openDatabase } from './connect.ts'
import { auditLog, organizations } from './schema.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let organizationId: string

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url, { max: 8 })
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  organizationId = randomUUID()
  await database.db.insert(organizations).values({ id: organizationId, name: organizationId })
})

function entry(action: string, detail: Record<string, unknown> = {}): AuditEntry {
  return { organizationId, actor: 'job:finish-recording', action, subject: 'recording:1', detail }
}
function append(what: AuditEntry, on = database): Promise<AuditHead> {
  return on.db.transaction(tx => appendAudit(tx, what))
}
async function appendMany(count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) await append(entry(`step.${number}`, { number }))
}
function rowsOf(organization = organizationId) {
  return database.db
    .select()
    .from(auditLog)
    .where(eq(auditLog.organizationId, organization))
    .orderBy(auditLog.seq)
}
/** What somebody who owns the database can do: the guard is taken off, the rows are changed, the guard put back. */
async function tamper(change: ReturnType<typeof sql>): Promise<void> {
  await database.db.transaction(async tx => {
    await tx.execute(sql`alter table audit_log disable trigger audit_log_append_only`)
    await tx.execute(change)
    await tx.execute(sql`alter table audit_log enable always trigger audit_log_append_only`)
  })
}

describe('appending', () => {
  test('a chain begins with 64 zeros and every row holds the hash of the one before', async () => {
    await appendMany(3)
    const rows = await rowsOf()
    expect(rows.map(row => row.seq)).toEqual([1, 2, 3])
    expect(rows.map(row => row.prevHash)).toEqual(['0'.repeat(64), rows[0]?.hash, rows[1]?.hash])
    expect(await readAuditHead(database.db, organizationId)).toEqual({ seq: 3, hash: rows[2]?.hash })
    expect(await verifyChain(database.db, organizationId)).toEqual({
      ok: true,
      rows: 3,
      waiting: 0,
      head: { seq: 3, hash: rows[2]?.hash },
    })
  })

  test('the hash is the one that another program works out from the documented text', async () => {
    const at = new Date('2026-11-22T10:00:00.120Z')
    const { hash } = await append({ ...entry('recording.finished', { size: 12.5, ñ: null }), at })
    const text = `{"action":"recording.finished","actor":"job:finish-recording","at":"2026-11-22T10:00:00.120Z","detail":{"size":12.5,"ñ":null},"organizationId":"${organizationId}","prevHash":"${'0'.repeat(64)}","seq":1,"subject":"recording:1"}`
    expect(hash).toBe(createHash('sha256').update(text, 'utf8').digest('hex'))
  })

  test('appenders on several connections at once make one chain without holes, in the order of time', async () => {
    await using elsewhere = openDatabase(server.url, { max: 8 })
    const appended = await Promise.all(
      Array.from({ length: 60 }, (_, number) =>
        append(entry('raced', { number }), number % 2 ? database : elsewhere),
      ),
    )
    expect(appended.map(head => head.seq).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 60 }, (_, n) => n + 1),
    )
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 60 })
    const times = (await rowsOf()).map(row => row.at.getTime())
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })

  test('a transaction that fails leaves neither a row nor a hole', async () => {
    await appendMany(1)
    await expect(
      database.db.transaction(async tx => {
        await appendAudit(tx, entry('never.happened'))
        throw new Error('the other half failed')
      }),
    ).rejects.toThrow('the other half failed')
    expect((await append(entry('happened'))).seq).toBe(2)
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 2 })
  })

  test('organisations do not wait for each other, and have chains of their own', async () => {
    const other = randomUUID()
    await database.db.insert(organizations).values({ id: other, name: other })
    await database.db.transaction(async tx => {
      await appendAudit(tx, entry('held'))
      expect((await append({ ...entry('free'), organizationId: other })).seq).toBe(1)
    })
    expect(await verifyChain(database.db, other)).toMatchObject({ ok: true, rows: 1 })
  })

  test('what the database gives back in another order has the same hash', async () => {
    const detail = { z: [1e21, 0.1, -0, 1e-7], a: { é: '\u2028😀', b: new Date(0) }, gone: undefined }
    await append(entry('odd', detail))
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true })
  })
})

describe('the database refuses', () => {
  beforeEach(() => appendMany(1))
  test.each([
    ['an update', 'UPDATE', sql`update audit_log set action = 'x'`],
    ['an update of nothing', 'UPDATE', sql`update audit_log set action = 'x' where false`],
    ['a delete', 'DELETE', sql`delete from audit_log`],
    ['a truncate', 'TRUNCATE', sql`truncate audit_log`],
    ['a truncate that spreads', 'TRUNCATE', sql`truncate organizations cascade`],
  ])('%s', async (_name, word, statement) => {
    await expect(database.db.execute(statement)).rejects.toMatchObject({
      cause: { code: '42501', message: `The audit log is append only: ${word} is refused` },
    })
    expect(await rowsOf()).toHaveLength(1)
  })

  test('a delete in a session that plays replication', async () => {
    await expect(
      database.db.transaction(async tx => {
        await tx.execute(sql`set local session_replication_role = replica`)
        await tx.execute(sql`delete from audit_log`)
      }),
    ).rejects.toMatchObject({ cause: { code: '42501' } })
  })

  test('a row with a number that stands already', async () => {
    const [row] = await rowsOf()
    if (!row) throw new Error('no row')
    const { id: _, ...again } = row
    await expect(database.db.insert(auditLog).values(again)).rejects.toMatchObject({
      cause: { code: '23505' },
    })
  })

  test('all of it again, after the guard was taken off and the tables were migrated', async () => {
    await database.db.execute(sql`alter table audit_log disable trigger audit_log_append_only`)
    await migrateDatabase(server.url)
    await expect(database.db.execute(sql`delete from audit_log`)).rejects.toMatchObject({
      cause: { code: '42501' },
    })
  })

  test('nothing is held up by migrating again while rows are being written', async () => {
    await database.db.transaction(async tx => {
      await appendAudit(tx, entry('held'))
      await migrateDatabase(server.url)
    })
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 2 })
  })
})

describe('a chain in which', () => {
  const here = () => sql`organization_id = ${organizationId}`
  beforeEach(() => appendMany(5))

  test.each<[string, () => ReturnType<typeof sql>, number, string]>([
    [
      'a detail was changed',
      () => sql`update audit_log set detail = '{"number": 9}' where seq = 3 and ${here()}`,
      3,
      'changed',
    ],
    [
      'an actor was changed',
      () => sql`update audit_log set actor = 'nobody' where seq = 1 and ${here()}`,
      1,
      'changed',
    ],
    [
      'a time was moved by a millisecond',
      () => sql`update audit_log set at = at + interval '1 ms' where seq = 5 and ${here()}`,
      5,
      'changed',
    ],
    ['a row was removed', () => sql`delete from audit_log where seq = 2 and ${here()}`, 2, 'missing'],
    ['the first row was removed', () => sql`delete from audit_log where seq = 1 and ${here()}`, 1, 'missing'],
  ])('%s is found', async (_name, change, seq, because) => {
    await tamper(change())
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: false, seq, because })
  })

  test('two rows swapped their numbers is found', async () => {
    await tamper(sql`update audit_log set seq = -seq where seq in (2, 3) and ${here()}`)
    await tamper(sql`update audit_log set seq = 5 + seq where seq < 0 and ${here()}`)
    expect((await rowsOf()).map(row => row.action)).toEqual([
      'step.1',
      'step.3',
      'step.2',
      'step.4',
      'step.5',
    ])
    expect(await verifyChain(database.db, organizationId)).toMatchObject({
      ok: false,
      seq: 2,
      because: 'changed',
    })
  })

  test('a row was forged with a right hash of its own is found by its neighbour', async () => {
    const row = (await rowsOf())[2]
    if (!row) throw new Error('no row')
    const hash = auditHash({ ...row, detail: { number: 99 } })
    await tamper(
      sql`update audit_log set detail = '{"number": 99}', hash = ${hash} where seq = 3 and ${here()}`,
    )
    expect(await verifyChain(database.db, organizationId)).toMatchObject({
      ok: false,
      seq: 4,
      because: 'not_linked',
    })
  })

  test('a tail was put on that does not continue it is found', async () => {
    const forged = { ...entry('forged'), seq: 6, at: new Date(), detail: {}, prevHash: 'f'.repeat(64) }
    await database.db.insert(auditLog).values({ ...forged, hash: auditHash(forged) })
    expect(await verifyChain(database.db, organizationId)).toMatchObject({
      ok: false,
      seq: 6,
      because: 'not_linked',
    })
  })

  test('the end was cut off, or written anew, is found by a head that was written down', async () => {
    const head = await readAuditHead(database.db, organizationId)
    if (!head) throw new Error('no head')
    await tamper(sql`delete from audit_log where seq >= 4 and ${here()}`)
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 3 })
    expect(await verifyChain(database.db, organizationId, { known: [head] })).toMatchObject({
      ok: false,
      seq: 4,
      because: 'missing',
    })
    await append(entry('instead'))
    await append(entry('instead'))
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 5 })
    expect(await verifyChain(database.db, organizationId, { known: [head] })).toMatchObject({
      ok: false,
      seq: 5,
      because: 'rewritten',
    })
  })

  test('only a part is asked for is judged by that part', async () => {
    await tamper(sql`update audit_log set actor = 'nobody' where seq = 2 and ${here()}`)
    expect(await verifyChain(database.db, organizationId, { from: 3 })).toMatchObject({ ok: true, rows: 3 })
    expect(await verifyChain(database.db, organizationId, { to: 1 })).toMatchObject({ ok: true, rows: 1 })
    expect(await verifyChain(database.db, organizationId, { from: 2, to: 4 })).toMatchObject({
      ok: false,
      seq: 2,
    })
    expect(await verifyChain(database.db, organizationId, { from: 9 })).toMatchObject({
      ok: false,
      because: 'missing',
    })
  })
})

test('a chain longer than a page is read to its end', async () => {
  await database.db.transaction(async tx => {
    for (let number = 0; number < 1001; number += 1) await appendAudit(tx, entry('many', { number }))
  })
  expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 1001 })
  await tamper(
    sql`update audit_log set actor = 'nobody' where seq = 1001 and organization_id = ${organizationId}`,
  )
  expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: false, seq: 1001 })
})
