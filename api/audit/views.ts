import type { AuditRow } from '../../db/audit.ts'
import type { AuditEntryView } from './schema.ts'

/** An entry as callers see it: exactly the members that its hash goes over, and the hash. */
export function auditView(row: AuditRow): AuditEntryView {
  const { seq, at, organizationId, actor, action, subject, detail, prevHash, hash } = row
  return { seq, at: at.toISOString(), organizationId, actor, action, subject, detail, prevHash, hash }
}
