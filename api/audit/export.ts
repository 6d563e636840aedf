import { readAuditHead } from '../../db/audit.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import { type AuditFilter, readAuditAfter } from '../../db/audit-view.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, type Caller } from '../caller.ts'
import { auditView } from './views.ts'

const PAGE_ROWS = 500

/**
 * The entries that fit, the oldest first, as lines of JSON, a page's lines at a time. Reads on only when they are taken, so
 * memory stays what it is however many there are. Ends with what was there when it began.
 */
export async function* exportAudit(
  db: TenantDatabase,
  caller: Caller,
  filter: AuditFilter,
): AsyncGenerator<string> {
  const { organizationId, actor } = caller
  const { from, to, ...words } = filter
  const upTo = await asCaller(db, caller, async tx => {
    await noteAudit(tx, {
      organizationId,
      actor,
      action: 'audit.exported',
      subject: `organization:${organizationId}`,
      detail: { filter: { ...words, from: from ?? null, to: to ?? null } },
    })
    return (await readAuditHead(tx, organizationId))?.seq ?? 0
  })
  let after = 0
  for (;;) {
    const rows = await asCaller(db, caller, tx =>
      readAuditAfter(tx, organizationId, { ...filter, after, upTo }, PAGE_ROWS),
    )
    if (rows.length > 0) yield rows.map(row => `${JSON.stringify(auditView(row))}\n`).join('')
    if (rows.length < PAGE_ROWS) return
    after = rows.at(-1)?.seq ?? upTo
  }
}
