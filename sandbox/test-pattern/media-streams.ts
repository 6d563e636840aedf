import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'

export type PatternReadCode =
  | 'file_unreadable'
  | 'no_video'
  | 'tool_missing'
  | 'tool_failed'
  | 'took_too_long'

/** Why a recording could not be read; the message says what to do. */
export class PatternReadError extends Error {
  override name = 'PatternReadError'
  readonly code: PatternReadCode
  constructor(code: PatternReadCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface MediaFacts {
  width: number
  height: number
  /** The container's own duration; undefined where it states none (a Matroska file written live). */
  durationMs: number | undefined
  hasSound: boolean
}

/** What ffprobe says of the file's first video stream. */
export async function probe(file: string, signal: AbortSignal): Promise<MediaFacts> {
  const args = [
    '-v',
    'error',
    '-show_entries',
    'format=duration:stream=codec_type,width,height',
    '-of',
    'json',
    file,
  ]
  const { stdout } = await promisify(execFile)('ffprobe', args, { signal }).catch(
    (error: Error & { stderr?: string }) => {
      if ('code' in error && error.code === 'ENOENT') throw toolMissing('ffprobe', error)
      if (signal.aborted) throw tookTooLong(file, error)
      const reason = error.stderr?.trim() || error.message
      throw new PatternReadError('file_unreadable', `cannot read ${file} as a recording: ${reason}`, {
        cause: error,
      })
    },
  )
  const { streams = [], format = {} } = JSON.parse(stdout) as {
    streams?: { codec_type: string; width?: number; height?: number }[]
    format?: { duration?: string }
  }
  const video = streams.find(stream => stream.codec_type === 'video')
  if (!video?.width || !video.height) {
    throw new PatternReadError('no_video', `${file} has no picture: give a recording with a video stream`)
  }
  return {
    width: video.width,
    height: video.height,
    durationMs: format.duration ? Number(format.duration) * 1000 : undefined,
    hasSound: streams.some(stream => stream.codec_type === 'audio'),
  }
}

export interface LumaFrame {
  ptsMs: number
  /** One byte a pixel, row by row. The buffer is used again for the next frame. */
  luma: Uint8Array
}

/**
 * Every decoded frame of the first video stream in order, with its own presentation time; only one frame is held
 * at a time. Times come from `showinfo` in microseconds, because its `pts_time` is cut to six digits.
 */
export async function* videoFrames(
  file: string,
  facts: MediaFacts,
  signal: AbortSignal,
): AsyncGenerator<LumaFrame> {
  const filter = 'format=yuv420p,extractplanes=y,settb=1/1000000,showinfo=checksum=0'
  const args = ['-map', '0:v:0', '-vf', filter, '-fps_mode', 'passthrough', '-f', 'rawvideo', 'pipe:1']
  const decoder = startDecoder(file, args, /Parsed_showinfo.* n: *\d+ pts: *(-?\d+)/, signal)
  const luma = new Uint8Array(facts.width * facts.height)
  let filled = 0
  let index = 0
  for await (const chunk of decoder.output) {
    let taken = 0
    while (taken < chunk.length) {
      const size = Math.min(chunk.length - taken, luma.length - filled)
      luma.set(chunk.subarray(taken, taken + size), filled)
      taken += size
      filled += size
      if (filled < luma.length) continue
      const [ptsUs] = await decoder.line(index)
      yield { ptsMs: Number(ptsUs) / 1000, luma }
      filled = 0
      index += 1
    }
  }
  await decoder.done
}

export const sampleRate = 48_000

export interface SoundBlock {
  /** Presentation time of the first sample. */
  ptsMs: number
  /** Mono, −1 to 1, 48 kHz. */
  samples: Float32Array
}

/** Every decoded block of the first audio stream in order, with its own presentation time. */
export async function* soundBlocks(file: string, signal: AbortSignal): AsyncGenerator<SoundBlock> {
  const filter = `aformat=sample_fmts=flt:sample_rates=${sampleRate}:channel_layouts=mono,asettb=1/1000000,ashowinfo`
  const args = ['-map', '0:a:0', '-af', filter, '-f', 'f32le', 'pipe:1']
  const decoder = startDecoder(file, args, /Parsed_ashowinfo.* n:\d+ pts:(-?\d+) .* nb_samples:(\d+)/, signal)
  let waiting: Buffer = Buffer.alloc(0)
  let index = 0
  for await (const chunk of decoder.output) {
    waiting = waiting.length ? Buffer.concat([waiting, chunk]) : chunk
    while (waiting.length > 0) {
      const [ptsUs, count] = await decoder.line(index)
      const sizeBytes = Number(count) * 4
      if (waiting.length < sizeBytes) break
      // Copied, because a float array must start at a multiple of four bytes.
      const bytes = Uint8Array.prototype.slice.call(waiting, 0, sizeBytes)
      waiting = waiting.subarray(sizeBytes)
      yield { ptsMs: Number(ptsUs) / 1000, samples: new Float32Array(bytes.buffer) }
      index += 1
    }
  }
  await decoder.done
}

interface Decoder {
  output: AsyncIterable<Buffer>
  /** What `pattern` caught in the nth matching line of ffmpeg's log; waits for it. */
  line(index: number): Promise<string[]>
  /** Settles when ffmpeg has ended; rejects unless it ended well. */
  done: Promise<void>
}

/** Runs ffmpeg on the file; `signal` ends it. Log and data arrive by different pipes, in no order between them. */
function startDecoder(file: string, args: string[], pattern: RegExp, signal: AbortSignal): Decoder {
  const fixed = ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'info', '-copyts', '-i', file]
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn('ffmpeg', [...fixed, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  })
  const lines: string[][] = []
  const lastWords: string[] = []
  let wake = () => {}
  let failure: Error | undefined
  let ended = false

  const done = new Promise<void>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      failure = error.code === 'ENOENT' ? toolMissing('ffmpeg', error) : tookTooLong(file, error)
      wake()
      reject(failure)
    })
    child.once('close', code => {
      ended = true
      if (code !== 0) {
        failure ??= new PatternReadError(
          'tool_failed',
          `ffmpeg could not decode ${file}: ${lastWords.join(' | ')}`,
        )
      }
      wake()
      if (failure) reject(failure)
      else resolve()
    })
  })
  // The reader of `output` may stop early and never look at `done`.
  done.catch(() => child.stdout.destroy(failure))

  createInterface({ input: child.stderr }).on('line', text => {
    const match = pattern.exec(text)
    if (match) {
      lines.push(match.slice(1))
      wake()
      return
    }
    lastWords.push(text)
    if (lastWords.length > 5) lastWords.shift()
  })

  async function* output(): AsyncGenerator<Buffer> {
    try {
      yield* child.stdout as AsyncIterable<Buffer>
    } finally {
      if (!ended) child.kill('SIGKILL')
    }
  }

  async function line(index: number): Promise<string[]> {
    for (;;) {
      const found = lines[index]
      if (found) {
        delete lines[index - 1]
        return found
      }
      if (failure) throw failure
      if (ended)
        throw new PatternReadError('tool_failed', `ffmpeg gave data ${index} of ${file} without its time`)
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }

  return { output: output(), line, done }
}

const toolMissing = (tool: string, cause: Error) =>
  new PatternReadError('tool_missing', `${tool} is not installed: install ffmpeg (apt-get install ffmpeg)`, {
    cause,
  })

const tookTooLong = (file: string, cause: Error) =>
  new PatternReadError('took_too_long', `reading ${file} was ended by its time limit: raise timeoutMs`, {
    cause,
  })
