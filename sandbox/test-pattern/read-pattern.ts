import { BeepFinder } from './beeps.ts'
import { type LumaFrame, type MediaFacts, probe, soundBlocks, videoFrames } from './media-streams.ts'
import { type ParticipantReport, quantile, reportParticipant, type SeenFrame } from './participant-report.ts'
import { codeModuloMs } from './pattern.in-page.js'
import { findTiles, readTile, type Tile } from './tile.ts'

export interface PatternReport {
  width: number
  height: number
  /** The container's own duration, or where it states none, the end of picture or sound. */
  durationMs: number
  video: {
    frames: number
    firstPtsMs: number
    lastPtsMs: number
    /** Frames per second over the whole file. */
    fps: number
    /** Time from frame to frame. */
    intervalMs: { median: number; p95: number; max: number }
    /** Presentation time at which the longest interval begins. */
    longestIntervalAtPtsMs: number
  }
  /** Undefined where the file has no sound. */
  audio: { firstPtsMs: number; endPtsMs: number; largestGapMs: number } | undefined
  /** By number; everybody whose code was seen or who beeped at least twice. */
  participants: ParticipantReport[]
}

export interface ReadPatternOptions {
  /** Longest time the reading may take; by default ten minutes. */
  timeoutMs?: number
}

/**
 * Measures a recording of test patterns: which frames of each participant are in it, what is missing, and how far
 * sound and picture are apart. All times are those of the file (pts), codes are the senders' wall clock modulo
 * `codeModuloMs` (`wallClockMs` turns them back).
 *
 * @throws PatternReadError where the file is no recording with a picture, ffmpeg is missing or fails, or the time
 * is up.
 */
export async function readPattern(file: string, options: ReadPatternOptions = {}): Promise<PatternReport> {
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), options.timeoutMs ?? 600_000)
  try {
    const facts = await probe(file, stop.signal)
    const [picture, sound] = await Promise.all([
      readPicture(file, facts, stop.signal),
      facts.hasSound ? readSound(file, stop.signal) : undefined,
    ]).finally(() => stop.abort())
    return drawUp(facts, picture, sound)
  } finally {
    clearTimeout(timer)
  }
}

/** The wall-clock time (as of `Date.now()`) of a time code, given any time within 80 minutes of it. */
export function wallClockMs(codeMs: number, nearWallMs: number): number {
  return nearWallMs + distance(codeMs, nearWallMs)
}

/** From `fromMs` to the nearest time with this code, forwards or backwards. */
function distance(codeMs: number, fromMs: number): number {
  const forwards = (((codeMs - fromMs) % codeModuloMs) + codeModuloMs) % codeModuloMs
  return forwards > codeModuloMs / 2 ? forwards - codeModuloMs : forwards
}

interface PictureFacts {
  ptsMs: number[]
  frames: Map<number, SeenFrame[]>
  unreadable: Map<number, number>
}

/** Looking for tiles costs more than reading known ones: it is done when somebody has just gone, and this often. */
const lookAgainMs = 250
/** Places where a tile was once are read on, because tiles come back to them; the latest this many. */
const mostPlaces = 40

interface Place {
  tile: Tile
  participant: number
}

async function readPicture(file: string, facts: MediaFacts, signal: AbortSignal): Promise<PictureFacts> {
  const found: PictureFacts = { ptsMs: [], frames: new Map(), unreadable: new Map() }
  let places: Place[] = []
  let lookedAtMs = Number.NEGATIVE_INFINITY
  let lastCodeMs: number | undefined
  let seenBefore = new Set<number>()

  const readKnown = (frame: LumaFrame, seen: Map<number, SeenFrame>) => {
    const smeared = new Set<number>()
    for (const place of places) {
      const reading = readTile({ ...facts, luma: frame.luma }, place.tile)
      if (reading === 'unreadable') smeared.add(place.participant)
      if (typeof reading === 'string' || seen.has(reading.participant)) continue
      const codeMs: number =
        lastCodeMs === undefined ? reading.codeMs : lastCodeMs + distance(reading.codeMs, lastCodeMs)
      lastCodeMs = codeMs
      place.participant = reading.participant
      seen.set(reading.participant, { ptsMs: frame.ptsMs, codeMs, flash: reading.flash })
    }
    return smeared
  }

  for await (const frame of videoFrames(file, facts, signal)) {
    found.ptsMs.push(frame.ptsMs)
    const seen = new Map<number, SeenFrame>()
    const smeared = readKnown(frame, seen)
    const someoneJustGone = [...seenBefore].some(participant => !seen.has(participant))
    if (someoneJustGone || frame.ptsMs - lookedAtMs >= lookAgainMs) {
      lookedAtMs = frame.ptsMs
      const fresh = findTiles({ ...facts, luma: frame.luma }).filter(
        ({ reading }) => !seen.has(reading.participant),
      )
      if (fresh.length > 0) {
        const added = fresh.map(({ tile, reading }) => ({ tile, participant: reading.participant }))
        places = [...added, ...places].slice(0, mostPlaces)
        readKnown(frame, seen)
      }
    }
    for (const participant of smeared) {
      if (!seen.has(participant))
        found.unreadable.set(participant, (found.unreadable.get(participant) ?? 0) + 1)
    }
    for (const [participant, one] of seen) {
      const list = found.frames.get(participant)
      if (list) list.push(one)
      else found.frames.set(participant, [one])
    }
    seenBefore = new Set(seen.keys())
  }
  return found
}

async function readSound(file: string, signal: AbortSignal): Promise<BeepFinder> {
  const finder = new BeepFinder()
  for await (const block of soundBlocks(file, signal)) finder.add(block)
  finder.end()
  return finder
}

function drawUp(facts: MediaFacts, picture: PictureFacts, sound: BeepFinder | undefined): PatternReport {
  const { ptsMs } = picture
  const steps = ptsMs.slice(1).map((pts, index) => pts - (ptsMs[index] ?? pts))
  const sorted = steps.toSorted((a, b) => a - b)
  const firstPtsMs = ptsMs[0] ?? 0
  const lastPtsMs = ptsMs.at(-1) ?? 0
  const max = sorted.at(-1) ?? 0
  const beeps = sound?.beeps ?? []
  const participants = new Set(picture.frames.keys())
  for (const { participant } of beeps) {
    if (beeps.filter(beep => beep.participant === participant).length > 1) participants.add(participant)
  }
  const mostFrames = [...picture.frames.values()].sort((a, b) => b.length - a.length)[0] ?? []
  return {
    width: facts.width,
    height: facts.height,
    durationMs: facts.durationMs ?? Math.max(lastPtsMs, sound?.endPtsMs ?? 0),
    video: {
      frames: ptsMs.length,
      firstPtsMs,
      lastPtsMs,
      fps: lastPtsMs > firstPtsMs ? ((ptsMs.length - 1) * 1000) / (lastPtsMs - firstPtsMs) : 0,
      intervalMs: { median: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), max },
      longestIntervalAtPtsMs: ptsMs[steps.indexOf(max)] ?? firstPtsMs,
    },
    audio: sound && {
      firstPtsMs: sound.firstPtsMs ?? 0,
      endPtsMs: sound.endPtsMs,
      largestGapMs: sound.largestGapMs,
    },
    participants: [...participants]
      .sort((a, b) => a - b)
      .map(participant =>
        reportParticipant({
          participant,
          frames: picture.frames.get(participant) ?? [],
          beeps: beeps.filter(beep => beep.participant === participant),
          unreadableFrames: picture.unreadable.get(participant) ?? 0,
          otherFrames: mostFrames,
        }),
      ),
  }
}
