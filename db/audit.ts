import { createHash } from 'node:crypto'
import { and, asc, desc, eq, gt, lte, sql } from 'drizzle-orm'
import { canonicalJson } from './canonical-json.ts'
import type { Queryable, Transaction } from './connect.ts'
import { auditLog, auditPending, organizations } from './schema.ts'
import { together } from './together.ts'

/** What happened, who did it and to what. */
export interface AuditEntry {
  organizationId: string
  /** `api_key:<prefix>`, `recorder:<name>`, `job:<name>`, `google`. */
  actor: string
  /** Thing and verb, e.g. `recording.finished`. */
  action: string
  /** What it was done to, e.g. `recording:<id>`. */
  subject: string
  /** Anything JSON can hold; no secrets. Numbers must survive a double. */
  detail?: Record<string, unknown>
  /** Default: the database's clock. */
  at?: Date
}

/** Where a chain stands: its newest row. Written down elsewhere, it shows later that rows before it were changed. */
export interface AuditHead {
  seq: number
  hash: string
}

export type AuditRow = typeof auditLog.$inferSelect

/** `prevHash` of the first row of a chain. */
const GENESIS_HASH = '0'.repeat(64)
const PAGE_ROWS = 1000
const CHAINED_AT_ONCE = 500

/**
 * SHA-256, in hexadecimal, of the canonical JSON (RFC 8785, UTF-8) of an object with exactly these members: `seq` (a
 * number), `at` (ISO 8601, UTC, three digits of milliseconds, `Z`), `organizationId`, `actor`, `action`, `subject`,
 * `detail` and `prevHash` (64 zeros for `seq` 1).
 */
export function auditHash(row: Omit<AuditRow, 'id' | 'hash' | 'entryId'>): string {
  const { seq, at, organizationId, actor, action, subject, detail, prevHash } = row
  const hashed = { seq, at: at.toISOString(), organizationId, actor, action, subject, detail, prevHash }
  return createHash('sha256').update(canonicalJson(hashed), 'utf8').digest('hex')
}

/**
 * Adds a row to the organisation's chain, in the transaction of what it tells about: for evidence, whose row must be in
 * the chain with it. The chain is locked from here to the end of the transaction, so call it last: what else it locks
 * after this could wait for another appender. What many do at once is written by `noteAudit`.
 */
export async function appendAudit(tx: Transaction, entry: AuditEntry): Promise<AuditHead> {
  const { organizationId } = entry
  if (!(await lockChain(tx, organizationId)))
    throw new Error(`There is no organisation ${organizationId} to write about`)
  // What was committed before stands before it.
  while ((await chainPending(tx, organizationId)) === CHAINED_AT_ONCE);
  const at = entry.at ?? (await databaseNow(tx))
  const { actor, action, subject, detail = {} } = entry
  const newest = await readAuditHead(tx, organizationId)
  return chainEntries(tx, organizationId, newest, [{ at, actor, action, subject, detail, entryId: null }])
}

/**
 * Holds an organisation's chain until the end of the transaction.
 * @param options.skipLocked where somebody else holds it, does not wait and answers false
 */
export async function lockChain(
  tx: Transaction,
  organizationId: string,
  options: { skipLocked?: true } = {},
): Promise<boolean> {
  // This strength lets rows that refer to the organisation be written meanwhile.
  const [organization] = await tx
    .select({ id: organizations.id })
    .from(organizations)
    .where(eq(organizations.id, organizationId))
    .for('no key update', options)
  return organization !== undefined
}

/**
 * Takes what was noted into the chain that {@link lockChain} holds, oldest first and at most 500 notes.
 * @returns how many they were
 */
export async function chainPending(tx: Transaction, organizationId: string): Promise<number> {
  // Statements after the lock: they see all that was committed until then.
  const [waiting, newest] = await together([
    tx
      .select()
      .from(auditPending)
      .where(eq(auditPending.organizationId, organizationId))
      .orderBy(asc(auditPending.id))
      .limit(CHAINED_AT_ONCE),
    readAuditHead(tx, organizationId),
  ])
  if (waiting.length === 0) return 0
  const ids = waiting.map(({ id }) => id)
  await together([
    chainEntries(
      tx,
      organizationId,
      newest,
      waiting.map(({ id: entryId, ...entry }) => ({ ...entry, entryId })),
    ),
    // One parameter: the same statement however many they are.
    tx.delete(auditPending).where(sql`${auditPending.id} = any(${`{${ids}}`}::bigint[])`),
  ])
  return waiting.length
}

/** Adds entries to the chain that {@link lockChain} holds, in this order. @returns where the chain stands then */
async function chainEntries(
  tx: Transaction,
  organizationId: string,
  newest: AuditHead | undefined,
  entries: Pick<AuditRow, 'at' | 'actor' | 'action' | 'subject' | 'detail' | 'entryId'>[],
): Promise<AuditHead> {
  let head: AuditHead = newest ?? { seq: 0, hash: GENESIS_HASH }
  const rows = entries.map(({ entryId, ...entry }) => {
    const row = { ...entry, organizationId, seq: head.seq + 1, prevHash: head.hash }
    head = { seq: row.seq, hash: auditHash(row) }
    return { ...row, hash: head.hash, entryId }
  })
  await tx.execute(sql`
    insert into ${auditLog} (organization_id, seq, at, actor, action, subject, detail, prev_hash, hash, entry_id)
    select * from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as row ("organizationId" uuid, seq bigint,
      at timestamptz, actor text, action text, subject text, detail jsonb, "prevHash" text, hash text, "entryId" bigint)
    order by seq`)
  return head
}

/** What is noted and not yet in its chain: how many notes, and for how long the oldest waits by the database's clock. */
export async function readBacklog(
  db: Queryable,
  organizationId?: string,
): Promise<{ notes: number; oldestMs: number }> {
  const [backlog] = await db
    .select({
      notes: sql<number>`count(*)`.mapWith(Number),
      oldestMs:
        sql<number>`coalesce(extract(epoch from clock_timestamp() - min(${auditPending.at})) * 1000, 0)`.mapWith(
          Number,
        ),
    })
    .from(auditPending)
    .where(organizationId === undefined ? undefined : eq(auditPending.organizationId, organizationId))
  return backlog ?? { notes: 0, oldestMs: 0 }
}

async function databaseNow(tx: Transaction): Promise<Date> {
  const [clock] = await tx.execute<{ now: number }>(
    sql`select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now`,
  )
  if (!clock) throw new Error('the database did not say what time it is')
  return new Date(clock.now)
}

/** The newest row of an organisation's chain; `undefined` before the first. */
export async function readAuditHead(db: Queryable, organizationId: string): Promise<AuditHead | undefined> {
  const [head] = await db
    .select({ seq: auditLog.seq, hash: auditLog.hash })
    .from(auditLog)
    .where(eq(auditLog.organizationId, organizationId))
    .orderBy(desc(auditLog.seq))
    .limit(1)
  return head
}

/** The rows about one subject, oldest first. */
export function listAuditOf(db: Queryable, organizationId: string, subject: string): Promise<AuditRow[]> {
  return db
    .select()
    .from(auditLog)
    .where(and(eq(auditLog.organizationId, organizationId), eq(auditLog.subject, subject)))
    .orderBy(asc(auditLog.seq))
}

export type BrokenBecause =
  /** A row's content does not have the row's hash. */
  | 'changed'
  /** A number is missing: the row was removed. */
  | 'missing'
  /** A row does not continue the one before it. */
  | 'not_linked'
  /** The row is not the one that was written down elsewhere when it was the newest. */
  | 'rewritten'

export type ChainAnswer =
  /** `waiting`: notes that are not in the chain yet; they come into it within a second. */
  | { ok: true; rows: number; head: AuditHead | undefined; waiting: number }
  | { ok: false; seq: number; because: BrokenBecause; message: string }

/**
 * Reads a chain from `from` to `to` (both included; all of it by default), a page at a time, and stops at the first row
 * that is not right. Rows removed from the end, and a chain that was written anew from some row on, show only against
 * heads that were written down elsewhere: give these as `known`.
 */
export async function verifyChain(
  db: Queryable,
  organizationId: string,
  {
    from = 1,
    to = Number.MAX_SAFE_INTEGER,
    known = [],
  }: { from?: number; to?: number; known?: AuditHead[] } = {},
): Promise<ChainAnswer> {
  const wanted = new Map(known.map(head => [head.seq, head.hash]))
  let head = from > 1 ? await readRow(db, organizationId, from - 1) : undefined
  if (from > 1 && !head) return broken(from - 1, 'missing')
  let rows = 0
  for (;;) {
    const after = head?.seq ?? 0
    const page: AuditRow[] = await db
      .select()
      .from(auditLog)
      .where(and(eq(auditLog.organizationId, organizationId), gt(auditLog.seq, after), lte(auditLog.seq, to)))
      .orderBy(asc(auditLog.seq))
      .limit(PAGE_ROWS)
    for (const row of page) {
      const seq = (head?.seq ?? 0) + 1
      if (row.seq !== seq) return broken(seq, 'missing')
      if (auditHash(row) !== row.hash) return broken(seq, 'changed')
      if (row.prevHash !== (head?.hash ?? GENESIS_HASH)) return broken(seq, 'not_linked')
      if ((wanted.get(seq) ?? row.hash) !== row.hash) return broken(seq, 'rewritten')
      wanted.delete(seq)
      head = row
      rows += 1
    }
    if (page.length < PAGE_ROWS) break
  }
  const last = head?.seq ?? 0
  const [unseen] = [...wanted.keys()].filter(seq => seq > last && seq <= to).sort((a, b) => a - b)
  if (unseen !== undefined) return broken(last + 1, 'missing')
  const { notes: waiting } = await readBacklog(db, organizationId)
  return { ok: true, rows, head: head && { seq: head.seq, hash: head.hash }, waiting }
}

async function readRow(db: Queryable, organizationId: string, seq: number): Promise<AuditHead | undefined> {
  const [row] = await db
    .select({ seq: auditLog.seq, hash: auditLog.hash })
    .from(auditLog)
    .where(and(eq(auditLog.organizationId, organizationId), eq(auditLog.seq, seq)))
  return row
}

function broken(seq: number, because: BrokenBecause): ChainAnswer {
  const message = {
    changed: `Row ${seq} of the audit log was changed: its content does not have its hash.`,
    missing: `Row ${seq} of the audit log is missing.`,
    not_linked: `Row ${seq} of the audit log does not continue the row before it.`,
    rewritten: `Row ${seq} of the audit log is not the row that stood there before.`,
  }[because]
  return { ok: false, seq, because, message }
}
