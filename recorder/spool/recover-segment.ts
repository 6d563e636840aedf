import { readWholeFragments } from '../capture/fragments.ts'
import { openPath, partPath, readFacts, readIfThere, type SegmentFacts, sha256Of } from './work-folder.ts'

/** What could be made of the files of one segment. */
export type Recovered =
  | { kind: 'whole' | 'mended'; facts: SegmentFacts; bytes: Buffer }
  /** Its bytes are in the bucket already, its row may not be. */
  | { kind: 'stored'; facts: SegmentFacts }
  /** Nothing of it can be used. */
  | { kind: 'nothing' }

/**
 * Reads a segment that a process left on the disk. Bytes that are what was written down are taken as they are; of
 * others (a segment that was still open, a machine that lost its power) the whole fragments are.
 * @param init the attempt's init piece; without it only bytes that are as written down can be used
 * @param startedAtMs wall clock of the attempt's media time 0, for bytes beside which nothing is written down
 */
export async function recoverSegment(
  dir: string,
  number: number,
  init: Buffer | undefined,
  startedAtMs?: number,
): Promise<Recovered> {
  const oneOf = await readFacts(dir, number)
  const [described] = oneOf
  const bytes = (await readIfThere(partPath(dir, number))) ?? (await readIfThere(openPath(dir, number)))
  if (bytes === undefined)
    return described?.storedAtMs === undefined ? { kind: 'nothing' } : { kind: 'stored', facts: described }
  const sha256 = sha256Of(bytes)
  const exact = oneOf.find(facts => facts.sha256 === sha256)
  if (exact) return { kind: 'whole', facts: exact, bytes }
  if (init === undefined) return { kind: 'nothing' }
  const whole = number === 0 ? { bytes: init, startMs: 0, durationMs: 0 } : readWholeFragments(bytes, init)
  const wallClockStartMs =
    described?.wallClockStartMs ?? (startedAtMs === undefined ? undefined : startedAtMs + whole.startMs)
  if (whole.bytes.length === 0 || wallClockStartMs === undefined) return { kind: 'nothing' }
  return {
    kind: 'mended',
    bytes: whole.bytes,
    facts: {
      number,
      sha256: sha256Of(whole.bytes),
      sizeBytes: whole.bytes.length,
      startMs: whole.startMs,
      durationMs: whole.durationMs,
      wallClockStartMs,
      thinned: described?.thinned ?? false,
    },
  }
}
