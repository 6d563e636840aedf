import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import puppeteer from 'puppeteer-core'
import { patternSource } from './pattern-page.ts'

/** Where on the recorded 1280×720 picture a participant stands, in px, and how large; cropped as `object-fit: cover`. */
export interface TilePlace {
  x: number
  y: number
  width: number
  height: number
}

export interface LoopbackSettings {
  /** One participant per place, numbered from 1. */
  places: TilePlace[]
  seconds: number
  fps: number
  /** Bit rate of each participant's VP8. */
  bitsPerSecond: number
  /** Where the recording goes (Matroska, H.264 and Opus). */
  file: string
  /** Another tab is in front of the recording page all the time. */
  inBackground?: boolean
}

/**
 * Records patterns as a meeting would bring them: 640×360 each, sent through a WebRTC connection of its own within
 * one page of a real browser, put into tiles of one picture, recorded by `MediaRecorder`. The browser is
 * `CHROMIUM_PATH` or /usr/bin/chromium.
 */
export async function recordLoopback(settings: LoopbackSettings): Promise<void> {
  const html = page(settings)
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(html))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-features=WebRtcHideLocalIpsWithMdns',
    ],
  })
  try {
    const tab = await browser.newPage()
    const output = createWriteStream(settings.file)
    const ended = new Promise<void>((resolve, reject) => {
      tab.on('pageerror', reject)
      output.once('error', reject).once('close', resolve)
    })
    await tab.exposeFunction('take', (base64: string) => output.write(Buffer.from(base64, 'base64')))
    await tab.exposeFunction('done', () => output.end())
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    if (settings.inBackground) await (await browser.newPage()).bringToFront()
    const limit = AbortSignal.timeout((settings.seconds + 30) * 1000)
    await Promise.race([
      ended,
      once(limit, 'abort').then(() => Promise.reject(new Error('the recording did not end in time'))),
    ])
  } finally {
    await browser.close()
    server.close()
  }
}

const page = (settings: LoopbackSettings) => `<!doctype html><meta charset="utf-8"><title>Loopback</title>
<script type="module">
${patternSource()}
const settings = ${JSON.stringify(settings)}
const audioContext = new AudioContext({ sampleRate: 48000 })
await audioContext.resume()
const mixed = audioContext.createMediaStreamDestination()

async function throughWebRtc(stream) {
  const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()]
  from.onicecandidate = ({ candidate }) => to.addIceCandidate(candidate)
  to.onicecandidate = ({ candidate }) => from.addIceCandidate(candidate)
  const received = new MediaStream()
  const both = new Promise(resolve => {
    to.ontrack = ({ track }) => { received.addTrack(track); if (received.getTracks().length === 2) resolve() }
  })
  for (const track of stream.getTracks()) {
    const sendEncodings = track.kind === 'video' ? [{ maxBitrate: settings.bitsPerSecond }] : [{}]
    const transceiver = from.addTransceiver(track, { direction: 'sendonly', streams: [stream], sendEncodings })
    if (track.kind === 'video') {
      const { codecs } = RTCRtpSender.getCapabilities('video')
      transceiver.setCodecPreferences(codecs.filter(codec => codec.mimeType === 'video/VP8'))
    }
  }
  await from.setLocalDescription()
  await to.setRemoteDescription(from.localDescription)
  await to.setLocalDescription()
  await from.setRemoteDescription(to.localDescription)
  await both
  return received
}

const videos = await Promise.all(settings.places.map(async (_, index) => {
  const sent = startPattern({ participant: index + 1, name: 'Participant ' + (index + 1), width: 640, height: 360,
    fps: settings.fps, audioContext })
  const received = await throughWebRtc(sent.stream)
  const video = document.createElement('video')
  video.muted = true
  video.srcObject = received
  document.body.append(video)
  await video.play()
  audioContext.createMediaStreamSource(received).connect(mixed)
  return video
}))

const canvas = document.createElement('canvas')
canvas.width = 1280
canvas.height = 720
const pen = canvas.getContext('2d', { alpha: false, willReadFrequently: true })
const draw = () => {
  pen.fillStyle = '#202124'
  pen.fillRect(0, 0, 1280, 720)
  videos.forEach((video, index) => {
    const { x, y, width, height } = settings.places[index]
    const scale = Math.max(width / video.videoWidth, height / video.videoHeight)
    const [w, h] = [width / scale, height / scale]
    pen.drawImage(video, (video.videoWidth - w) / 2, (video.videoHeight - h) / 2, w, h, x, y, width, height)
  })
}
draw()
startTicks(1000 / 30, draw)
const recorded = new MediaStream([...canvas.captureStream().getTracks(), ...mixed.stream.getTracks()])
const recorder = new MediaRecorder(recorded, { mimeType: 'video/x-matroska;codecs=avc1,opus', videoBitsPerSecond: 2500000 })
let before = Promise.resolve()
recorder.ondataavailable = ({ data }) => {
  before = before.then(async () => {
    const bytes = new Uint8Array(await data.arrayBuffer())
    let binary = ''
    for (let at = 0; at < bytes.length; at += 32768) binary += String.fromCharCode(...bytes.subarray(at, at + 32768))
    if (bytes.length > 0) await take(btoa(binary))
  })
}
recorder.onstop = () => before.then(() => done())
// Patterns need a moment until sound has settled and WebRTC has found its bit rate.
const readyAtMs = performance.now() + 2500
const stopAtMs = readyAtMs + settings.seconds * 1000
startTicks(100, () => {
  if (recorder.state === 'inactive' && performance.now() > readyAtMs && performance.now() < stopAtMs) recorder.start(1000)
  if (recorder.state === 'recording' && performance.now() >= stopAtMs) recorder.stop()
})
</script>
`
