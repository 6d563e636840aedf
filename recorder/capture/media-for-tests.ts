import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './child-process.ts'
import { type Segment, startSegmenter } from './segmenter.ts'

export interface SampleSettings {
  seconds: number
  width?: number
  height?: number
  /** ffmpeg sources, `testsrc2` and a 440 Hz tone by default. */
  picture?: string
  sound?: string
}

/** A Matroska file as the tab capture makes it: H.264 without B frames, a key frame every 2 s, PCM sound. */
export async function makeCapture(dir: string, settings: SampleSettings): Promise<string> {
  const { seconds, width = 320, height = 180 } = settings
  const picture = settings.picture ?? 'testsrc2'
  const file = join(dir, `capture-${seconds}-${width}-${picture.split(/[=:]/)[0]}.mkv`)
  await ffmpeg([
    ...['-f', 'lavfi', '-i', `${picture}${picture.includes('=') ? ':' : '='}s=${width}x${height}:r=30`],
    ...['-f', 'lavfi', '-i', settings.sound ?? 'sine=f=440:r=44100,volume=-12dB'],
    ...[
      '-t',
      String(seconds),
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-bf',
      '0',
      '-g',
      '60',
      '-pix_fmt',
      'yuv420p',
    ],
    ...['-c:a', 'pcm_f32le', '-ac', '2', '-cluster_time_limit', '500', '-live', '1', file],
  ])
  return file
}

/** Runs ffmpeg to its end, overwriting its output. */
export async function ffmpeg(args: readonly string[]): Promise<void> {
  await runChild('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args], {
    name: 'ffmpeg (test)',
    timeoutMs: 60_000,
  })
}

/** All segments of a captured file. */
export async function segmentsOf(file: string, segmentSeconds = 4): Promise<Segment[]> {
  const chunks = createReadStream(file) as AsyncIterable<Buffer>
  await using segmenter = startSegmenter(chunks, { segmentSeconds, startedAtMs: 0, audioBitrate: 96_000 })
  return await gather(segmenter.segments)
}

/** A segment as `joinSegments` takes it. */
export function pieceOf(segment: Segment): () => AsyncIterable<Uint8Array> {
  return async function* () {
    yield segment.bytes
  }
}

/** Everything that comes, as a list. */
export async function gather<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
