// Segments of one or more attempts → one plain MP4, moov first, by stream copy in one pass.
import { createReadStream } from 'node:fs'
import { describeExit, startChild } from './child-process.ts'
import { feedChild } from './feed-child.ts'
import { fragmentSpan, type InitPiece, moveFragment, readFragments } from './fragments.ts'
import { BadFragmentedMp4 } from './mp4-boxes.ts'

const JOIN_TIMEOUT_MS = 30 * 60_000

/** Where a piece comes from: a file, or a function that opens its bytes when their turn comes. */
export type PieceSource = string | (() => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>)

/** One attempt: its init piece and its media pieces in order. A missing one in the middle leaves a still picture. */
export interface AttemptPieces {
  init: PieceSource
  media: readonly PieceSource[]
}

export interface JoinOptions {
  /** The longest the whole joining may take. Default 30 min. */
  timeoutMs?: number
  signal?: AbortSignal
  /** Which ffmpeg. Default: the one in PATH. */
  ffmpegPath?: string
}

/** Where in the finished file one attempt lies. */
export interface JoinedAttempt {
  startMs: number
  endMs: number
  pictures: number
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
 * Joins attempts one after another into `outFile` (H.264 + AAC copied, moov first) and says where each one lies.
 * The file begins at 0 with picture and sound; between attempts there is no hole. Pieces stream through, one
 * fragment is held at a time. Attempts without media are left out. Throws `JoinFailed`.
 */
export async function joinSegments(
  parts: readonly AttemptPieces[],
  outFile: string,
  options: JoinOptions = {},
): Promise<JoinedAttempt[]> {
  await using child = startChild(options.ffmpegPath ?? 'ffmpeg', joinArgs(outFile), {
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
  return joined
}

/** ffmpeg's command line (a pure value). `-copyts`: it would else move the picture by the AAC priming of 21 ms. */
function joinArgs(outFile: string): string[] {
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-copyts', '-f', 'mp4', '-i', 'pipe:0'],
    ...['-map', '0:v:0', '-map', '0:a:0?', '-c', 'copy', '-movflags', '+faststart'],
    ...['-f', 'mp4', '-y', `file:${outFile}`],
  ]
}

/** One stream of all attempts: the first init piece, then every fragment moved to where it belongs. */
async function* layAttempts(
  parts: readonly AttemptPieces[],
  joined: JoinedAttempt[],
): AsyncGenerator<Buffer> {
  let first: InitPiece | undefined
  let endMs = 0
  for (const { init, media } of parts.filter(part => part.media.length > 0)) {
    let moveByMs: number | undefined
    const place = { startMs: endMs, endMs, pictures: 0 }
    for await (const piece of readFragments(readPieces([init, ...media]))) {
      if (piece.kind === 'init') {
        if (first === undefined) yield piece.bytes
        first ??= piece
        requireSameTracks(first, piece)
        continue
      }
      const span = fragmentSpan(piece)
      moveByMs ??= place.startMs - span.startMs
      moveFragment(piece, moveByMs)
      place.endMs = Math.max(place.endMs, span.endMs + moveByMs)
      place.pictures += piece.pictures
      yield piece.bytes
    }
    if (place.pictures > 0) joined.push(place)
    endMs = place.endMs
  }
  if (joined.length === 0) throw new JoinFailed('no-media', 'there is no media to join')
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
function requireSameTracks(first: InitPiece, next: InitPiece): void {
  const same =
    first.tracks.length === next.tracks.length &&
    first.tracks.every((track, index) => {
      const other = next.tracks[index]
      return other?.id === track.id && other.timescale === track.timescale && other.stsd.equals(track.stsd)
    })
  if (!same) {
    throw new JoinFailed(
      'different-parameters',
      'the attempts differ in picture size or encoding and cannot be joined',
    )
  }
}

function asJoinFailed(error: unknown): JoinFailed {
  if (error instanceof JoinFailed) return error
  if (error instanceof BadFragmentedMp4) return new JoinFailed('bad-media', error.message, { cause: error })
  return new JoinFailed('unreadable-piece', String(error), { cause: error })
}
