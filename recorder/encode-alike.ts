// Attempts that differ in picture size or encoding → all of them encoded the same way, so that they can be joined.
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { describeExit, startChild } from './capture/child-process.ts'
import { feedChild } from './capture/feed-child.ts'
import { type AttemptPieces, JoinFailed } from './capture/join-segments.ts'
import { listTopLevelBoxes } from './capture/mp4-layout.ts'
import { probeMedia } from './capture/probe-media.ts'

const ENCODE_TIMEOUT_MS = 5 * 3_600_000
const FPS = 30

/**
 * Encodes every part again (H.264, AAC), in the size of the first one with black bars where the shape differs. Only
 * encodings by the same settings have the same parameter sets, so the first one cannot stay as it is. Costs about an
 * eighth of the media's time on two cores, and only where attempts really differ.
 * @param parts of which each is shown for `lastsMs` from its first picture on
 * @returns parts in files of `workDir`, nothing to be cut off any more
 */
export async function encodeAlike(
  parts: readonly (AttemptPieces & { lastsMs: number })[],
  workDir: string,
  signal: AbortSignal,
): Promise<AttemptPieces[]> {
  const encoded: AttemptPieces[] = []
  let size: { width: number; height: number } | undefined
  for (const [index, part] of parts.entries()) {
    const file = join(workDir, `again-${index}.mp4`)
    await encode(part, file, size, signal)
    if (size === undefined) {
      const { video } = await probeMedia(file)
      size = video && { width: video.width, height: video.height }
    }
    encoded.push(await splitFile(file))
  }
  return encoded
}

async function encode(
  part: AttemptPieces & { lastsMs: number },
  file: string,
  size: { width: number; height: number } | undefined,
  signal: AbortSignal,
): Promise<void> {
  await using child = startChild('ffmpeg', encodeArgs(part.lastsMs, file, size), {
    name: 'ffmpeg (encode again)',
    timeoutMs: ENCODE_TIMEOUT_MS,
    stdin: 'pipe',
    signal,
  })
  if (child.stdin === null) throw new Error('ffmpeg runs without standard input')
  child.stdout.resume()
  await feedChild(readAll([part.init, ...part.media]), child.stdin, child.exit)
  const exit = await child.exit
  if (exit.reason !== 'exited' || exit.code !== 0)
    throw new JoinFailed('ffmpeg-failed', describeExit('ffmpeg', exit))
}

/** ffmpeg's command line (a pure value): constant rate, so that the parameter sets say the same of every part. */
function encodeArgs(
  lastsMs: number,
  file: string,
  size: { width: number; height: number } | undefined,
): string[] {
  const fit = size
    ? `scale=${size.width}:${size.height}:force_original_aspect_ratio=decrease,pad=${size.width}:${size.height}:-1:-1,setsar=1,`
    : 'setsar=1,'
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-f', 'mp4', '-i', 'pipe:0'],
    ...['-map', '0:v:0', '-map', '0:a:0', '-t', (lastsMs / 1000).toFixed(3)],
    ...['-vf', `${fit}fps=${FPS},format=yuv420p`, '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '21'],
    ...[
      '-profile:v',
      'high',
      '-level',
      '4.1',
      '-bf',
      '0',
      '-g',
      String(FPS * 4),
      '-video_track_timescale',
      '90000',
    ],
    ...['-af', 'aresample=async=1000:first_pts=0', '-c:a', 'aac', '-b:a', '128k', '-ar', '48000', '-ac', '2'],
    ...[
      '-movflags',
      '+frag_keyframe+empty_moov+default_base_moof+delay_moov',
      '-f',
      'mp4',
      '-y',
      `file:${file}`,
    ],
  ]
}

async function* readAll(sources: readonly AttemptPieces['init'][]): AsyncGenerator<Uint8Array> {
  for (const source of sources) yield* typeof source === 'string' ? createReadStream(source) : await source()
}

async function splitFile(file: string): Promise<Pick<AttemptPieces, 'init' | 'media'>> {
  const boxes = await listTopLevelBoxes(file)
  const first = boxes.find(({ type }) => type === 'moof')
  if (first === undefined) throw new JoinFailed('no-media', 'an attempt encoded again has no pictures')
  const from = first.startBytes
  return {
    init: () => createReadStream(file, { end: from - 1 }),
    media: [() => createReadStream(file, { start: from })],
  }
}
