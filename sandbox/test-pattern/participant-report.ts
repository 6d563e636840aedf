import type { Beep } from './beeps.ts'
import { beepMs, slotMs } from './pattern.in-page.js'

/** One recorded frame in which a participant's code was read. */
export interface SeenFrame {
  /** Presentation time in the file. */
  ptsMs: number
  /** Time code, counted on past `codeModuloMs`. */
  codeMs: number
  flash: boolean
}

export interface Gap {
  lengthMs: number
  /** Presentation time at which the gap begins. */
  atPtsMs: number
}

export interface Flash {
  /** Time code of the flash's beginning. */
  codeMs: number
  /** Presentation time of the first frame that shows it. */
  ptsMs: number
  /** Presentation time of its beginning: `ptsMs` less what that frame's code says has passed since. */
  onsetPtsMs: number
}

export interface HeardBeep {
  /** Time code at which it was sent. */
  codeMs: number
  ptsMs: number
  level: number
}

export interface SoundOffset {
  /** How many seconds have both flash and beep. */
  pairs: number
  /**
   * Beep less flash, in ms: **positive means that the sound comes later than the picture**. Both come once a
   * second, so that only offsets of less than ±500 ms can be told.
   */
  medianMs: number
  /** 95th percentile of the offset's size, without its sign. */
  p95Ms: number
  minMs: number
  maxMs: number
  /** Change of the offset from the first pair to the last, by a straight line through all. */
  driftMs: number
}

export interface ParticipantReport {
  participant: number
  frames: SeenFrame[]
  distinctCodes: number
  firstCodeMs: number | undefined
  lastCodeMs: number | undefined
  /** Longest jump of the time code from one recorded frame to the next: what was cut out, lost or frozen. */
  largestCodeGap: Gap
  /** Longest time of the file between frames with this participant's code: where the tile could not be seen. */
  largestPtsGap: Gap
  /** The larger of the two, in ms. */
  largestGapMs: number
  /** Longest time of the file without a new time code. */
  longestFreeze: Gap
  /** How often the time code went back. */
  stepsBack: number
  /** Frames in which the tile was found, but its code was smeared. */
  unreadableFrames: number
  /** Frames dropped from `frames`, because their code passed its checksum but contradicts both neighbours. */
  misreadFrames: number
  flashes: Flash[]
  beeps: HeardBeep[]
  /** Time codes of the flashes that no frame shows. */
  missingFlashes: number[]
  /** Time codes of the beeps that are not to be heard. */
  missingBeeps: number[]
  /** Undefined without a single pair. */
  offset: SoundOffset | undefined
}

export interface ParticipantEvidence {
  participant: number
  frames: SeenFrame[]
  beeps: Beep[]
  unreadableFrames: number
  /** Frames to tell the time by where this participant has none: those of another one. */
  otherFrames: SeenFrame[]
}

/** Flashes and beeps nearer than this to the first or last sign of a participant are not missed. */
const edgeMs = 300
/** A flash and a beep belong together when less than this apart: they come once a second. */
const pairMs = 500

/** Draws up what a recording shows of one participant. */
export function reportParticipant(evidence: ParticipantEvidence): ParticipantReport {
  const { participant, unreadableFrames } = evidence
  const frames = withoutMisreads(evidence.frames)
  const fresh = firstOfEachCode(frames)
  const clock = fresh.length > 0 ? fresh : firstOfEachCode(evidence.otherFrames)
  const beeps = nameBeeps(participant, evidence.beeps, clock)
  const flashes = findFlashes(participant, fresh)
  const firstCodeMs = frames[0]?.codeMs
  const lastCodeMs = frames.reduce<number | undefined>(
    (last, { codeMs }) => Math.max(last ?? codeMs, codeMs),
    undefined,
  )
  const largestCodeGap = largestStep(fresh, 'codeMs')
  const largestPtsGap = largestStep(frames, 'ptsMs')
  const beepCodes = beeps.map(beep => beep.codeMs)
  const signs = [
    ...(firstCodeMs === undefined || lastCodeMs === undefined ? [] : [firstCodeMs, lastCodeMs]),
    ...beepCodes,
  ]
  return {
    participant,
    frames,
    distinctCodes: new Set(frames.map(frame => frame.codeMs)).size,
    firstCodeMs,
    lastCodeMs,
    largestCodeGap,
    largestPtsGap,
    largestGapMs: Math.max(largestCodeGap.lengthMs, largestPtsGap.lengthMs),
    longestFreeze: largestStep(fresh, 'ptsMs'),
    stepsBack: frames.filter(({ codeMs }, index) => codeMs < (frames[index - 1]?.codeMs ?? codeMs)).length,
    unreadableFrames,
    misreadFrames: evidence.frames.length - frames.length,
    flashes,
    beeps,
    missingFlashes: missing(participant, firstCodeMs === undefined ? [] : signs.slice(0, 2), flashes),
    missingBeeps: missing(participant, signs, beeps),
    offset: compare(flashes, beeps),
  }
}

/** Drops codes that fit neither the frame before nor the one after, while those two fit each other. */
function withoutMisreads(frames: SeenFrame[]): SeenFrame[] {
  const fits = (a: SeenFrame, b: SeenFrame) => Math.abs(a.codeMs - a.ptsMs - (b.codeMs - b.ptsMs)) < 1000
  return frames.filter((frame, index) => {
    const [before, after] = [frames[index - 1], frames[index + 1]]
    return !before || !after || fits(frame, before) || fits(frame, after) || !fits(before, after)
  })
}

const firstOfEachCode = (frames: SeenFrame[]) =>
  frames.filter(({ codeMs }, index) => codeMs !== frames[index - 1]?.codeMs)

function largestStep(frames: SeenFrame[], of: 'codeMs' | 'ptsMs'): Gap {
  let largest = { lengthMs: 0, atPtsMs: frames[0]?.ptsMs ?? 0 }
  frames.forEach((frame, index) => {
    const before = frames[index - 1]
    const lengthMs = before ? frame[of] - before[of] : 0
    if (before && lengthMs > largest.lengthMs) largest = { lengthMs, atPtsMs: before.ptsMs }
  })
  return largest
}

function findFlashes(participant: number, frames: SeenFrame[]): Flash[] {
  const flashes: Flash[] = []
  for (const { ptsMs, codeMs, flash } of frames) {
    const startMs = Math.floor((codeMs - slotMs(participant)) / 1000) * 1000 + slotMs(participant)
    const onsetPtsMs = ptsMs - (codeMs - startMs)
    if (!flash || codeMs - startMs >= beepMs) continue
    const last = flashes.at(-1)
    // The same second may be in a file twice, where two pieces of it overlap.
    if (last?.codeMs === startMs && onsetPtsMs - last.onsetPtsMs < pairMs) continue
    flashes.push({ codeMs: startMs, ptsMs, onsetPtsMs })
  }
  return flashes
}

/**
 * Gives each beep the time code it was sent at: by the frame shown when it is heard, rounded to the participant's
 * slot, which is right while sound and picture are less than half a second apart. Counts seconds from 0 where no
 * frame at all tells the time.
 */
function nameBeeps(participant: number, beeps: Beep[], clock: SeenFrame[]): HeardBeep[] {
  const first = beeps[0]
  if (!first) return []
  const slot = slotMs(participant)
  let index = 0
  return beeps.map(({ ptsMs, level }) => {
    while ((clock[index + 1]?.ptsMs ?? Number.POSITIVE_INFINITY) <= ptsMs) index += 1
    const frame = clock[index] ?? { ptsMs: first.ptsMs, codeMs: slot }
    const shownMs = frame.codeMs + ptsMs - frame.ptsMs
    return { codeMs: Math.round((shownMs - slot) / 1000) * 1000 + slot, ptsMs, level }
  })
}

/** The participant's slots between the first and the last sign of them that are not among `present`. */
function missing(participant: number, signsMs: number[], present: { codeMs: number }[]): number[] {
  if (signsMs.length === 0) return []
  const there = new Set(present.map(one => one.codeMs))
  const slot = slotMs(participant)
  const [fromMs, toMs] = [Math.min(...signsMs) + edgeMs, Math.max(...signsMs) - edgeMs]
  const codes: number[] = []
  for (let codeMs = Math.ceil((fromMs - slot) / 1000) * 1000 + slot; codeMs <= toMs; codeMs += 1000) {
    if (!there.has(codeMs)) codes.push(codeMs)
  }
  return codes
}

function compare(flashes: Flash[], beeps: HeardBeep[]): SoundOffset | undefined {
  let index = 0
  const pairs = flashes.flatMap(({ onsetPtsMs }) => {
    while ((beeps[index]?.ptsMs ?? Number.POSITIVE_INFINITY) < onsetPtsMs - pairMs) index += 1
    const offsetMs = (beeps[index]?.ptsMs ?? Number.POSITIVE_INFINITY) - onsetPtsMs
    return offsetMs < pairMs ? [{ atMs: onsetPtsMs, offsetMs }] : []
  })
  const [first, last] = [pairs[0], pairs.at(-1)]
  if (!first || !last) return undefined
  const offsets = pairs.map(pair => pair.offsetMs).sort((a, b) => a - b)
  const sizes = offsets.map(Math.abs).sort((a, b) => a - b)
  return {
    pairs: pairs.length,
    medianMs: quantile(offsets, 0.5),
    p95Ms: quantile(sizes, 0.95),
    minMs: quantile(offsets, 0),
    maxMs: quantile(offsets, 1),
    driftMs: slope(pairs) * (last.atMs - first.atMs),
  }
}

/** The value below which a share of the sorted values lies; 0 of none. */
export function quantile(sorted: number[], share: number): number {
  const place = Math.max(0, sorted.length - 1) * share
  const low = sorted[Math.floor(place)] ?? 0
  const high = sorted[Math.ceil(place)] ?? 0
  return low + (high - low) * (place - Math.floor(place))
}

function slope(points: { atMs: number; offsetMs: number }[]): number {
  const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const at = meanOf(points.map(point => point.atMs))
  const offset = meanOf(points.map(point => point.offsetMs))
  const spread = points.reduce((sum, point) => sum + (point.atMs - at) ** 2, 0)
  const together = points.reduce((sum, point) => sum + (point.atMs - at) * (point.offsetMs - offset), 0)
  return spread === 0 ? 0 : together / spread
}
