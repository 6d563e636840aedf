// Segments of a call of any length: one minute is encoded, and comes again and again with its times moved on.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { moveFragment, readFragments } from '../../recorder/capture/fragments.ts'
import { ffmpeg, segmentsOf } from '../../recorder/capture/media-for-tests.ts'
import type { Segment } from '../../recorder/capture/segmenter.ts'

/** A whole number of pictures at 30 a second, of frames of sound, and of segments. */
const LOOP_MS = 64_000
const SEGMENT_SECONDS = 4

/** A call as segments, made as they are asked for. */
export interface LongCall {
  /** Segments of the first `minutes` of the call. */
  segments(
    minutes: number,
  ): AsyncIterable<Pick<Segment, 'number' | 'bytes' | 'sha256' | 'startMs' | 'durationMs'>>
  bitsPerSecond: number
}

/** Encodes a minute of moving picture and sound at a real bit rate (720p30, about 2 Mbit/s). */
export async function encodeLongCall(dir: string, videoBitsPerSecond: number): Promise<LongCall> {
  const file = `${dir}/loop.mkv`
  const rate = String(videoBitsPerSecond)
  await ffmpeg([
    ...['-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=30,noise=alls=12:allf=t'],
    ...['-f', 'lavfi', '-i', 'aevalsrc=0.2*sin(2*PI*(300+40*sin(t))*t)*(0.6+0.4*sin(3*t)):s=48000'],
    ...['-t', String(LOOP_MS / 1000), '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '60'],
    ...['-b:v', rate, '-minrate', rate, '-maxrate', rate, '-bufsize', rate, '-x264-params', 'nal-hrd=cbr'],
    ...[
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'pcm_f32le',
      '-ac',
      '2',
      '-cluster_time_limit',
      '500',
      '-live',
      '1',
      file,
    ],
  ])
  const loop = await segmentsOf(file, SEGMENT_SECONDS)
  const [init, ...media] = loop
  if (init === undefined) throw new Error('the segmenter gave nothing')
  const sizeBytes = media.reduce((sum, { bytes }) => sum + bytes.length, 0)
  return {
    bitsPerSecond: (sizeBytes * 8000) / LOOP_MS,
    async *segments(minutes) {
      yield init
      for (let number = 1; (number - 1) * SEGMENT_SECONDS < minutes * 60; number++) {
        const from = media[(number - 1) % media.length] as Segment
        const byMs = Math.floor((number - 1) / media.length) * LOOP_MS
        const bytes = await moved(init.bytes, from.bytes, byMs)
        const sha256 = createHash('sha256').update(bytes).digest('hex')
        yield { number, bytes, sha256, startMs: from.startMs + byMs, durationMs: from.durationMs }
      }
    },
  }
}

async function moved(init: Buffer, segment: Buffer, byMs: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of readFragments(Readable.from([init, Buffer.from(segment)]))) {
    if (piece.kind === 'init') continue
    moveFragment(piece, () => byMs)
    pieces.push(piece.bytes)
  }
  return Buffer.concat(pieces)
}
