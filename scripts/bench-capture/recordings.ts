// The two ways of recording that are compared. Both run until `stop()` and leave a file.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecorderBrowser } from '../../recorder/browser.ts'
import { startChild } from '../../recorder/capture/child-process.ts'
import { joinSegments } from '../../recorder/capture/join-segments.ts'
import { startSegmenter } from '../../recorder/capture/segmenter.ts'
import { startTabCapture } from '../../recorder/capture/tab-capture.ts'

export interface Picture {
  width: number
  height: number
  fps: number
  videoBitsPerSecond: number
  audioBitsPerSecond: number
}

export interface RunningRecording {
  /** Processes beside the browser that do the recording. */
  pids: number[]
  /** Ends the recording and gives the finished file. */
  stop(): Promise<string>
}

/** Ours: the tab captured in the browser, encoded once, cut into segments. */
export async function recordByTabCapture(
  browser: RecorderBrowser,
  picture: Picture,
  dir: string,
): Promise<RunningRecording> {
  const capture = await startTabCapture(browser, { ...picture, keyFrameSeconds: 2 })
  const segmenter = startSegmenter(capture.chunks, {
    segmentSeconds: 4,
    startedAtMs: capture.startedAt,
    audioBitrate: picture.audioBitsPerSecond,
  })
  const written = (async () => {
    const files: string[] = []
    for await (const { number, bytes } of segmenter.segments) {
      const file = join(dir, `segment-${number}`)
      await writeFile(file, bytes)
      files.push(file)
    }
    return files
  })()
  return {
    pids: segmenter.pid === undefined ? [] : [segmenter.pid],
    stop: async () => {
      await capture.stop()
      const [init, ...media] = await written
      const file = join(dir, 'tab.mp4')
      await joinSegments([{ init: init ?? '', media }], file)
      return file
    },
  }
}

/** The usual way: the X display grabbed, the sound server's output recorded, both encoded by ffmpeg. */
export function recordByScreenGrab(display: string, picture: Picture, dir: string): RunningRecording {
  const { width, height, fps, videoBitsPerSecond, audioBitsPerSecond } = picture
  const file = join(dir, 'grab.mp4')
  const child = startChild(
    'ffmpeg',
    [
      ...['-v', 'error', '-nostdin', '-y', '-thread_queue_size', '1024', '-f', 'x11grab', '-draw_mouse', '0'],
      ...['-video_size', `${width}x${height}`, '-framerate', String(fps), '-i', display],
      ...['-thread_queue_size', '1024', '-f', 'pulse', '-ac', '2', '-i', 'meeting.monitor'],
      ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', String(2 * fps)],
      ...['-b:v', String(videoBitsPerSecond), '-maxrate', String(videoBitsPerSecond * 2)],
      ...[
        '-bufsize',
        String(videoBitsPerSecond * 2),
        '-c:a',
        'aac',
        '-b:a',
        String(audioBitsPerSecond),
        file,
      ],
    ],
    { name: 'ffmpeg (x11grab)', killAfterMs: 20_000 },
  )
  child.stdout.resume()
  return {
    pids: child.pid === undefined ? [] : [child.pid],
    stop: async () => {
      const { stderrTail, reason } = await child.stop()
      if (reason !== 'stopped') throw new Error(`the screen grab ended too early: ${stderrTail}`)
      return file
    },
  }
}
