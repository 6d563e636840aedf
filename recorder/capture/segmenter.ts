// Encoded media of the tab → ffmpeg (picture copied, sound to AAC) → fragments → closed, hashed segments.
import { createHash } from 'node:crypto'
import { endOfFragments, type FragmentPiece, type readFragments } from './fragments.ts'
import { type SegmenterFailure, type SegmenterRestart, startLiveFfmpeg } from './live-ffmpeg.ts'

/** A segment may be this much shorter than asked for: key frames come a frame early or late. */
const EARLY_CUT_MS = 250

export interface SegmenterSettings {
  segmentSeconds: number
  /** Wall clock (ms since 1970) of media time 0. */
  startedAtMs: number
  /** Bits per second of the AAC sound. */
  audioBitrate: number
  /** Which ffmpeg. Default: the one in PATH. */
  ffmpegPath?: string
  /** An ffmpeg that is fed and gives nothing for so long is replaced like one that died. Default 10 s. */
  hungMs?: number
  /**
   * Told synchronously of the init piece (segment 0) and of each fragment as it arrives, before it is part of a closed
   * segment: the first fragment of a segment comes before the segment it closed leaves through `segments`. Each
   * fragment is told once and never taken back, also when another ffmpeg takes over. Must not throw.
   */
  onFragment?(fragment: OpenFragment): void
  /** Told when ffmpeg died and another one takes over; no frame of the capture is missing for it. Must not throw. */
  onRestart?(restart: SegmenterRestart): void
}

/** A fragment of the segment that is still open. The bytes of all of one segment, in order, are the segment. */
export interface OpenFragment {
  /** The number that the open segment will have; 0 for the init piece. */
  segment: number
  bytes: Buffer
  /** Media time of the first picture, or of the first sound in a fragment without pictures. */
  startMs: number
  durationMs: number
  /** Wall clock (ms since 1970) of `startMs`. */
  wallClockStartMs: number
}

/** A closed piece of one attempt. `init` comes first and holds no pictures; an attempt's pieces in order are one MP4. */
export interface Segment {
  /** 0 is the init piece, media begins at 1. */
  number: number
  kind: 'init' | 'media'
  bytes: Buffer
  /** SHA-256 of `bytes`, in hexadecimal. */
  sha256: string
  /** Media time of the first picture. */
  startMs: number
  durationMs: number
  /** Wall clock (ms since 1970) of the first picture. */
  wallClockStartMs: number
  /** Every segment begins with a picture that can be decoded alone. */
  keyFrame: true
}

export interface Segmenter extends AsyncDisposable {
  /** Segments as they close. Ends after the last frame, also after a failure; never throws. Read it to its end. */
  segments: AsyncIterable<Segment>
  /** Of the ffmpeg that runs now: another one takes over when it dies. */
  readonly pid: number | undefined
  /**
   * Settles when ffmpeg died for the sixth time in a minute, could not begin, or wrote what cannot be read, or when the
   * chunks broke. Stays pending for ever when all went well.
   */
  failed: Promise<SegmenterFailure>
  /**
   * Closes what has come so far: everything up to the last frame still leaves through `segments`.
   * To lose nothing stop the capture first. May be called twice.
   */
  stop(): Promise<void>
}

/** Starts ffmpeg on the chunks of a capture and gives the segments as they close. */
export function startSegmenter(chunks: AsyncIterable<Buffer>, settings: SegmenterSettings): Segmenter {
  const ffmpeg = startLiveFfmpeg(chunks, settings)
  return {
    segments: groupFragments(ffmpeg.pieces, settings),
    get pid() {
      return ffmpeg.pid()
    },
    failed: ffmpeg.failed,
    stop: ffmpeg.stop,
    // Leaving the scope without `stop()` gives up what nobody has read.
    [Symbol.asyncDispose]: ffmpeg.kill,
  }
}

async function* groupFragments(
  pieces: ReturnType<typeof readFragments>,
  { segmentSeconds, startedAtMs, onFragment }: SegmenterSettings,
): AsyncGenerator<Segment> {
  const shortestMs = segmentSeconds * 1000 - EARLY_CUT_MS
  let number = 1
  let open: FragmentPiece[] = []
  const close = (endMs: number): Segment => {
    const startMs = open[0]?.startMs ?? 0
    const bytes = Buffer.concat(open.map(piece => piece.bytes))
    open = []
    return makeSegment('media', number++, bytes, {
      startMs,
      durationMs: endMs - startMs,
      wallClockStartMs: startedAtMs + startMs,
    })
  }
  for await (const piece of pieces) {
    if (piece.kind === 'init') {
      const times = { startMs: 0, durationMs: 0, wallClockStartMs: startedAtMs }
      onFragment?.({ segment: 0, bytes: piece.bytes, ...times })
      yield makeSegment('init', 0, piece.bytes, times)
      continue
    }
    const { bytes, startMs, durationMs } = piece
    // Only the fragment after it tells that a segment is over, and exactly where.
    const openMs = startMs - (open[0]?.startMs ?? startMs)
    const cutHere = piece.keyFrame && openMs >= shortestMs
    onFragment?.({
      segment: cutHere ? number + 1 : number,
      bytes,
      startMs,
      durationMs,
      wallClockStartMs: startedAtMs + startMs,
    })
    if (cutHere) yield close(startMs)
    open.push(piece)
  }
  if (open.length > 0) yield close(endOfFragments(open))
}

function makeSegment(
  kind: Segment['kind'],
  number: number,
  bytes: Buffer,
  times: Pick<Segment, 'startMs' | 'durationMs' | 'wallClockStartMs'>,
): Segment {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { number, kind, bytes, sha256, ...times, keyFrame: true }
}
