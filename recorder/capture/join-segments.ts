// Segments of one or more attempts → one plain MP4, moov first, by stream copy in one pass.
import { createReadStream } from 'node:fs'
import { describeExit, startChild } from './child-process.ts'
import { compareTracks, parameterSetsOf } from './decoder-parameters.ts'
import { prefixKeyFrames, truncateFragment } from './edit-fragment.ts'
import { feedChild } from './feed-child.ts'
import { type FragmentPiece, type InitPiece, moveFragment, readFragments } from './fragments.ts'
import { BadFragmentedMp4, type Track } from './mp4-boxes.ts'
import { type Chapter, keepRoomForChapters, writeChapters } from './mp4-chapters.ts'

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
  /** Which ffmpeg. Default: the one in PATH. */
  ffmpegPath?: string
  /** Asked when the places are known; at most two chapters per part, and one more. The file itself is not copied again. */
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
  readonly reason: 'no-media' | 'unreadable-piece' | 'bad-media' | 'different-parameters' | 'ffmpeg-failed'

  constructor(reason: JoinFailed['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'JoinFailed'
    this.reason = reason
  }
}

/**
 * Joins parts one after another into `outFile` (H.264 + AAC copied, moov first) and says where each one lies. The file
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
  const room = options.chapters === undefined ? [] : keepRoomForChapters(parts.length * 2 + 1)
  await using child = startChild(options.ffmpegPath ?? 'ffmpeg', joinArgs(outFile, room), {
    name: 'ffmpeg (join)',
    timeoutMs: options.timeoutMs ?? JOIN_TIMEOUT_MS,
    stdin: 'pipe',
    ...(options.signal && { signal: options.signal }),
  })
  if (child.stdin === null) throw new Error('ffmpeg runs without standard input')
  child.stdout.resume()
  const joined: JoinedAttempt[] = []
  const fed = feedChild(layAttempts(parts, joined), child.stdin, child.exit).then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  const [exit, broken] = await Promise.all([child.exit, fed])
  if (broken !== undefined) throw asJoinFailed(broken.error)
  if (exit.reason !== 'exited' || exit.code !== 0) {
    throw new JoinFailed('ffmpeg-failed', describeExit('ffmpeg', exit))
  }
  if (options.chapters !== undefined) await writeChapters(outFile, options.chapters(joined))
  return joined
}

/** ffmpeg's command line (a pure value). `-copyts`: it would else move the picture by the AAC priming of 21 ms. */
function joinArgs(outFile: string, more: readonly string[]): string[] {
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-copyts', '-f', 'mp4', '-i', 'pipe:0'],
    ...['-map', '0:v:0', '-map', '0:a:0?', '-c', 'copy', '-movflags', '+faststart'],
    ...more,
    ...['-f', 'mp4', '-y', `file:${outFile}`],
  ]
}

/** A fragment of sound may stand this much behind the pictures of its time (the segmenter's interleaving). */
const SOUND_LAGS_MS = 2_000

/** One stream of all parts: the first init piece, then every fragment moved to where it belongs. */
async function* layAttempts(
  parts: readonly AttemptPieces[],
  joined: JoinedAttempt[],
): AsyncGenerator<Buffer> {
  const opened: OpenedPart[] = []
  for (const [part, { init, media, untilMs }] of parts.entries()) {
    if (media.length > 0)
      opened.push({ part, init: await readInit(init), media, untilMs: untilMs ?? Infinity })
  }
  const first = opened[0]?.init
  if (first === undefined) throw new JoinFailed('no-media', 'there is no media to join')
  const ownParameterSets = opened.map(({ init }) => compareInits(first, init)).includes('parameter-sets')
  yield first.bytes
  const ends: TrackEnds = new Map()
  for (const part of opened) {
    const place = { part: part.part, startMs: 0, endMs: 0, pictures: 0, movedByMs: Number.NaN }
    // What this part's edit list does to a track the first one's does now.
    const editsMs = new Map(
      part.init.tracks.map(({ id, editMs }, index) => [id, editMs - (first.tracks[index]?.editMs ?? editMs)]),
    )
    const editMs = ({ id }: Track) => editsMs.get(id) ?? 0
    for await (const whole of readFragments(readPieces([bytesOf(part.init), ...part.media]))) {
      if (whole.kind === 'init') continue
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
      moveFragment(piece, byMs)
      noteEnds(piece, byMs, ends)
      place.pictures += piece.pictures
      yield piece.bytes
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

function bytesOf({ bytes }: InitPiece): PieceSource {
  return async function* () {
    yield bytes
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
