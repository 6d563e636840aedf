import type { Artefact } from '../db/schema.ts'
import type { Log } from '../log.ts'
import { artefactKey } from '../storage/object-names.ts'
import type { Store } from '../storage/s3.ts'
import type { Artefacts } from './meet-page/meet-page.ts'

/** Puts what an attempt left to look at into the bucket; what cannot be put is told and left out. */
export async function keepArtefacts(
  { store, prefix, log }: { store: Store; prefix: string; log: Log },
  attempt: { organizationId: string; recordingId: string; number: number },
  { screenshot, html, at, screen }: Artefacts,
): Promise<Artefact[]> {
  const pieces = [
    { kind: 'screenshot', name: 'screen.png', body: screenshot, contentType: 'image/png' },
    {
      kind: 'html',
      name: 'page.html',
      body: html && Buffer.from(html),
      contentType: 'text/html; charset=utf-8',
    },
  ] as const
  const kept: Artefact[] = []
  for (const { kind, name, body, contentType } of pieces) {
    if (!body) continue
    const { organizationId, recordingId, number } = attempt
    const key = artefactKey({ prefix, organizationId, recordingId, attempt: number, name })
    try {
      await store.put(key, body, { contentType, signal: AbortSignal.timeout(PUT_LIMIT_MS) })
      kept.push({ kind, key, takenAt: at.toISOString(), screen })
    } catch (error) {
      log.error({ error, key }, 'an artefact could not be kept')
    }
  }
  return kept
}

// The next attempt waits for this one's end: a bucket that hangs must not hold it up.
const PUT_LIMIT_MS = 5_000
