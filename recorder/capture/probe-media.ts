// What a media file is, as ffprobe and the file's own boxes say.
import { z } from 'zod'
import { ChildProcessFailed, runChild } from './child-process.ts'
import { isMoovFirst, listTopLevelBoxes } from './mp4-layout.ts'

const PROBE_TIMEOUT_MS = 60_000

export interface MediaFacts {
  /** ffmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`. */
  container: string
  durationMs: number
  sizeBytes: number
  bitsPerSecond: number
  video?: {
    codec: string
    profile: string
    width: number
    height: number
    /** Pictures a second, on average. */
    fps: number
    durationMs: number
    startMs: number
    pictures: number
  }
  audio?: {
    codec: string
    sampleRate: number
    channels: number
    durationMs: number
    startMs: number
  }
  /** Read from the file's own boxes: a player can begin before it has the whole file. */
  moovFirst: boolean
  /** In fragments (`moof`), as the segments are; the finished file is not. */
  fragmented: boolean
}

/** A file that cannot be read as media. */
export class UnreadableMedia extends Error {
  readonly reason: 'not-media' | 'ffprobe-failed'

  constructor(reason: UnreadableMedia['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'UnreadableMedia'
    this.reason = reason
  }
}

const seconds = z.coerce.number().optional()
const probeSchema = z.object({
  format: z.object({
    format_name: z.string(),
    duration: seconds,
    size: z.coerce.number(),
    bit_rate: seconds,
  }),
  streams: z.array(
    z.object({
      codec_type: z.string().optional(),
      codec_name: z.string().optional(),
      profile: z.string().optional(),
      width: z.number().optional(),
      height: z.number().optional(),
      avg_frame_rate: z.string().optional(),
      nb_frames: z.coerce.number().optional(),
      sample_rate: z.coerce.number().optional(),
      channels: z.number().optional(),
      duration: seconds,
      start_time: seconds,
    }),
  ),
})

/** Looks at a media file without decoding it. Throws `UnreadableMedia`. */
export async function probeMedia(file: string): Promise<MediaFacts> {
  const { format, streams } = await runProbe(file)
  const boxes = await listTopLevelBoxes(file)
  const video = streams.find(({ codec_type }) => codec_type === 'video')
  const audio = streams.find(({ codec_type }) => codec_type === 'audio')
  return {
    container: format.format_name,
    durationMs: toMs(format.duration),
    sizeBytes: format.size,
    bitsPerSecond: format.bit_rate ?? 0,
    ...(video && {
      video: {
        codec: video.codec_name ?? 'unknown',
        profile: video.profile ?? 'unknown',
        width: video.width ?? 0,
        height: video.height ?? 0,
        fps: parseRatio(video.avg_frame_rate),
        durationMs: toMs(video.duration),
        startMs: toMs(video.start_time),
        pictures: video.nb_frames ?? 0,
      },
    }),
    ...(audio && {
      audio: {
        codec: audio.codec_name ?? 'unknown',
        sampleRate: audio.sample_rate ?? 0,
        channels: audio.channels ?? 0,
        durationMs: toMs(audio.duration),
        startMs: toMs(audio.start_time),
      },
    }),
    moovFirst: isMoovFirst(boxes),
    fragmented: boxes.some(({ type }) => type === 'moof'),
  }
}

async function runProbe(file: string): Promise<z.infer<typeof probeSchema>> {
  const args = ['-v', 'error', '-show_format', '-show_streams', '-of', 'json', `file:${file}`]
  try {
    const { stdout } = await runChild('ffprobe', args, { name: 'ffprobe', timeoutMs: PROBE_TIMEOUT_MS })
    return probeSchema.parse(JSON.parse(stdout))
  } catch (error) {
    if (error instanceof ChildProcessFailed && error.reason === 'exited') {
      throw new UnreadableMedia('not-media', `this is no readable media file: ${error.exit.stderrTail}`, {
        cause: error,
      })
    }
    throw new UnreadableMedia('ffprobe-failed', `the media file could not be looked at: ${String(error)}`, {
      cause: error,
    })
  }
}

function toMs(timeSeconds: number | undefined): number {
  return Math.round((timeSeconds ?? 0) * 1000)
}

function parseRatio(text: string | undefined): number {
  const [above = 0, below = 1] = (text ?? '0/1').split('/').map(Number)
  return below === 0 ? 0 : above / below
}
