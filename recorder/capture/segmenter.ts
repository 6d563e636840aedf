// Encoded media of the tab → ffmpeg (picture copied, sound to AAC) → fragments → closed, hashed segments.
import { createHash } from 'node:crypto'
import { type ChildExit, describeExit, startChild } from './child-process.ts'
import { feedChild } from './feed-child.ts'
import { endOfFragments, type FragmentPiece, readFragments } from './fragments.ts'
import { BadFragmentedMp4 } from './mp4-boxes.ts'

/** After `stop()`: how long ffmpeg may take to hand out what it has … */
const FLUSH_TIMEOUT_MS = 10_000
/** … and how long the reader of the segments may take over one (it may be uploading it). */
const READER_TIMEOUT_MS = 120_000
/** A fragment at each key frame, and at least this often: what a killed recorder has not handed on. */
const FRAGMENT_MS = 500
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
  /**
   * Told synchronously of the init piece (segment 0) and of each fragment as it arrives, before it is part of a closed
   * segment: the first fragment of a segment comes before the segment it closed leaves through `segments`. Each
   * fragment is told once and never taken back. Must not throw.
   */
  onFragment?(fragment: OpenFragment): void
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

export interface SegmenterFailure {
  reason: 'ffmpeg-ended' | 'unreadable-output' | 'source-failed'
  detail: string
}

export interface Segmenter extends AsyncDisposable {
  /** Segments as they close. Ends after the last frame, also after a failure; never throws. Read it to its end. */
  segments: AsyncIterable<Segment>
  pid: number | undefined
  /** Settles when ffmpeg died or wrote what cannot be read. Stays pending for ever when all went well. */
  failed: Promise<SegmenterFailure>
  /**
   * Closes what has come so far: everything up to the last frame still leaves through `segments`.
   * To lose nothing stop the capture first. May be called twice.
   */
  stop(): Promise<void>
}

/** ffmpeg's command line for live segments (a pure value). */
function segmentArgs({ audioBitrate }: { audioBitrate: number }): string[] {
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'warning'],
    // The header says all there is to know: no waiting to look at the first seconds.
    ...['-probesize', '1000000', '-analyzeduration', '0'],
    ...['-f', 'matroska', '-i', 'pipe:0', '-map', '0:v:0', '-map', '0:a:0'],
    // Sound begins a few milliseconds before the first picture, which is shown from the start on: no offset to carry.
    ...['-c:v', 'copy', '-bsf:v', 'setts=ts=if(eq(N\\,0)\\,0\\,TS)'],
    ...['-c:a', 'aac', '-b:a', String(audioBitrate), '-ar', '48000', '-ac', '2'],
    // Holes in the sound become silence, so that what follows stays with its picture.
    ...['-af', 'aresample=async=1000:first_pts=0'],
    // When the sound stops coming the picture does not wait for it.
    ...['-max_interleave_delta', '1000000'],
    ...['-f', 'mp4', '-movflags', '+frag_keyframe+empty_moov+default_base_moof+delay_moov+skip_trailer'],
    ...['-frag_duration', String(FRAGMENT_MS * 1000)],
    ...['-flush_packets', '1', 'pipe:1'],
  ]
}

/** Starts ffmpeg on the chunks of a capture and gives the segments as they close. */
export function startSegmenter(chunks: AsyncIterable<Buffer>, settings: SegmenterSettings): Segmenter {
  const child = startChild(settings.ffmpegPath ?? 'ffmpeg', segmentArgs(settings), {
    name: 'ffmpeg (segments)',
    stdin: 'pipe',
  })
  const { stdin } = child
  if (stdin === null) throw new Error('ffmpeg runs without standard input')
  const failed = Promise.withResolvers<SegmenterFailure>()
  const stopAsked = Promise.withResolvers<void>()
  const over = Promise.race([stopAsked.promise, child.exit])
  feedChild(chunks, stdin, over).catch((error: unknown) => {
    failed.resolve({ reason: 'source-failed', detail: String(error) })
  })

  const judgeExit = (exit: ChildExit) => {
    if (exit.reason === 'stopped' || (exit.reason === 'exited' && exit.code === 0)) return
    failed.resolve({ reason: 'ffmpeg-ended', detail: describeExit('ffmpeg', exit) })
  }
  // Whose turn it is: ffmpeg's while its output is being waited for, else the reader's.
  let turn: 'ffmpeg' | 'reader' = 'reader'
  let turnSinceMs = performance.now()
  const give = (next: typeof turn) => {
    turn = next
    turnSinceMs = performance.now()
  }
  async function* readOutput(): AsyncGenerator<Buffer> {
    give('ffmpeg')
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      give('reader')
      yield piece
      give('ffmpeg')
    }
  }
  async function* readSegments(): AsyncGenerator<Segment> {
    let readToTheEnd = false
    try {
      yield* groupFragments(readFragments(readOutput()), settings)
      readToTheEnd = true
    } catch (error) {
      if (!(error instanceof BadFragmentedMp4)) throw error
      failed.resolve({ reason: 'unreadable-output', detail: error.message })
    } finally {
      judgeExit(readToTheEnd ? await child.exit : await child.stop())
    }
  }

  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= (async () => {
      stopAsked.resolve()
      turnSinceMs = performance.now()
      const watch = setInterval(() => {
        const limitMs = turn === 'ffmpeg' ? FLUSH_TIMEOUT_MS : READER_TIMEOUT_MS
        if (performance.now() - turnSinceMs > limitMs) void child.stop()
      }, 250)
      await child.exit
      clearInterval(watch)
    })()
    return stopped
  }
  return {
    segments: readSegments(),
    pid: child.pid,
    failed: failed.promise,
    stop,
    // Leaving the scope without `stop()` gives up what nobody has read.
    [Symbol.asyncDispose]: async () => {
      await child.stop()
    },
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
