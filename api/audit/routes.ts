import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Router } from 'express'
import { chainNotesOf } from '../../db/audit-notes.ts'
import { listAudit } from '../../db/audit-view.ts'
import type { Database } from '../../db/connect.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, callerOf } from '../caller.ts'
import { Problem } from '../problem.ts'
import { readQuery } from '../read-input.ts'
import { exportAudit } from './export.ts'
import { auditExportQuerySchema, auditQuerySchema } from './schema.ts'
import { auditView } from './views.ts'

export interface AuditDeps {
  db: TenantDatabase
  /** With the rights of its owner: no caller may touch what is in the chain. */
  database: Database
}

/** `/v1/audit` and all below it, behind the key check. */
export function auditRoutes({ db, database }: AuditDeps): Router {
  const router = Router({ strict: false })

  router.get('/', async (request, response) => {
    const caller = callerOf(response)
    const { organizationId } = caller
    const { limit, cursor, ...filter } = readQuery(auditQuerySchema, request.query)
    const before = cursor === undefined ? undefined : readSeq(cursor)
    // Whoever asks sees all that was done before.
    if (before === undefined) await chainNotesOf(database, organizationId)
    const rows = await asCaller(db, caller, tx =>
      listAudit(tx, organizationId, { ...filter, before }, limit + 1),
    )
    const items = rows.slice(0, limit)
    const last = rows.length > limit ? items.at(-1) : undefined
    response.json({ items: items.map(auditView), nextCursor: last ? writeSeq(last.seq) : null })
  })

  router.get('/export', async (request, response) => {
    const caller = callerOf(response)
    const filter = readQuery(auditExportQuerySchema, request.query)
    await chainNotesOf(database, caller.organizationId)
    const lines = exportAudit(db, caller, filter)
    // The first page before the headers: what refuses it is answered as any other refusal.
    const first = await lines.next()
    response.setHeader('Content-Type', 'application/x-ndjson; charset=utf-8')
    response.setHeader('Content-Disposition', 'attachment; filename="audit.ndjson"')
    const all = async function* () {
      if (!first.done) yield first.value
      yield* lines
    }
    try {
      await pipeline(Readable.from(all(), { highWaterMark: 1 }), response)
    } catch (error) {
      // The caller went away, which the log of requests says.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
    }
  })

  return router
}

function writeSeq(seq: number): string {
  return Buffer.from(JSON.stringify([seq])).toString('base64url')
}

function readSeq(cursor: string): number {
  const [, seq] = /^\[([1-9]\d{0,14})\]$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (seq === undefined)
    throw new Problem(
      'bad_cursor',
      'Take the cursor from "nextCursor" of the page before, unchanged, or leave it away.',
    )
  return Number(seq)
}
