// @ts-check
/**
 * The picture and sound a simulated participant sends: a moving person-like background, a name and clock for
 * humans, a time code for programs, and once a second a flash and a beep that start at the same instant.
 * Runs inside a page as a module without imports; `read-pattern.ts` reads a recording of it back with the same
 * layout, code and pitches, all exported here. Types stand in `pattern.in-page.d.ts`.
 */

/**
 * The code panel, in units (u) with its origin at the panel's top left. From the outside in: black margin, white
 * ring (what the reader looks for), black gap, cells. 60 u are 66 % of the picture's width, so that neither
 * `object-fit: cover` nor a label in a tile's corner reaches the panel.
 */
export const layout = {
  panelWidth: 60,
  panelHeight: 28,
  margin: 2,
  ring: 2,
  gap: 2,
  columns: 12,
  rows: 3,
  cell: 4,
  /** The flash is a bar of all columns in a fourth row, under the code. */
  flashRow: 3,
  /** Panel width and top edge as shares of the picture's width and height. */
  widthShare: 0.66,
  topShare: 0.16,
}

/** Time codes count wall-clock milliseconds modulo this (2 h 46 min 40 s; whole seconds stay whole). */
export const codeModuloMs = 10_000_000
/** Time codes are rounded to this. */
export const codeStepMs = 10
/** Length of a flash and of a beep. */
export const beepMs = 100
/** Most participants one recording can hold: four bits, 0 is not used. */
export const maxParticipant = 15

/**
 * When within each wall-clock second a participant flashes and beeps: eight slots 120 ms apart, so that the beeps
 * of participants 1 to 8 do not overlap.
 * @param {number} participant
 */
export const slotMs = participant => ((participant - 1) % 8) * 120

/**
 * Pitch in Hz: 550, 750, … 3350. 200 Hz apart makes them orthogonal in any 5 or 10 ms window; being odd multiples
 * of 50 Hz they are no second or third harmonics of each other.
 * @param {number} participant
 */
export const pitchHz = participant => 350 + 200 * participant

/**
 * CRC-12 (polynomial 0x80f, start 0xfff) over bits.
 * @param {readonly number[]} bits
 */
export function checksum(bits) {
  let crc = 0xfff
  for (const bit of bits) {
    const top = (crc >> 11) & 1
    crc = (crc << 1) & 0xfff
    if (top !== bit) crc ^= 0x80f
  }
  return crc
}

/**
 * @param {number} value
 * @param {number} count
 */
const bitsOf = (value, count) =>
  Array.from({ length: count }, (_, index) => (value >> (count - 1 - index)) & 1)

/**
 * The 36 cells of the code, row by row, 1 is white: 4 bits participant, 20 bits time in steps, 12 bits checksum.
 * @param {number} participant
 * @param {number} codeMs time code, a multiple of `codeStepMs` below `codeModuloMs`
 */
export function codeCells(participant, codeMs) {
  const data = [...bitsOf(participant, 4), ...bitsOf(codeMs / codeStepMs, 20)]
  return [...data, ...bitsOf(checksum(data), 12)]
}

/**
 * The time code shown at a wall-clock time.
 * @param {number} wallMs
 */
export const codeAt = wallMs => (Math.round(wallMs / codeStepMs) * codeStepMs) % codeModuloMs

/**
 * Whether a participant flashes at a time code.
 * @param {number} participant
 * @param {number} codeMs
 */
export function flashesAt(participant, codeMs) {
  const sinceSlotMs = (codeMs - slotMs(participant) + codeModuloMs) % 1000
  return sinceSlotMs < beepMs
}

/**
 * Starts drawing and beeping, see `pattern.in-page.d.ts`.
 * @param {import('./pattern.in-page.d.ts').PatternSettings} settings
 * @returns {import('./pattern.in-page.d.ts').RunningPattern}
 */
export function startPattern({ participant, name, width, height, fps, audioContext, destination }) {
  if (!Number.isInteger(participant) || participant < 1 || participant > maxParticipant) {
    throw new RangeError(`participant must be a whole number from 1 to ${maxParticipant}, not ${participant}`)
  }
  const painter = makePainter({ participant, name, width, height })
  const context = audioContext ?? new AudioContext({ sampleRate: 48_000 })
  const beeper = makeBeeper(participant, context, destination)
  const stream = new MediaStream([
    // Without a frame rate every drawing is captured; with one, a second timer would drop some.
    ...painter.canvas.captureStream().getVideoTracks(),
    ...beeper.stream.getAudioTracks(),
  ])
  let drawnAtMs = Number.NEGATIVE_INFINITY
  const stopTicks = startTicks(1000 / fps, () => {
    const nowMs = performance.now()
    // A blocked page gets all its missed ticks at once; only the first of them is worth a frame.
    if (nowMs - drawnAtMs < 500 / fps) return
    drawnAtMs = nowMs
    painter.draw(Date.now())
    beeper.schedule()
  })
  painter.draw(Date.now())
  return {
    stream,
    canvas: painter.canvas,
    stop() {
      stopTicks()
      for (const track of stream.getTracks()) track.stop()
      beeper.stop()
      if (!audioContext) void context.close()
    },
  }
}

/** Ticks from a worker, because a page's own timers are slowed to one a second behind another tab. */
const tickWorkerSource = `onmessage = ({ data: periodMs }) => {
  let dueMs = performance.now()
  const tick = () => {
    postMessage(0)
    const nowMs = performance.now()
    dueMs = Math.max(dueMs + periodMs, nowMs)
    setTimeout(tick, dueMs - nowMs)
  }
  tick()
}`

/**
 * Calls `tick` every `periodMs`; returns what ends it. Falls back to a page timer where a page's content security
 * policy refuses workers from blobs.
 * @param {number} periodMs
 * @param {() => void} tick
 */
function startTicks(periodMs, tick) {
  let stopped = false
  /** @type {number | undefined} */
  let interval
  const fallBack = () => {
    if (!stopped) interval ??= window.setInterval(tick, periodMs)
  }
  /** @type {Worker | undefined} */
  let worker
  const url = URL.createObjectURL(new Blob([tickWorkerSource], { type: 'text/javascript' }))
  try {
    worker = new Worker(url)
    worker.onerror = fallBack
    worker.onmessage = () => {
      if (!stopped) tick()
    }
    worker.postMessage(periodMs)
  } catch (error) {
    console.warn('test pattern: no worker, using a page timer', error)
    fallBack()
  }
  return () => {
    stopped = true
    worker?.terminate()
    clearInterval(interval)
    URL.revokeObjectURL(url)
  }
}

/** @param {{ participant: number, name: string, width: number, height: number }} settings */
function makePainter({ participant, name, width, height }) {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  // Every frame is read back by captureStream: a canvas in plain memory makes that a copy.
  const pen = canvas.getContext('2d', { alpha: false, willReadFrequently: true })
  if (!pen) throw new Error('this page gives no 2d canvas')
  const hue = (participant * 137) % 360
  const backdrop = makeBackdrop(width, height, hue, participant)
  const travel = backdrop.width - width
  const unit = (width * layout.widthShare) / layout.panelWidth
  const left = (width - layout.panelWidth * unit) / 2
  const top = height * layout.topShare
  /** @param {number} u */
  const px = u => Math.round(left + u * unit)
  /** @param {number} u */
  const py = u => Math.round(top + u * unit)
  // Whole pixels: neighbouring cells would otherwise show a seam.
  /** @type {(x: number, y: number, w: number, h: number) => void} */
  const box = (x, y, w, h) => pen.fillRect(px(x), py(y), px(x + w) - px(x), py(y + h) - py(y))
  const { panelWidth, panelHeight, margin, ring, gap, columns, cell, flashRow } = layout
  const inset = margin + ring
  const origin = inset + gap

  /** @param {number} wallMs */
  const draw = wallMs => {
    const swing = Math.sin(wallMs / 1700)
    pen.drawImage(backdrop, -Math.round(((swing + 1) / 2) * travel), 0)
    drawPerson(pen, width, height, hue, wallMs)
    const codeMs = codeAt(wallMs)
    pen.fillStyle = '#000'
    box(0, 0, panelWidth, panelHeight)
    pen.fillStyle = '#fff'
    box(margin, margin, panelWidth - 2 * margin, panelHeight - 2 * margin)
    pen.fillStyle = '#000'
    box(inset, inset, panelWidth - 2 * inset, panelHeight - 2 * inset)
    pen.fillStyle = '#fff'
    codeCells(participant, codeMs).forEach((bit, index) => {
      if (bit) box(origin + (index % columns) * cell, origin + Math.floor(index / columns) * cell, cell, cell)
    })
    if (flashesAt(participant, codeMs)) box(origin, origin + flashRow * cell, columns * cell, cell)
    pen.textAlign = 'center'
    pen.font = `${Math.round(height * 0.1)}px sans-serif`
    pen.fillText(name, width / 2, height * 0.83, width * 0.66)
    pen.font = `${Math.round(height * 0.08)}px monospace`
    pen.fillText(new Date(wallMs).toISOString().slice(11, 23), width / 2, height * 0.94)
  }
  return { canvas, draw }
}

/**
 * A wall of blurry coloured blocks wider than the picture, painted once and then only moved.
 * @param {number} width
 * @param {number} height
 * @param {number} hue
 * @param {number} seed
 */
function makeBackdrop(width, height, hue, seed) {
  const canvas = document.createElement('canvas')
  canvas.width = Math.round(width * 1.2)
  canvas.height = height
  const pen = canvas.getContext('2d', { alpha: false, willReadFrequently: true })
  if (!pen) throw new Error('this page gives no 2d canvas')
  let state = seed * 7919 + 1
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
  const step = Math.max(4, Math.round(width / 32))
  for (let y = 0; y < canvas.height; y += step) {
    for (let x = 0; x < canvas.width; x += step) {
      pen.fillStyle = `hsl(${hue + random() * 40} 35% ${22 + random() * 14}%)`
      pen.fillRect(x, y, step, step)
    }
  }
  return canvas
}

/**
 * Head and shoulders that sway behind the panel.
 * @param {CanvasRenderingContext2D} pen
 * @param {number} width
 * @param {number} height
 * @param {number} hue
 * @param {number} wallMs
 */
function drawPerson(pen, width, height, hue, wallMs) {
  const x = width / 2 + Math.sin(wallMs / 900) * width * 0.05
  const y = height * 0.42 + Math.sin(wallMs / 530) * height * 0.03
  pen.fillStyle = `hsl(${(hue + 180) % 360} 40% 30%)`
  pen.beginPath()
  pen.ellipse(x, height * 1.1, width * 0.47, height * 0.5, 0, 0, Math.PI * 2)
  pen.fill()
  pen.fillStyle = 'hsl(25 35% 45%)'
  pen.beginPath()
  pen.ellipse(x, y, height * 0.3, height * 0.4, 0, 0, Math.PI * 2)
  pen.fill()
}

/** How far ahead beeps are given to the audio thread: a page blocked for less than this loses none. */
const lookAheadMs = 1500
/** How long readings of the two clocks are kept. */
const clockWindowMs = 3000
const beepVolume = 0.25
const rampS = 0.002

/**
 * @param {number} participant
 * @param {AudioContext} context
 * @param {AudioNode | undefined} destination
 */
function makeBeeper(participant, context, destination) {
  const output = context.createMediaStreamDestination()
  output.channelCount = 1
  const mix = context.createGain()
  mix.connect(output)
  if (destination) mix.connect(destination)
  // Without a user gesture this stays pending where the browser's autoplay policy says so.
  if (context.state === 'suspended') void context.resume()
  const beginAtMs = Date.now() + 300
  let nextSecond = Math.ceil(beginAtMs / 1000)
  /** @type {{ wallMs: number, leadMs: number }[]} */
  const readings = []

  const schedule = () => {
    if (context.state !== 'running') return
    const wallMs = Date.now()
    readings.push({ wallMs, leadMs: context.currentTime * 1000 - wallMs })
    while (readings[0] && readings[0].wallMs < wallMs - clockWindowMs) readings.shift()
    if (wallMs < beginAtMs) return
    // currentTime stands still between the audio thread's visits, so a reading is late or right, never early.
    const leadMs = Math.max(...readings.map(reading => reading.leadMs))
    while (nextSecond * 1000 + slotMs(participant) < wallMs + lookAheadMs) {
      const startS = (nextSecond * 1000 + slotMs(participant) + leadMs) / 1000
      if (startS > context.currentTime) beep(startS)
      nextSecond += 1
    }
  }

  /** @param {number} startS */
  const beep = startS => {
    const endS = startS + beepMs / 1000
    const tone = new OscillatorNode(context, { frequency: pitchHz(participant) })
    const volume = new GainNode(context, { gain: 0 })
    volume.gain.setValueAtTime(0, startS)
    volume.gain.linearRampToValueAtTime(beepVolume, startS + rampS)
    volume.gain.setValueAtTime(beepVolume, endS - rampS)
    volume.gain.linearRampToValueAtTime(0, endS)
    tone.connect(volume).connect(mix)
    tone.onended = () => volume.disconnect()
    tone.start(startS)
    tone.stop(endS)
  }

  return { stream: output.stream, schedule, stop: () => mix.disconnect() }
}
