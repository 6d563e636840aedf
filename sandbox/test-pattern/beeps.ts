import { type SoundBlock, sampleRate } from './media-streams.ts'
import { beepMs, maxParticipant, pitchHz } from './pattern.in-page.js'

export interface Beep {
  participant: number
  /** Onset. */
  ptsMs: number
  /** Amplitude, 0 to 1. */
  level: number
}

/** The strength of each pitch is known once a millisecond … */
const hop = sampleRate / 1000
/** … from the 10 ms around it: a length in which pitches 100 Hz apart do not disturb each other. */
const windowHops = 10
/** Strengths are searched in pieces of this many milliseconds; beeps do not get lost at a seam of … */
const pieceMs = 4000
/** … this overlap, which holds a beep and the quiet on both its sides. */
const overlapMs = 500
/** Least amplitude of a beep: 30 dB under what a participant sends. */
const leastLevel = 0.008
/** A beep stands out from the quiet before and after it, and from the pitches beside it, by these factors. */
const overQuiet = 2.5
const overNeighbours = 2.5
/** A pts further than this from where the samples so far put it is believed; nearer, it is a container's rounding. */
const ptsSlackMs = 2

/** All pitches and, 100 Hz under and over each, one that nobody beeps at. */
const tonesHz = Array.from({ length: 2 * maxParticipant + 1 }, (_, index) => pitchHz(1) - 100 + 100 * index)
/** All tones are multiples of 50 Hz, so that one table of 20 ms serves for ever. */
const tableLength = sampleRate / 50

/** One tone's tables, its sums over the last hops, and its strength in this piece, one value a millisecond. */
function followTone(hz: number) {
  const turn = (index: number) => (2 * Math.PI * hz * index) / sampleRate
  return {
    cos: Float64Array.from({ length: tableLength }, (_, index) => Math.cos(turn(index))),
    sin: Float64Array.from({ length: tableLength }, (_, index) => Math.sin(turn(index))),
    res: new Float64Array(windowHops),
    ims: new Float64Array(windowHops),
    strength: new Float32Array(pieceMs),
  }
}

function sum(values: Float64Array): number {
  let total = 0
  for (const value of values) total += value
  return total
}

/**
 * Finds the beeps in sound that arrives block by block. Each onset is where the strength of the pitch, over 10 ms
 * around, passes half of the beep's own; a clean beep is found within 1 ms.
 */
export class BeepFinder {
  readonly beeps: Beep[] = []
  /** Longest stretch for which the file's times say that there is no sound. */
  largestGapMs = 0
  firstPtsMs: number | undefined
  endPtsMs = 0

  readonly #tones = tonesHz.map(followTone)
  readonly #hop = new Float32Array(hop)
  #hopFilled = 0
  #hopCount = 0
  #pieceFilled = 0
  #pieceAtMs = 0
  #samples = 0
  /** Sample number and pts from which times are counted on. */
  #anchors: { sample: number; ptsMs: number }[] = []

  add({ ptsMs, samples }: SoundBlock): void {
    this.firstPtsMs ??= ptsMs
    const expectedMs = this.#ptsOfSample(this.#samples)
    if (expectedMs === undefined || Math.abs(ptsMs - expectedMs) > ptsSlackMs) {
      if (expectedMs !== undefined) this.largestGapMs = Math.max(this.largestGapMs, ptsMs - expectedMs)
      this.#anchors.push({ sample: this.#samples, ptsMs })
    }
    this.#samples += samples.length
    this.endPtsMs = ptsMs + (samples.length * 1000) / sampleRate
    for (const sample of samples) {
      this.#hop[this.#hopFilled] = sample
      this.#hopFilled += 1
      if (this.#hopFilled === hop) this.#endHop()
    }
  }

  /** To be called after the last block. */
  end(): Beep[] {
    for (let quiet = 0; quiet < overlapMs; quiet += 1) {
      this.#hop.fill(0)
      this.#endHop()
    }
    this.#search(this.#pieceFilled)
    return this.beeps.sort((a, b) => a.ptsMs - b.ptsMs)
  }

  #ptsOfSample(sample: number): number | undefined {
    const anchor = this.#anchors.findLast(({ sample: from }) => from <= sample)
    return anchor && anchor.ptsMs + ((sample - anchor.sample) * 1000) / sampleRate
  }

  #endHop(): void {
    const from = (this.#hopCount * hop) % tableLength
    const slot = this.#hopCount % windowHops
    for (const { cos, sin, res, ims, strength } of this.#tones) {
      let [re, im] = [0, 0]
      for (let index = 0; index < hop; index += 1) {
        const sample = this.#hop[index] ?? 0
        re += sample * (cos[from + index] ?? 0)
        im += sample * (sin[from + index] ?? 0)
      }
      res[slot] = re
      ims[slot] = im
      strength[this.#pieceFilled] = (2 * Math.hypot(sum(res), sum(ims))) / (hop * windowHops)
    }
    this.#hopFilled = 0
    this.#hopCount += 1
    this.#pieceFilled += 1
    if (this.#pieceFilled < pieceMs) return
    this.#search(pieceMs)
    const keepFrom = pieceMs - overlapMs
    for (const { strength } of this.#tones) strength.copyWithin(0, keepFrom)
    this.#pieceFilled = overlapMs
    this.#pieceAtMs += keepFrom
  }

  #search(lengthMs: number): void {
    for (let participant = 1; participant <= maxParticipant; participant += 1) {
      const tone = tonesHz.indexOf(pitchHz(participant))
      const [under, own, over] = this.#tones
        .slice(tone - 1, tone + 2)
        .map(({ strength }) => strength.subarray(0, lengthMs))
      if (!under || !own || !over) continue
      for (const { atMs, level } of findBeeps(own, under, over)) {
        // The strength at position p belongs to the middle of the window that ends with hop p.
        const sample = (this.#pieceAtMs + atMs + 1 - windowHops / 2) * hop
        const ptsMs = this.#ptsOfSample(Math.max(0, sample))
        if (ptsMs === undefined || this.#alreadyHas(participant, ptsMs)) continue
        this.beeps.push({ participant, ptsMs, level })
      }
    }
  }

  #alreadyHas(participant: number, ptsMs: number): boolean {
    const last = this.beeps.findLast(beep => beep.participant === participant)
    return last !== undefined && Math.abs(last.ptsMs - ptsMs) < beepMs
  }
}

/**
 * Beeps in one pitch's strength, one value a millisecond. A beep is a stretch of about `beepMs` that is stronger
 * than the quiet before and after it and than the neighbouring tones.
 */
function findBeeps(
  strength: Float32Array,
  under: Float32Array,
  over: Float32Array,
): { atMs: number; level: number }[] {
  const found: { atMs: number; level: number }[] = []
  const [own, below, above] = [averages(strength), averages(under), averages(over)]
  const quietMs = 40
  const score = (at: number) => {
    const inside = own(at + 5, at + beepMs - 5)
    const outside = Math.max(
      own(at - quietMs - 10, at - 10),
      own(at + beepMs + 10, at + beepMs + 10 + quietMs),
    )
    const beside = Math.max(below(at + 15, at + beepMs - 15), above(at + 15, at + beepMs - 15))
    const isBeep = inside >= leastLevel && inside > outside * overQuiet && inside > beside * overNeighbours
    return isBeep ? inside - outside : 0
  }
  for (let at = 0; at < strength.length - beepMs - 10 - quietMs; at += 1) {
    if (score(at) === 0) continue
    let best = at
    for (let next = at; next < at + beepMs && score(next) > 0; next += 1)
      if (score(next) > score(best)) best = next
    const level = median(strength.subarray(best + 15, best + beepMs - 15))
    found.push({ atMs: onset(strength, best, level / 2), level })
    at = best + beepMs
  }
  return found
}

/** Where the strength rises through `half`, nearest to `about`, between milliseconds. */
function onset(strength: Float32Array, about: number, half: number): number {
  let best = about
  let distance = Number.POSITIVE_INFINITY
  for (let at = Math.max(1, about - 40); at < Math.min(strength.length, about + 60); at += 1) {
    const [before, now] = [strength[at - 1] ?? 0, strength[at] ?? 0]
    if (before >= half || now < half || Math.abs(at - about) >= distance) continue
    distance = Math.abs(at - about)
    best = at - 1 + (half - before) / (now - before)
  }
  return best
}

/** Averages of any stretch of the values, each in two look-ups. */
function averages(values: Float32Array): (from: number, to: number) => number {
  const sums = new Float64Array(values.length + 1)
  values.forEach((value, index) => {
    sums[index + 1] = (sums[index] ?? 0) + value
  })
  return (from, to) => {
    const [low, high] = [Math.max(0, from), Math.min(values.length, to)]
    return high > low ? ((sums[high] ?? 0) - (sums[low] ?? 0)) / (high - low) : 0
  }
}

const median = (values: Float32Array) => values.toSorted()[Math.floor(values.length / 2)] ?? 0
