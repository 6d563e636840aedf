import { and, asc, desc, eq, gt, gte, lt, sql } from 'drizzle-orm'
import type { AuditRow } from './audit.ts'
import type { Queryable } from './connect.ts'
import { auditLog } from './schema.ts'

export interface AuditFilter {
  actor?: string | undefined
  /** A whole action, or all of a thing: `meeting.*`. */
  action?: string | undefined
  subject?: string | undefined
  /** At or after. */
  from?: Date | undefined
  /** Before. */
  to?: Date | undefined
}

/** A page of an organisation's chain, the newest first, before the row with the number `before`. */
export function listAudit(
  db: Queryable,
  organizationId: string,
  { before, ...filter }: AuditFilter & { before?: number | undefined },
  limit: number,
): Promise<AuditRow[]> {
  return db
    .select()
    .from(auditLog)
    .where(and(matches(organizationId, filter), before === undefined ? undefined : lt(auditLog.seq, before)))
    .orderBy(desc(auditLog.seq))
    .limit(limit)
}

/** The same from the oldest on, after the row with the number `after`: a piece of an export. */
export function readAuditAfter(
  db: Queryable,
  organizationId: string,
  { after, upTo, ...filter }: AuditFilter & { after: number; upTo: number },
  limit: number,
): Promise<AuditRow[]> {
  return db
    .select()
    .from(auditLog)
    .where(
      and(matches(organizationId, filter), gt(auditLog.seq, after), sql`${auditLog.seq} <= ${upTo}::bigint`),
    )
    .orderBy(asc(auditLog.seq))
    .limit(limit)
}

function matches(organizationId: string, { actor, action, subject, from, to }: AuditFilter) {
  return and(
    eq(auditLog.organizationId, organizationId),
    actor === undefined ? undefined : eq(auditLog.actor, actor),
    action === undefined ? undefined : actionIs(action),
    subject === undefined ? undefined : eq(auditLog.subject, subject),
    from && gte(auditLog.at, from),
    to && lt(auditLog.at, to),
  )
}

function actionIs(action: string) {
  if (!action.endsWith('.*')) return eq(auditLog.action, action)
  const prefix = action.slice(0, -1).replace(/[\\%_]/g, mark => `\\${mark}`)
  return sql`${auditLog.action} like ${`${prefix}%`}`
}
