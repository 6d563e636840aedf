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
 */
export async function recoverSegment(
  dir: string,
  number: number,
  init: Buffer | undefined,
): Promise<Recovered> {
  const oneOf = await readFacts(dir, number)
  const [described] = oneOf
  const bytes = (await readIfThere(partPath(dir, number))) ?? (await readIfThere(openPath(dir, number)))
  if (bytes === undefined)
    return described?.storedAtMs === undefined ? { kind: 'nothing' } : { kind: 'stored', facts: described }
  const sha256 = sha256Of(bytes)
  const exact = oneOf.find(facts => facts.sha256 === sha256)
  if (exact) return { kind: 'whole', facts: exact, bytes }
  if (described === undefined || init === undefined) return { kind: 'nothing' }
  if (number === 0)
    return {
      kind: 'mended',
      facts: { ...described, sha256: sha256Of(init), sizeBytes: init.length },
      bytes: init,
    }
  const whole = readWholeFragments(bytes, init)
  if (whole.bytes.length === 0) return { kind: 'nothing' }
  return {
    kind: 'mended',
    bytes: whole.bytes,
    facts: {
      ...described,
      sha256: sha256Of(whole.bytes),
      sizeBytes: whole.bytes.length,
      startMs: whole.startMs,
      durationMs: whole.durationMs,
    },
  }
}
