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
  /** x264 in ffmpeg's own option form, `key=value:key=value`. */
  x264?: string
}

/** A Matroska file as the tab capture makes it: H.264 without B frames, a key frame every 2 s, PCM sound. */
export async function makeCapture(dir: string, settings: SampleSettings): Promise<string> {
  const { seconds, width = 320, height = 180 } = settings
  const picture = settings.picture ?? 'testsrc2'
  const name = [seconds, width, picture.split(/[=:]/)[0], settings.x264 ?? '']
    .join('-')
    .replaceAll(/[^\w-]/g, '_')
  const file = join(dir, `capture-${name}.mkv`)
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
    ...(settings.x264 === undefined ? [] : ['-x264-params', settings.x264]),
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
export async function segmentsOf(
  file: string,
  segmentSeconds = 4,
  audioBitrate = 96_000,
): Promise<Segment[]> {
  const chunks = createReadStream(file) as AsyncIterable<Buffer>
  await using segmenter = startSegmenter(chunks, { segmentSeconds, startedAtMs: 0, audioBitrate })
  return await gather(segmenter.segments)
}

/** Decodes everything; gives what ffmpeg complains of and a hash of each picture at a constant 30 a second. */
export async function decode(file: string): Promise<{ complaints: string; hashes: string[] }> {
  const args = [
    '-v',
    'warning',
    '-xerror',
    '-i',
    file,
    '-fps_mode',
    'cfr',
    '-r',
    '30',
    '-f',
    'framehash',
    '-',
  ]
  const { stdout, stderrTail } = await runChild('ffmpeg', args, {
    name: 'ffmpeg (decode)',
    timeoutMs: 60_000,
  })
  const pictures = stdout.split('\n').filter(line => line.startsWith('0,'))
  return { complaints: stderrTail, hashes: pictures.map(line => line.split(',').at(-1)?.trim() ?? '') }
}

/** The same segment, whose last fragment has an index that promises data far behind its end. */
export function withBrokenEnd(segment: Segment): Segment {
  const bytes = Buffer.from(segment.bytes)
  // ISO/IEC 14496-12 §8.8.8: the type, version and flags, the number of samples, where their data begin.
  bytes.writeUInt32BE(bytes.length * 2, bytes.lastIndexOf('trun') + 12)
  return { ...segment, bytes }
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
