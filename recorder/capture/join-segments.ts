// Segments of one or more attempts → one plain MP4, moov first, their media copied in one pass.
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { compareTracks, parameterSetsOf } from './decoder-parameters.ts'
import { prefixKeyFrames, truncateFragment } from './edit-fragment.ts'
import { type FragmentPiece, type InitPiece, readFragments } from './fragments.ts'
import { BadFragmentedMp4, type Track } from './mp4-boxes.ts'
import type { Chapter } from './mp4-chapters.ts'
import { holdsItsSamples } from './mp4-samples.ts'
import { createMp4, type Mp4Writer } from './mp4-writer.ts'
import { untilOver } from './until-over.ts'

const JOIN_TIMEOUT_MS = 30 * 60_000

/** Where a piece comes from: a file, or a function that opens its bytes when their turn comes. */
export type PieceSource = string | (() => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>)

/** One attempt, or one stretch of it: its init piece and media pieces in order. A missing one leaves a still picture. */
export interface AttemptPieces {
  init: PieceSource
  media: readonly PieceSource[]
  /** Media time of this attempt at which something else takes over: what begins then or later is left out. */
  untilMs?: number
}

export interface JoinOptions {
  /** The longest the whole joining may take. Default 30 min. */
  timeoutMs?: number
  signal?: AbortSignal
  /** About how long the file will last: its index gets the room for it at once. */
  expectedMs?: number
  /**
   * Told of a piece that holds a fragment whose index cannot be read or promises more than is there. It is left out, and
   * with it the rest of the piece, which may need its pictures.
   * @param part its place among the parts that were given
   * @param media its place among the media pieces of the part
   */
  onBroken?(part: number, media: number): void
  /** Asked when the places are known. */
  chapters?(places: readonly JoinedAttempt[]): readonly Chapter[]
}

/** Where in the finished file one part lies: from its first picture to the first one of the next. */
export interface JoinedAttempt {
  /** Its place among the parts that were given. */
  part: number
  startMs: number
  endMs: number
  pictures: number
  /** Time in the file = media time of the attempt + this, for every picture and sound of the part. */
  movedByMs: number
}

/** The pieces did not become a file. */
export class JoinFailed extends Error {
  readonly reason:
    | 'no-media'
    | 'unreadable-piece'
    | 'bad-media'
    | 'different-parameters'
    | 'ffmpeg-failed'
    | 'not-written'
    | 'timed-out'

  constructor(reason: JoinFailed['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'JoinFailed'
    this.reason = reason
  }
}

/**
 * Joins parts one after another into `outFile` (nothing is decoded, moov first) and says where each one lies. The file
 * begins at 0 with picture and sound; between parts there is no hole. An attempt may come in several parts, with others
 * between them. Pieces stream through, one fragment is held at a time. Parts without media are left out. Parts of
 * another picture size, codec or kind of sound are refused with `different-parameters` (`compareTracks` says what
 * counts). Throws `JoinFailed`.
 */
export async function joinSegments(
  parts: readonly AttemptPieces[],
  outFile: string,
  options: JoinOptions = {},
): Promise<JoinedAttempt[]> {
  const limit = AbortSignal.timeout(options.timeoutMs ?? JOIN_TIMEOUT_MS)
  const stop = options.signal ? AbortSignal.any([options.signal, limit]) : limit
  const over = stop.aborted ? Promise.resolve() : once(stop, 'abort')
  const joined: JoinedAttempt[] = []
  const laid = layAttempts(parts, joined, options)
  const orOver = untilOver(over)
  let writer: Mp4Writer | undefined
  try {
    for (;;) {
      const item = await orOver(laid.next())
      if (item === undefined) throw joiningStopped(options.signal)
      if (item.done) break
      const { value } = item
      if (value.kind === 'init') writer = await openFile(outFile, value, options.expectedMs)
      else await orNotWritten(writer?.write(value.fragment, value.byMs))
    }
    await orNotWritten(writer?.finish(options.chapters?.(joined) ?? []))
    return joined
  } catch (error) {
    throw options.signal?.aborted ? error : asJoinFailed(error)
  } finally {
    // Tells the sources that nobody reads on. One that hangs answers never, so nobody waits for it.
    laid.return().catch(() => undefined)
    await writer?.[Symbol.asyncDispose]()
  }
}

function joiningStopped(signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason
  return new JoinFailed('timed-out', 'joining the segments took too long')
}

function openFile(outFile: string, init: InitPiece, expectedMs: number | undefined): Promise<Mp4Writer> {
  return orNotWritten(createMp4(outFile, init, expectedMs))
}

async function orNotWritten<T>(work: Promise<T> | undefined): Promise<T> {
  try {
    return (await work) as T
  } catch (error) {
    if (error instanceof BadFragmentedMp4) throw error
    throw new JoinFailed('not-written', `the video could not be written: ${String(error)}`, { cause: error })
  }
}

/** A fragment of sound may stand this much behind the pictures of its time (the segmenter's interleaving). */
const SOUND_LAGS_MS = 2_000

/** A fragment, and by how much each of its tracks is to be moved. */
interface LaidFragment {
  kind: 'laid'
  fragment: FragmentPiece
  byMs(track: Track): number
}

/** All parts behind one another: the first init piece, then every fragment with the place to which it belongs. */
async function* layAttempts(
  parts: readonly AttemptPieces[],
  joined: JoinedAttempt[],
  { onBroken }: Pick<JoinOptions, 'onBroken'>,
): AsyncGenerator<InitPiece | LaidFragment, void> {
  const opened: OpenedPart[] = []
  for (const [part, { init, media, untilMs }] of parts.entries()) {
    if (media.length > 0)
      opened.push({ part, init: await readInit(init), media, untilMs: untilMs ?? Infinity })
  }
  const first = opened[0]?.init
  if (first === undefined) throw new JoinFailed('no-media', 'there is no media to join')
  const ownParameterSets = opened.map(({ init }) => compareInits(first, init)).includes('parameter-sets')
  yield first
  const ends: TrackEnds = new Map()
  for (const part of opened) {
    const place = { part: part.part, startMs: 0, endMs: 0, pictures: 0, movedByMs: Number.NaN }
    // What this part's edit list does to a track the first one's does now.
    const editsMs = new Map(
      part.init.tracks.map(({ id, editMs }, index) => [id, editMs - (first.tracks[index]?.editMs ?? editMs)]),
    )
    const editMs = ({ id }: Track) => editsMs.get(id) ?? 0
    for await (const whole of usableFragments(part, onBroken)) {
      if (whole.startMs > part.untilMs + SOUND_LAGS_MS) break
      let piece = truncateFragment(whole, part.untilMs)
      if (piece === null) continue
      if (ownParameterSets) piece = prefixKeyFrames(piece, parameterSetsOf(videoOf(part.init)))
      if (Number.isNaN(place.movedByMs)) {
        place.movedByMs = firstFreePlace(piece, editMs, ends)
        place.startMs = joined.length === 0 ? 0 : piece.startMs + place.movedByMs
      }
      const { movedByMs } = place
      const byMs = (track: Track) => movedByMs + editMs(track)
      noteEnds(piece, byMs, ends)
      place.pictures += piece.pictures
      yield { kind: 'laid', fragment: piece, byMs }
    }
    if (place.pictures === 0) continue
    place.endMs = Math.max(...ends.values())
    const before = joined.at(-1)
    if (before !== undefined) before.endMs = place.startMs
    joined.push(place)
  }
  if (joined.length === 0) throw new JoinFailed('no-media', 'there is no media to join')
}

/** Up to where each track of the file is laid, in decode time. */
type TrackEnds = Map<number, number>

/** By how much a part must move so that each track begins where it ended before, and none earlier. */
function firstFreePlace({ runs }: FragmentPiece, editMs: (track: Track) => number, ends: TrackEnds): number {
  const lastEndMs = Math.max(0, ...ends.values())
  const movesMs = runs.map(({ track, startUnits }) => {
    // Of a track that only comes later its first sample is unknown: behind everything it is safe.
    const endMs = runs.length < ends.size ? lastEndMs : (ends.get(track.id) ?? 0)
    return endMs - (startUnits * 1000) / track.timescale - editMs(track)
  })
  return Math.max(...movesMs)
}

function noteEnds({ runs }: FragmentPiece, byMs: (track: Track) => number, ends: TrackEnds): void {
  for (const { track, startUnits, durationUnits } of runs) {
    const endMs = ((startUnits + durationUnits) * 1000) / track.timescale + byMs(track)
    ends.set(track.id, Math.max(ends.get(track.id) ?? 0, endMs))
  }
}

interface OpenedPart {
  part: number
  init: InitPiece
  media: readonly PieceSource[]
  untilMs: number
}

async function readInit(source: PieceSource): Promise<InitPiece> {
  for await (const piece of readFragments(readPieces([source]))) if (piece.kind === 'init') return piece
  throw new JoinFailed('bad-media', 'an init piece holds no moov box')
}

/** Every fragment of a part, piece by piece: what is broken in one spoils no other. */
async function* usableFragments(
  { part, init, media }: OpenedPart,
  onBroken: JoinOptions['onBroken'],
): AsyncGenerator<FragmentPiece> {
  for (const [index, source] of media.entries()) {
    try {
      for await (const piece of readFragments(readPieces([source]), init.tracks)) {
        if (piece.kind === 'init') continue
        if (!holdsItsSamples(piece))
          throw new BadFragmentedMp4('bad-box', 'a fragment promises more data than it holds')
        yield piece
      }
    } catch (error) {
      // An index that ends before its entries do is read beyond its end.
      if (!(error instanceof BadFragmentedMp4) && !(error instanceof RangeError)) throw error
      onBroken?.(part, index)
    }
  }
}

function videoOf({ tracks }: InitPiece): Track {
  const video = tracks.find(({ kind }) => kind === 'video')
  if (video === undefined) throw new JoinFailed('bad-media', 'an init piece names no video track')
  return video
}

async function* readPieces(sources: readonly PieceSource[]): AsyncGenerator<Uint8Array> {
  for (const source of sources) {
    try {
      yield* typeof source === 'string' ? createReadStream(source) : await source()
    } catch (error) {
      throw new JoinFailed('unreadable-piece', `a segment could not be read: ${String(error)}`, {
        cause: error,
      })
    }
  }
}

/** Pictures or sounds of another kind behind one another in one track are shown as garbage: refused instead. */
function compareInits(first: InitPiece, next: InitPiece): 'same' | 'parameter-sets' {
  const found = first.tracks.map((track, index) => {
    const other = next.tracks[index]
    return other === undefined ? 'different' : compareTracks(track, other)
  })
  if (first.tracks.length !== next.tracks.length || found.includes('different')) {
    throw new JoinFailed(
      'different-parameters',
      'the attempts differ in picture size or encoding and cannot be joined',
    )
  }
  return found.includes('parameter-sets') ? 'parameter-sets' : 'same'
}

function asJoinFailed(error: unknown): JoinFailed {
  if (error instanceof JoinFailed) return error
  if (error instanceof BadFragmentedMp4) return new JoinFailed('bad-media', error.message, { cause: error })
  return new JoinFailed('unreadable-piece', String(error), { cause: error })
}
