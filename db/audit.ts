import { createHash } from 'node:crypto'
import { and, asc, desc, eq, gt, lte, sql } from 'drizzle-orm'
import { canonicalJson } from './canonical-json.ts'
import type { Queryable, Transaction } from './connect.ts'
import { auditLog, organizations } from './schema.ts'

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

/**
 * SHA-256, in hexadecimal, of the canonical JSON (RFC 8785, UTF-8) of an object with exactly these members: `seq` (a
 * number), `at` (ISO 8601, UTC, three digits of milliseconds, `Z`), `organizationId`, `actor`, `action`, `subject`,
 * `detail` and `prevHash` (64 zeros for `seq` 1).
 */
export function auditHash(row: Omit<AuditRow, 'id' | 'hash'>): string {
  const { seq, at, organizationId, actor, action, subject, detail, prevHash } = row
  const hashed = { seq, at: at.toISOString(), organizationId, actor, action, subject, detail, prevHash }
  return createHash('sha256').update(canonicalJson(hashed), 'utf8').digest('hex')
}

/**
 * Adds a row to the organisation's chain, in the transaction of what it tells about. The chain is locked from here to
 * the end of the transaction, so call it last: what else it locks after this could wait for another appender.
 */
export async function appendAudit(tx: Transaction, entry: AuditEntry): Promise<AuditHead> {
  // This strength lets rows that refer to the organisation be written meanwhile.
  const [organization] = await tx
    .select({ id: organizations.id })
    .from(organizations)
    .where(eq(organizations.id, entry.organizationId))
    .for('no key update')
  if (!organization) throw new Error(`There is no organisation ${entry.organizationId} to write about`)
  // A statement of its own: it must see what was committed while the one above waited.
  const [newest] = await tx.execute<{ now: number; seq: number | null; hash: string | null }>(sql`
    select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now, head.seq::float8 as seq, head.hash
    from (values (1)) as one left join lateral (
      select seq, hash from audit_log where organization_id = ${entry.organizationId} order by seq desc limit 1
    ) as head on true`)
  if (!newest) throw new Error('the database did not say where the audit log stands')
  const row = {
    organizationId: entry.organizationId,
    seq: (newest.seq ?? 0) + 1,
    at: entry.at ?? new Date(newest.now),
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject,
    detail: entry.detail ?? {},
    prevHash: newest.hash ?? GENESIS_HASH,
  }
  const hash = auditHash(row)
  await tx.insert(auditLog).values({ ...row, hash })
  return { seq: row.seq, hash }
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
  | { ok: true; rows: number; head: AuditHead | undefined }
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
  return { ok: true, rows, head: head && { seq: head.seq, hash: head.hash } }
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
