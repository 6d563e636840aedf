import { z } from 'zod'
import { canonicalJson } from '../db/canonical-json.ts'
import { ENDING_WORDS } from '../db/endings.ts'
import type { attempts, recordings, segments } from '../db/schema.ts'
import packageFile from '../package.json' with { type: 'json' }

/**
 * The manifest beside a finished video: what it was made of and by whom, with the SHA-256 of every part. Its own SHA-256
 * stands in the audit log, so that whoever has both can prove the files (docs/evidence.md). Instants are those of the
 * database's clock, ISO 8601 in UTC with milliseconds.
 */

const instant = z.iso.datetime({ precision: 3 })
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const wholeMs = z.number().int().min(0)
const size = z.number().int().min(0)
const ending = z.enum(ENDING_WORDS)

const gap = z.strictObject({
  from: instant,
  to: instant,
  ms: wholeMs,
  reason: z.enum([...ENDING_WORDS, 'segment_lost', 'not_yet_recording', 'ended_too_early']),
})

/** A manifest as it is stored; a change of its shape takes a new `schema`. */
export const manifestSchema = z.strictObject({
  schema: z.literal('testigo/manifest/1'),
  recordingId: z.uuid(),
  meetingId: z.uuid(),
  organizationId: z.uuid(),
  /** 1 for the first finished video; late segments make a new one. */
  revision: z.number().int().min(1),
  software: z.strictObject({ name: z.string(), version: z.string() }),
  clock: z.literal('database'),
  /** The organisation's audit log as it stood: a log written anew later contradicts it. */
  auditHead: z.strictObject({ seq: z.number().int().min(1), hash: sha256 }).nullable(),
  attempts: z.array(
    z.strictObject({
      number: z.number().int().min(1),
      lane: z.number().int().min(0),
      recorder: z.string(),
      botAccount: z.string().nullable(),
      startedAt: instant,
      admittedAt: instant.nullable(),
      endedAt: instant.nullable(),
      ending: ending.nullable(),
    }),
  ),
  segments: z.array(
    z.strictObject({
      /** Number of its attempt. */
      attempt: z.number().int().min(1),
      /** 0 is the attempt's initialisation segment. */
      number: z.number().int().min(0),
      key: z.string().min(1),
      sha256,
      sizeBytes: size,
      /** Media time within the attempt. */
      startMs: wholeMs,
      durationMs: wholeMs,
      startedAt: instant,
      endedAt: instant,
      thinned: z.boolean(),
    }),
  ),
  files: z.array(
    z.strictObject({ key: z.string().min(1), sha256, sizeBytes: size, contentType: z.string() }),
  ),
  timeline: z.array(
    z.strictObject({
      fileStartMs: wholeMs,
      fileEndMs: wholeMs,
      clockStart: instant,
      clockEnd: instant,
      attempt: z.number().int().min(1),
    }),
  ),
  gaps: z.array(gap),
  checks: z.record(z.string(), z.looseObject({ ok: z.boolean(), detail: z.string() })),
  /** As far as it was known when the video was made; the row in the database may know more later. */
  coverage: z
    .strictObject({
      source: z.enum(['google', 'bot']),
      final: z.boolean(),
      percent: z.number().min(0).max(100).nullable(),
      humanMs: wholeMs,
      recordedMs: wholeMs,
      gaps: z.array(gap),
    })
    .nullable(),
})
export type Manifest = z.output<typeof manifestSchema>

type RowOf<Table extends { $inferSelect: unknown }> = Table['$inferSelect']

/** What a manifest is made of: rows as they stand, and what finishing found out. */
export interface ManifestFacts {
  recording: Pick<RowOf<typeof recordings>, 'id' | 'meetingId' | 'organizationId'>
  revision: number
  /** `readAuditHead` in the transaction or just before it. */
  auditHead: Manifest['auditHead'] | undefined
  attempts: readonly RowOf<typeof attempts>[]
  /** All stored segments, initialisation segments included, also those of which nothing is in the video. */
  segments: readonly RowOf<typeof segments>[]
  files: Manifest['files']
  timeline: Manifest['timeline']
  gaps: Manifest['gaps']
  checks: Manifest['checks']
  coverage: Manifest['coverage']
}

/**
 * Writes a manifest from rows.
 * @throws {z.ZodError} when the facts do not fit its schema, which is a mistake of the program
 */
export function buildManifest(facts: ManifestFacts): Manifest {
  const { recording, attempts, segments } = facts
  return manifestSchema.parse({
    schema: 'testigo/manifest/1',
    recordingId: recording.id,
    meetingId: recording.meetingId,
    organizationId: recording.organizationId,
    revision: facts.revision,
    software: { name: packageFile.name, version: packageFile.version },
    clock: 'database',
    auditHead: facts.auditHead ?? null,
    attempts: attemptsOfManifest(attempts),
    segments: segmentsOfManifest(attempts, segments),
    files: facts.files,
    timeline: facts.timeline,
    gaps: facts.gaps,
    checks: facts.checks,
    coverage: facts.coverage,
  })
}

/** Rows of attempts as a manifest lists them. */
export function attemptsOfManifest(rows: ManifestFacts['attempts']): Manifest['attempts'] {
  return rows.map(({ number, lane, recorder, botAccount, ending, ...row }) => ({
    ...{ number, lane, recorder, botAccount, ending },
    startedAt: row.startedAt.toISOString(),
    admittedAt: row.admittedAt?.toISOString() ?? null,
    endedAt: row.endedAt?.toISOString() ?? null,
  }))
}

/** Rows of segments as a manifest lists them. */
export function segmentsOfManifest(
  attemptRows: ManifestFacts['attempts'],
  rows: ManifestFacts['segments'],
): Manifest['segments'] {
  const byId = new Map(attemptRows.map(attempt => [attempt.id, attempt]))
  return rows.map(({ attemptId, number, s3Key, sizeBytes, sha256, startMs, durationMs, thinned, ...row }) => {
    const attempt = byId.get(attemptId)
    if (attempt === undefined) throw new Error(`segment ${s3Key} is of an attempt that was not given`)
    // Rows of segments carry their recorder's own clock.
    const onClock = (at: Date) => new Date(at.getTime() + attempt.clockOffsetMs).toISOString()
    return {
      ...{ attempt: attempt.number, number, key: s3Key, sha256, sizeBytes, startMs, durationMs, thinned },
      startedAt: onClock(row.startedAt),
      endedAt: onClock(row.endedAt),
    }
  })
}

/** The bytes that are stored and hashed: canonical JSON (RFC 8785) in UTF-8, nothing before or after it. */
export function canonicalManifest(manifest: Manifest): Buffer {
  return Buffer.from(canonicalJson(manifest), 'utf8')
}
