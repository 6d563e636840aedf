import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { beepMs, codeAt, codeCells, flashesAt, layout, pitchHz, slotMs } from './pattern.in-page.js'

/** A participant's tile: the place of a 16:9 picture in px; the panel in it is found by the layout's shares. */
export interface DrawnTile {
  participant: number
  x: number
  y: number
  width: number
}

export interface DrawnSettings {
  /** H.264 and AAC in MP4, 1280×720. */
  file: string
  seconds: number
  fps: number
  /** Wall-clock time of the first frame. */
  startWallMs: number
  /** The tiles in the picture at a time of the file. */
  tilesAt(ptsMs: number): DrawnTile[]
  /** Who beeps, and how much later than the flash each beep comes, in ms; a number of the time of the file. */
  soundDelaysMs: Map<number, (ptsMs: number) => number>
  /** Luma around the tiles. */
  backgroundLuma?: number
}

const width = 1280
const height = 720
const rate = 48_000

/** Makes a recording whose every frame and beep is known exactly, without a browser: the reader's yardstick. */
export async function drawRecording(settings: DrawnSettings): Promise<void> {
  const soundFile = `${settings.file}.f32`
  const sound = synthesize(settings)
  await writeFile(soundFile, new Uint8Array(sound.buffer))
  const raw = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'gray',
    '-s',
    `${width}x${height}`,
    '-r',
    `${settings.fps}`,
    '-i',
    'pipe:0',
  ]
  const waves = ['-f', 'f32le', '-ar', `${rate}`, '-ac', '1', '-i', soundFile]
  const codecs = [
    '-pix_fmt',
    'yuv420p',
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-c:a',
    'aac',
    '-b:a',
    '96k',
  ]
  const encoder = spawn('ffmpeg', ['-v', 'error', '-y', ...raw, ...waves, ...codecs, settings.file], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  const ended = once(encoder, 'close')
  for (let index = 0; index < settings.seconds * settings.fps; index += 1) {
    const frame = drawFrame(settings, (index * 1000) / settings.fps)
    if (!encoder.stdin.write(frame)) await Promise.race([once(encoder.stdin, 'drain'), ended])
  }
  encoder.stdin.end()
  const [code] = await ended
  if (code !== 0) throw new Error(`ffmpeg could not draw ${settings.file}`)
}

function drawFrame({ startWallMs, tilesAt, backgroundLuma = 90 }: DrawnSettings, ptsMs: number): Uint8Array {
  const luma = new Uint8Array(width * height).fill(backgroundLuma)
  for (const { participant, x, y, width: tileWidth } of tilesAt(ptsMs)) {
    const unit = (tileWidth * layout.widthShare) / layout.panelWidth
    const left = x + (tileWidth - layout.panelWidth * unit) / 2
    const top = y + ((tileWidth * 9) / 16) * layout.topShare
    const box = (bx: number, by: number, w: number, h: number, value: number) => {
      const [x0, x1] = [Math.round(left + bx * unit), Math.round(left + (bx + w) * unit)]
      for (let row = Math.round(top + by * unit); row < Math.round(top + (by + h) * unit); row += 1) {
        luma.fill(value, row * width + x0, row * width + x1)
      }
    }
    const { panelWidth, panelHeight, margin, ring, gap, columns, cell, flashRow } = layout
    const codeMs = codeAt(startWallMs + ptsMs)
    const cellsAt = margin + ring + gap
    box(0, 0, panelWidth, panelHeight, 0)
    box(margin, margin, panelWidth - 2 * margin, panelHeight - 2 * margin, 255)
    box(margin + ring, margin + ring, panelWidth - 2 * (margin + ring), panelHeight - 2 * (margin + ring), 0)
    codeCells(participant, codeMs).forEach((bit, index) => {
      const [column, row] = [index % columns, Math.floor(index / columns)]
      if (bit) box(cellsAt + column * cell, cellsAt + row * cell, cell, cell, 255)
    })
    if (flashesAt(participant, codeMs)) box(cellsAt, cellsAt + flashRow * cell, columns * cell, cell, 255)
  }
  return luma
}

function synthesize({ seconds, startWallMs, soundDelaysMs }: DrawnSettings): Float32Array<ArrayBuffer> {
  const samples = new Float32Array(seconds * rate)
  for (const [participant, delayMs] of soundDelaysMs) {
    const firstMs =
      Math.ceil((startWallMs - slotMs(participant)) / 1000) * 1000 + slotMs(participant) - startWallMs
    for (let flashMs = firstMs; flashMs < seconds * 1000; flashMs += 1000) {
      const from = Math.round(((flashMs + delayMs(flashMs)) * rate) / 1000)
      for (
        let at = Math.max(0, from);
        at < Math.min(samples.length, from + (beepMs * rate) / 1000);
        at += 1
      ) {
        samples[at] =
          (samples[at] ?? 0) + 0.12 * Math.sin((2 * Math.PI * pitchHz(participant) * (at - from)) / rate)
      }
    }
  }
  return samples
}
