// Fragments with less in them: samples are left out, those that stay keep their times and their bytes.
import { describeFragment, type FragmentPiece, splitFragments, tracksOf } from './fragments.ts'
import { dataOf, isKey, type Sample, sequenceOf, type TrackRun, writeFragment } from './mp4-samples.ts'

/**
 * The same stream (whole fragments of one attempt, `init` its init piece) with only the key frames left of its
 * pictures: each is shown until the next one, the sound is untouched. What comes behind the last whole fragment is
 * left out. Throws `BadFragmentedMp4` when `init` is none.
 */
export function thinFragments(bytes: Buffer, init: Buffer): Buffer {
  const { pieces } = splitFragments(bytes, tracksOf(init))
  const thinned: Buffer[] = []
  // From the last fragment to the first, because a key frame takes over the time of the pictures dropped after it.
  let nextKeyUnits: number | undefined
  for (const piece of pieces.toReversed()) {
    const kept = keepSamples(piece, (run, timed) => {
      if (run.track.kind !== 'video') return timed
      nextKeyUnits ??= run.startUnits + run.durationUnits
      const keys: TimedSample[] = []
      for (const one of timed.toReversed()) {
        if (!isKey(one.sample)) continue
        const durationUnits: number = nextKeyUnits - one.startUnits
        keys.unshift({ ...one, sample: { ...one.sample, durationUnits } })
        nextKeyUnits = one.startUnits
      }
      return keys
    })
    if (kept !== null) thinned.unshift(kept.bytes)
  }
  return Buffer.concat(thinned)
}

/**
 * The fragment without the pictures and sounds that begin at or after `atMs` (media time of its attempt); the picture
 * shown at that moment ends there. Null when nothing stays. A fragment that ends before is given back as it is.
 */
export function truncateFragment(piece: FragmentPiece, atMs: number): FragmentPiece | null {
  const endsBefore = piece.runs.every(run => run.startUnits + run.durationUnits <= unitsAt(run, atMs))
  if (endsBefore) return piece
  return keepSamples(piece, (run, timed) => {
    const endUnits = unitsAt(run, atMs)
    const kept = timed.filter(({ startUnits }) => startUnits < endUnits)
    const last = kept.at(-1)
    if (last !== undefined && run.track.kind === 'video') {
      const durationUnits = Math.min(last.sample.durationUnits, endUnits - last.startUnits)
      kept.splice(-1, 1, { ...last, sample: { ...last.sample, durationUnits } })
    }
    return kept
  })
}

/** The fragment with these bytes before the data of every key frame: its parameter sets. */
export function prefixKeyFrames(piece: FragmentPiece, prefix: Buffer): FragmentPiece {
  if (!piece.runs.some(({ track, samples }) => track.kind === 'video' && samples.some(isKey))) return piece
  const prefixed = keepSamples(piece, (run, timed) =>
    run.track.kind === 'video' ? timed.map(one => (isKey(one.sample) ? { ...one, prefix } : one)) : timed,
  )
  return prefixed ?? piece
}

/** A sample and its decode time in its track's units. */
export interface TimedSample {
  startUnits: number
  sample: Sample
  /** Goes before the data of the sample. */
  prefix?: Buffer
}

/**
 * The fragment with the samples that `choose` gives back of each run, in order; they may have other durations. Null
 * when nothing stays.
 */
export function keepSamples(
  piece: FragmentPiece,
  choose: (run: TrackRun, timed: TimedSample[]) => readonly TimedSample[],
): FragmentPiece | null {
  const runs = piece.runs.flatMap(run => {
    const chosen = choose(run, timesOf(run))
    const first = chosen[0]
    if (first === undefined) return []
    const samples = chosen.map(({ sample, prefix }) => {
      const data = dataOf(sample, piece.bytes)
      return { ...sample, data: prefix === undefined ? data : Buffer.concat([prefix, data]) }
    })
    return [{ trackId: run.track.id, startUnits: first.startUnits, samples }]
  })
  if (runs.length === 0) return null
  return describeFragment(
    writeFragment(sequenceOf(piece.bytes), runs),
    piece.runs.map(({ track }) => track),
  )
}

function timesOf({ startUnits, samples }: TrackRun): TimedSample[] {
  let atUnits = startUnits
  return samples.map(sample => {
    const timed = { startUnits: atUnits, sample }
    atUnits += sample.durationUnits
    return timed
  })
}

/** A media time in the units of a track's decode times. */
function unitsAt({ track }: TrackRun, ms: number): number {
  return Math.round(((ms - track.editMs) * track.timescale) / 1000)
}
