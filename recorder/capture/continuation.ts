// The fragments of several runs of ffmpeg over one stream, as if it had been one run.
import { keepSamples } from './edit-fragment.ts'
import type { FragmentPiece, InitPiece } from './fragments.ts'
import { BadFragmentedMp4, type Track } from './mp4-boxes.ts'
import type { TrackRun } from './mp4-samples.ts'

/** Samples in a packet of AAC-LC. Packets of all runs lie on one grid of this width (`segmentArgs`). */
export const AAC_PACKET_SAMPLES = 1024

export interface Continuation {
  /** The pieces to hand on of one that a run gave; nothing that was handed on before comes again. */
  take(piece: InitPiece | FragmentPiece): InitPiece | FragmentPiece | null
  /** Up to which media time picture and sound are both handed on; undefined before the first fragment. */
  handedOnMs(): number | undefined
}

/**
 * Follows the runs one after another: the init piece of the first one counts, fragments of later ones are written for
 * it, less the pictures and sounds that the runs before them handed on. Throws `BadFragmentedMp4` when a later run makes
 * other tracks.
 */
export function continueFragments(): Continuation {
  let first: InitPiece | undefined
  let current: InitPiece | undefined
  /** Of each track the decode time, in the units of the first run, that a new sample must reach. */
  const nextUnits = new Map<number, number>()
  const endsMs = new Map<number, number>()

  const note = ({ runs }: FragmentPiece) => {
    for (const { track, startUnits, durationUnits, samples } of runs) {
      const endUnits = startUnits + durationUnits
      const lastUnits = endUnits - (samples.at(-1)?.durationUnits ?? 0)
      // How long the last picture is shown is a guess when sound ended the fragment; sound lies on its grid.
      nextUnits.set(track.id, track.kind === 'video' ? lastUnits + 1 : endUnits - AAC_PACKET_SAMPLES / 2)
      endsMs.set(track.id, (endUnits * 1000) / track.timescale + track.editMs)
    }
  }
  const rewrite = (piece: FragmentPiece, { tracks }: InitPiece): FragmentPiece | null => {
    const runs = piece.runs.map(run => onFirstTimeline(run, tracks))
    return keepSamples({ ...piece, runs }, (run, timed) =>
      timed.filter(({ startUnits }) => startUnits >= (nextUnits.get(run.track.id) ?? 0)),
    )
  }
  return {
    take(piece) {
      if (piece.kind === 'init') {
        current = piece
        if (first !== undefined) return null
        first = piece
        return piece
      }
      const handedOn = first === undefined || current === first ? piece : rewrite(piece, first)
      if (handedOn !== null) note(handedOn)
      return handedOn
    },
    handedOnMs() {
      if (first === undefined || endsMs.size === 0) return undefined
      return Math.min(...first.tracks.map(({ id }) => endsMs.get(id) ?? 0))
    },
  }
}

function onFirstTimeline(run: TrackRun, tracks: readonly Track[]): TrackRun {
  const track = tracks.find(({ id }) => id === run.track.id)
  if (track === undefined || track.timescale !== run.track.timescale) {
    throw new BadFragmentedMp4('bad-box', 'ffmpeg made other tracks after it was started again')
  }
  const units = run.startUnits + ((run.track.editMs - track.editMs) * track.timescale) / 1000
  // Edit lists count in milliseconds: sound is brought back to its grid, pictures lie on whole ones already.
  const grid = track.kind === 'audio' ? AAC_PACKET_SAMPLES : 1
  return { ...run, track, startUnits: Math.max(0, Math.round(units / grid) * grid) }
}
