import { readFileSync } from 'node:fs'

/** The pattern as source text, to be served as a module or set into a page. */
export const patternSource = (): string =>
  readFileSync(new URL('./pattern.in-page.js', import.meta.url), 'utf8')

export interface PatternPageSettings {
  /** How many participants, 1 to 15; they get the numbers 1 to N. */
  participants: number
  /** Size of each participant's picture in px. */
  width: number
  height: number
  fps: number
}

/**
 * A self-contained page of 1280×720 that plays N patterns in `<video>` tiles, without WebRTC, and can be heard
 * (the sound goes to the tab's output). `document.body.dataset.state` becomes `running` once every tile plays and
 * sound runs; without `--autoplay-policy=no-user-gesture-required` that takes a click.
 */
export function patternPage({ participants, width, height, fps }: PatternPageSettings): string {
  const columns = Math.ceil(Math.sqrt(participants))
  const rows = Math.ceil(participants / columns)
  const settings = JSON.stringify({ participants, width, height, fps })
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Test pattern</title>
<style>
  body { margin: 0; width: 1280px; height: 720px; background: #202124; overflow: hidden; display: grid; gap: 8px;
    grid-template: repeat(${rows}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr)) }
  video { width: 100%; height: 100%; object-fit: cover; border-radius: 8px }
</style>
<body data-state="starting">
<script type="module">
${patternSource()}
const settings = ${settings}
const audioContext = new AudioContext({ sampleRate: 48000 })
document.addEventListener('click', () => audioContext.resume())
const tiles = Array.from({ length: settings.participants }, (_, index) => {
  const pattern = startPattern({ ...settings, participant: index + 1, name: 'Participant ' + (index + 1),
    audioContext, destination: audioContext.destination })
  const video = document.createElement('video')
  video.muted = true
  video.srcObject = pattern.stream
  document.body.append(video)
  return video
})
await Promise.all([audioContext.resume(), ...tiles.map(video => video.play())])
document.body.dataset.state = 'running'
</script>
`
}
