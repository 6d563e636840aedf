// What the index of a plain MP4 says about one track, collected while its samples are written (ISO/IEC 14496-12 §8.6, §8.7).
import type { Track } from './mp4-boxes.ts'
import { isKey, type TrackRun } from './mp4-samples.ts'
import { WordList } from './word-list.ts'
import { box, words } from './write-box.ts'

const LARGEST_WORD = 2 ** 32 - 1

/** Where samples that lie behind one another were written. */
export interface Chunk {
  atBytes: number
  samples: number
}

/** The samples of one track in the order in which they were written. */
export class TrackIndex {
  readonly track: Track
  /** Decode time of the first sample, in the track's units. */
  startUnits = 0
  /** How long after its decoding the first sample is shown. */
  startCompositionUnits = 0
  samples = 0
  readonly #sizes = new WordList()
  readonly #durations = new WordList()
  readonly #compositions = new WordList()
  readonly #keys = new WordList()
  readonly #chunks: Chunk[] = []
  #composed = false
  /** Samples of the same duration, one after another. */
  #run = { samples: 0, units: 0 }
  #endUnits = 0
  #shownUntilUnits = 0
  #last: { startUnits: number; durationUnits: number } | undefined

  constructor(track: Track) {
    this.track = track
  }

  /**
   * Notes samples that begin at `startUnits`. The sample before them lasts until then, whatever it said itself; a sample
   * that would begin with or before the one ahead of it begins one unit later.
   */
  add({ samples }: Pick<TrackRun, 'samples'>, startUnits: number, chunks: readonly Chunk[]): void {
    let atUnits = startUnits
    for (const sample of samples) {
      const beginsUnits = this.#last === undefined ? atUnits : Math.max(atUnits, this.#last.startUnits + 1)
      if (this.#last === undefined) {
        this.startUnits = beginsUnits
        this.startCompositionUnits = sample.compositionUnits
      } else this.#noteDuration(beginsUnits - this.#last.startUnits)
      this.#last = { startUnits: beginsUnits, durationUnits: sample.durationUnits }
      this.#endUnits = beginsUnits + sample.durationUnits
      this.#shownUntilUnits = Math.max(this.#shownUntilUnits, this.#endUnits + sample.compositionUnits)
      this.samples += 1
      this.#sizes.push(sample.sizeBytes)
      this.#compositions.push(1, sample.compositionUnits)
      this.#composed ||= sample.compositionUnits !== 0
      if (isKey(sample)) this.#keys.push(this.samples)
      atUnits += sample.durationUnits
    }
    this.#chunks.push(...chunks)
  }

  /** From the beginning of the first sample to the end of the last one. */
  get durationUnits(): number {
    return this.#endUnits - this.startUnits
  }

  /** From the decoding of the first sample to the end of the one shown last, which is not always the last one decoded. */
  get shownUnits(): number {
    return this.#shownUntilUnits - this.startUnits
  }

  #noteDuration(units: number): void {
    if (this.#run.samples > 0 && this.#run.units !== units) this.#closeRun()
    this.#run = { samples: this.#run.samples + 1, units }
  }

  #closeRun(): void {
    this.#durations.push(this.#run.samples, this.#run.units)
    this.#run = { samples: 0, units: 0 }
  }

  /**
   * The sample table (`stbl`). Nothing can be added any more.
   * @param laterBytes how much later in the file the media lie than was said
   */
  close(laterBytes: number): Buffer {
    if (this.#last !== undefined) {
      this.#noteDuration(this.#last.durationUnits)
      this.#closeRun()
      this.#last = undefined
    }
    const allKeys = this.#keys.length === this.samples
    return box(
      'stbl',
      box('stsd', this.track.stsd),
      box('stts', words(0, this.#durations.length / 2), this.#durations.bytes()),
      ...(this.#composed ? [box('ctts', words(0x01000000, this.samples), this.#compositions.bytes())] : []),
      ...(allKeys ? [] : [box('stss', words(0, this.#keys.length), this.#keys.bytes())]),
      this.#samplesToChunks(),
      box('stsz', words(0, 0, this.samples), this.#sizes.bytes()),
      this.#chunkOffsets(laterBytes),
    )
  }

  #samplesToChunks(): Buffer {
    const entries = new WordList()
    for (const [index, { samples }] of this.#chunks.entries())
      if (this.#chunks[index - 1]?.samples !== samples) entries.push(index + 1, samples, 1)
    return box('stsc', words(0, entries.length / 3), entries.bytes())
  }

  #chunkOffsets(laterBytes: number): Buffer {
    const wide = (this.#chunks.at(-1)?.atBytes ?? 0) + laterBytes > LARGEST_WORD
    const offsets = new WordList()
    for (const { atBytes } of this.#chunks) {
      const offset = atBytes + laterBytes
      if (wide) offsets.push(Math.floor(offset / 2 ** 32))
      offsets.push(offset % 2 ** 32)
    }
    return box(wide ? 'co64' : 'stco', words(0, this.#chunks.length), offsets.bytes())
  }
}
