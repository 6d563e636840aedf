import { listAuditOf, verifyChain } from '../../db/audit.ts'
import type { Database } from '../../db/connect.ts'
import type { Manifest } from '../../recorder/manifest.ts'
import { count, type Finding } from './findings.ts'

/** The action of the audit log's row that names a manifest: `detail.manifestSha256`, `detail.revision`. */
const FINISHED = 'recording.finished'

/**
 * Is the manifest the one that the audit log names, is that log an unbroken chain, and is it still the log that it was
 * when the manifest was made?
 */
export async function checkChain(
  db: Database,
  manifest: Manifest,
  manifestSha256: string,
): Promise<Finding[]> {
  const { organizationId, recordingId, auditHead } = manifest
  const rows = await listAuditOf(db, organizationId, `recording:${recordingId}`)
  const finished = rows.filter(row => row.action === FINISHED)
  const own = finished.find(row => row.detail.manifestSha256 === manifestSha256)
  const newer =
    own && finished.findLast(row => row.seq > own.seq && row.detail.manifestSha256 !== manifestSha256)
  const chain = await verifyChain(db, organizationId, { known: auditHead ? [auditHead] : [] })
  return [
    naming(own, finished.length, manifestSha256),
    ...(newer
      ? [okay(`A newer video was made after it: row ${newer.seq} of ${newer.at.toISOString()}.`)]
      : []),
    chain.ok
      ? okay(
          `${count(chain.rows, 'row')} in one unbroken chain${auditHead ? `, and row ${auditHead.seq} is the one that the manifest remembers` : ''}. Its head is row ${chain.head?.seq}, ${chain.head?.hash}.`,
        )
      : {
          what: 'audit log',
          state: chain.because === 'missing' ? 'missing' : 'different',
          sentence: chain.message,
        },
  ]
}

function naming(own: { seq: number; at: Date } | undefined, finished: number, sha256: string): Finding {
  if (own) return okay(`Row ${own.seq} of ${own.at.toISOString()} names this manifest's SHA-256 (${sha256}).`)
  return finished === 0
    ? { what: 'audit log', state: 'missing', sentence: 'No row says that this recording was finished.' }
    : {
        what: 'audit log',
        state: 'different',
        sentence: `This manifest has SHA-256 ${sha256}, which no row about this recording's videos names (there are ${finished}).`,
      }
}

const okay = (sentence: string): Finding => ({ what: 'audit log', state: 'ok', sentence })
