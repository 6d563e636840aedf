import { randomUUID } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createLog } from '../log.ts'
import { appendAudit, readBacklog, verifyChain } from './audit.ts'
import { chainAllNotes, chainNotesOf, noteAudit, startAuditChaining } from './audit-notes.ts'
import { fromOrigin } from './audit-origin.ts'
import { type OpenDatabase, openDatabase } from './connect.ts'
import { auditLog, auditPending, organizations } from './schema.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let organizationId: string

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url, { max: 20 })
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  organizationId = randomUUID()
  await database.db.insert(organizations).values({ id: organizationId, name: organizationId })
})

const note = (action: string, more = {}) => ({
  organizationId,
  actor: 'api_key:0123abcd',
  action,
  subject: 'meeting:1',
  ...more,
})
const chained = () =>
  database.db.select().from(auditLog).where(eq(auditLog.organizationId, organizationId)).orderBy(auditLog.seq)
const actions = async () => (await chained()).map(row => row.action)

describe('a note', () => {
  test('says only what changed, and from where', async () => {
    await fromOrigin({ ip: '203.0.113.7', userAgent: 'x'.repeat(1000), requestId: 'r-1' }, () =>
      database.db.transaction(tx =>
        noteAudit(
          tx,
          note('meeting.changed', { before: { a: 1, b: [2] }, after: { a: 1, b: [3], c: null } }),
        ),
      ),
    )
    await chainNotesOf(database.db, organizationId)
    const [row] = await chained()
    expect(row?.detail).toEqual({
      before: { b: [2] },
      after: { b: [3] },
      from: { ip: '203.0.113.7', userAgent: 'x'.repeat(256), requestId: 'r-1' },
    })
  })

  test('is gone with the transaction that failed', async () => {
    await expect(
      database.db.transaction(async tx => {
        await noteAudit(tx, note('never.happened'))
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    await chainNotesOf(database.db, organizationId)
    expect(await chained()).toEqual([])
  })

  test('waits until it is chained, and the check of the chain says so', async () => {
    await noteAudit(database.db, note('waits'))
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 0, waiting: 1 })
    expect(await readBacklog(database.db, organizationId)).toMatchObject({ notes: 1 })
    await chainNotesOf(database.db, organizationId)
    expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 1, waiting: 0 })
  })

  test('can be neither changed nor removed before it is in the chain', async () => {
    await noteAudit(database.db, note('stays'))
    const refused = { cause: { code: '42501' } }
    const of = sql`organization_id = ${organizationId}`
    await expect(database.db.execute(sql`delete from audit_pending where ${of}`)).rejects.toMatchObject(
      refused,
    )
    await expect(
      database.db.execute(sql`update audit_pending set actor = 'nobody' where ${of}`),
    ).rejects.toMatchObject(refused)
    await expect(database.db.execute(sql`truncate audit_pending`)).rejects.toMatchObject(refused)
  })
})

describe('the order of the chain', () => {
  test('is that of commits where one note was written after the other was committed', async () => {
    await database.db.transaction(async slow => {
      await noteAudit(slow, note('written.first'))
      await database.db.transaction(tx => noteAudit(tx, note('committed.first')))
      await chainNotesOf(database.db, organizationId)
    })
    await database.db.transaction(tx => noteAudit(tx, note('after.both')))
    await chainNotesOf(database.db, organizationId)
    expect(await actions()).toEqual(['committed.first', 'written.first', 'after.both'])
  })

  test('puts evidence behind what was noted before it', async () => {
    await noteAudit(database.db, note('noted'))
    await database.db.transaction(async tx => {
      await noteAudit(tx, note('noted.with.it'))
      await appendAudit(tx, note('evidence'))
    })
    expect(await actions()).toEqual(['noted', 'noted.with.it', 'evidence'])
  })

  test('holds while many write, note, fail and chain at once', async () => {
    const writers = Array.from({ length: 12 }, async (_, writer) => {
      for (let step = 0; step < 25; step += 1) {
        const failing = step % 5 === 4
        await database.db
          .transaction(async tx => {
            if (step % 7 === 3) await appendAudit(tx, note(`step.${step}`, { actor: `writer:${writer}` }))
            else await noteAudit(tx, note(`step.${step}`, { actor: `writer:${writer}` }))
            if (failing) throw new Error('rolled back')
          })
          .catch((error: Error) => expect(error.message).toBe('rolled back'))
      }
    })
    let writing = true
    const chaining = [1, 2].map(async () => {
      while (writing) await chainAllNotes(database.db)
    })
    await Promise.all(writers)
    writing = false
    await Promise.all(chaining)
    await chainNotesOf(database.db, organizationId)
    expect(await verifyChain(database.db, organizationId)).toMatchObject({
      ok: true,
      rows: 12 * 20,
      waiting: 0,
    })
    const rows = await chained()
    for (let writer = 0; writer < 12; writer += 1) {
      const steps = rows
        .filter(row => row.actor === `writer:${writer}`)
        .map(row => Number(row.action.replace('step.', '')))
      expect(steps).toEqual(Array.from({ length: 25 }, (_, step) => step).filter(step => step % 5 !== 4))
    }
  })
})

test('more notes than one transaction takes are chained in their order', async () => {
  await database.db
    .insert(auditPending)
    .values(Array.from({ length: 1203 }, (_, number) => ({ ...note(`many.${number}`), detail: {} })))
  await chainNotesOf(database.db, organizationId)
  expect(await actions()).toEqual(Array.from({ length: 1203 }, (_, number) => `many.${number}`))
  expect(await verifyChain(database.db, organizationId)).toMatchObject({ ok: true, rows: 1203, waiting: 0 })
})

test('chaining runs by itself until it is closed, while another one holds a chain', async () => {
  const log = createLog('silent')
  const one = startAuditChaining({ db: database.db, log, everyMs: 10 })
  const two = startAuditChaining({ db: database.db, log, everyMs: 10 })
  await database.db.transaction(tx => noteAudit(tx, note('chained.by.itself')))
  await expect.poll(actions, { timeout: 5000 }).toEqual(['chained.by.itself'])
  await Promise.all([one.close(), two.close()])
  await noteAudit(database.db, note('left'))
  expect(await readBacklog(database.db, organizationId)).toMatchObject({ notes: 1 })
})
