// Chosen samples of a file through ffmpeg, in their order: what a decoder makes of them and what it complains about.
import { open } from 'node:fs/promises'
import { type ChildOptions, describeExit, startChild } from './child-process.ts'
import { UnknownEncoding } from './elementary-streams.ts'
import { feedChild } from './feed-child.ts'
import type { SampleTable } from './sample-tables.ts'

export interface LookOptions {
  timeoutMs: number
  signal?: AbortSignal
}

/** At most `most` of these, evenly spread, the first and the last among them. */
export function spread<T>(all: ArrayLike<T>, most: number): T[] {
  const count = Math.min(all.length, most)
  const step = count < 2 ? 0 : (all.length - 1) / (count - 1)
  return Array.from({ length: count }, (_, index) => all[Math.round(index * step)] as T)
}

/** How samples become something a decoder reads, and who takes what it gives. */
interface Decoder {
  frame: (sample: Buffer) => Buffer
  input: string[]
  output: string[]
  read: (decoded: Buffer) => void
}

/** Samples of a file through ffmpeg, in their order. What goes wrong with the media is a complaint, not an error. */
export async function decodeSamples(
  file: string,
  table: SampleTable,
  samples: readonly number[],
  { timeoutMs, signal }: LookOptions,
  open: () => Decoder,
): Promise<{ complaints: string }> {
  let decoder: Decoder
  try {
    decoder = open()
  } catch (error) {
    if (error instanceof UnknownEncoding || error instanceof RangeError) return { complaints: error.message }
    throw error
  }
  const options: ChildOptions = {
    name: `ffmpeg (${table.kind})`,
    stdin: 'pipe',
    timeoutMs,
    ...(signal && { signal }),
  }
  // Threads of their own hold pictures of their own.
  const args = ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+error', '-threads', '1']
  await using child = startChild(
    'ffmpeg',
    [...args, ...decoder.input, '-i', 'pipe:0', ...decoder.output, 'pipe:1'],
    options,
  )
  if (child.stdin === null) throw new Error('ffmpeg runs without standard input')
  const fed = feedChild(readSamples(file, table, samples, decoder.frame), child.stdin, child.exit)
  const [outcome] = await Promise.allSettled([fed, drain(child.stdout, decoder.read)])
  if (outcome.status === 'rejected') throw outcome.reason
  const exit = await child.exit
  if (exit.reason !== 'exited') throw new Error(describeExit('ffmpeg', exit))
  const complaints = exit.stderrTail
    .split('\n')
    .filter(line => /\[(error|fatal|panic)\]/.test(line))
    .join('\n')
  return { complaints: complaints || (exit.code === 0 ? '' : describeExit('ffmpeg', exit)) }
}

async function drain(stream: AsyncIterable<unknown>, read: (piece: Buffer) => void): Promise<void> {
  for await (const piece of stream) read(piece as Buffer)
}

const BATCH_BYTES = 256 * 1024

/** Reads samples, those that lie behind one another in one go. */
async function* readSamples(
  file: string,
  table: SampleTable,
  samples: readonly number[],
  frame: (sample: Buffer) => Buffer,
): AsyncGenerator<Buffer> {
  await using handle = await open(file, 'r')
  let frames: Buffer[] = []
  let heldBytes = 0
  for (let at = 0; at < samples.length; ) {
    const from = table.offsetBytes(samples[at] as number)
    let end = from
    const sizes: number[] = []
    for (; at < samples.length && end - from < BATCH_BYTES; at++) {
      const sample = samples[at] as number
      if (table.offsetBytes(sample) !== end) break
      sizes.push(table.sizeBytes(sample))
      end += table.sizeBytes(sample)
    }
    const bytes = Buffer.alloc(end - from)
    // What lies past the end of a file that was cut off stays zeros, and the decoder complains.
    await handle.read(bytes, 0, bytes.length, from)
    let start = 0
    for (const size of sizes) {
      frames.push(frame(bytes.subarray(start, start + size)))
      start += size
      heldBytes += size
    }
    if (heldBytes >= BATCH_BYTES) {
      yield Buffer.concat(frames)
      frames = []
      heldBytes = 0
    }
  }
  if (frames.length > 0) yield Buffer.concat(frames)
}
