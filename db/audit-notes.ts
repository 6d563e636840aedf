import { repeat } from '../clock.ts'
import type { Log } from '../log.ts'
import { type AuditEntry, chainPending, lockChain, readBacklog } from './audit.ts'
import { currentOrigin } from './audit-origin.ts'
import { changedFields } from './changed-fields.ts'
import type { Database, Queryable } from './connect.ts'
import { auditPending } from './schema.ts'

/** In the audit log: whoever runs Testigo, by its commands. */
export const OPERATOR = 'operator'

export interface AuditNote extends Omit<AuditEntry, 'at'> {
  /** The thing as it was and as it is; what is the same in both is left out. No secrets, no free text. */
  before?: Record<string, unknown>
  after?: Record<string, unknown>
}

/**
 * Writes what was done into the audit log, in the transaction of what it tells about. Unlike `appendAudit` it locks
 * nothing: the note comes into the organisation's chain within a second of the commit (see {@link startAuditChaining}).
 * Measured with meetings of one organisation made 50 at once, as fast as two cores allow, 95th percentile: 60 ms without
 * any entry, 83 ms with a note, 1,046 ms with `appendAudit`. At 100 a second a note cannot be told from none (12 ms).
 *
 * Order in the chain: what was committed before another note was written stands before it. So write the note after the
 * rows it is about: their locks then put the notes about one thing into the order of their commits.
 */
export async function noteAudit(tx: Queryable, note: AuditNote): Promise<void> {
  const { organizationId, actor, action, subject, before, after, detail } = note
  const from = currentOrigin()
  await tx.insert(auditPending).values({
    organizationId,
    actor,
    action,
    subject,
    detail: {
      ...detail,
      ...(before || after ? changedFields(before ?? {}, after ?? {}) : {}),
      ...(from ? { from: { ...from } } : {}),
    },
  })
}

/** Takes what was noted of an organisation until now into its chain, so that a reader of the log sees it. */
export async function chainNotesOf(db: Database, organizationId: string): Promise<void> {
  let chained: number
  do
    chained = await db.transaction(async tx =>
      (await lockChain(tx, organizationId)) ? chainPending(tx, organizationId) : 0,
    )
  while (chained > 0)
}

const MOST_ORGANIZATIONS = 100

/** Takes what was noted of any organisation into its chain. @returns how many notes */
export async function chainAllNotes(db: Database): Promise<number> {
  const waiting = await db
    .selectDistinct({ organizationId: auditPending.organizationId })
    .from(auditPending)
    .limit(MOST_ORGANIZATIONS)
  let chained = 0
  for (const { organizationId } of waiting)
    chained += await db.transaction(async tx =>
      // Who holds it has seen the same notes.
      (await lockChain(tx, organizationId, { skipLocked: true })) ? chainPending(tx, organizationId) : 0,
    )
  return chained
}

const EVERY_MS = 500
const LATE_MS = 30_000
const COMPLAIN_EVERY_MS = 60_000

/**
 * Takes notes into their chains, twice a second, until closed. Every API and every recorder does so: whichever lives keeps
 * the chains whole. What waits for longer than 30 s is complained of.
 */
export function startAuditChaining(deps: { db: Database; log: Log; everyMs?: number }): {
  close(): Promise<void>
} {
  const { db, log, everyMs = EVERY_MS } = deps
  let complainedAt = Number.NEGATIVE_INFINITY

  async function complainIfLate(): Promise<void> {
    if (performance.now() - complainedAt < COMPLAIN_EVERY_MS) return
    complainedAt = performance.now()
    const backlog = await readBacklog(db)
    if (backlog.oldestMs > LATE_MS) log.error(backlog, 'the audit log: notes wait too long for their chain')
  }

  return repeat(
    everyMs,
    async () => {
      const chained = await chainAllNotes(db)
      await complainIfLate()
      return chained === 0 ? 'pause' : 'at_once'
    },
    error => log.error({ error }, 'the audit log: notes could not be chained; they wait'),
  )
}
