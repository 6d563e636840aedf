import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import puppeteer, { type Browser, type Page } from 'puppeteer-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { patternPage, patternSource } from './pattern-page.ts'
import { readPattern } from './read-pattern.ts'

const html = patternPage({ participants: 4, width: 640, height: 360, fps: 15 })
const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(html))
let browser: Browser
let page: Page
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pattern-page-'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    defaultViewport: { width: 1280, height: 720 },
    // Puppeteer mutes headless browsers, and a muted tab's sound cannot be captured.
    ignoreDefaultArgs: ['--mute-audio'],
    args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required', '--auto-accept-this-tab-capture'],
  })
  page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.waitForSelector('body[data-state=running]', { timeout: 15_000 })
})
afterAll(async () => {
  await browser?.close()
  server.close()
  await rm(folder, { recursive: true })
})

/** In the page: captures its own tab for five seconds; Matroska in base64. */
const captureOwnTab = `(async () => {
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }
  const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 30 }, audio, preferCurrentTab: true })
  const recorder = new MediaRecorder(stream, { mimeType: 'video/x-matroska;codecs=avc1,opus' })
  const parts = []
  recorder.ondataavailable = event => parts.push(event.data)
  const stopped = new Promise(resolve => { recorder.onstop = resolve })
  recorder.start(500)
  setTimeout(() => recorder.stop(), 5000)
  await stopped
  const reader = new FileReader()
  const read = new Promise(resolve => { reader.onload = resolve })
  reader.readAsDataURL(new Blob(parts))
  await read
  return reader.result.split(',')[1]
})()`

it('shows and sounds four patterns in one tab, as a capture of the tab proves', async () => {
  const devtools = await page.createCDPSession()
  const options = { userGesture: true, awaitPromise: true, returnByValue: true }
  const { result, exceptionDetails } = await devtools.send('Runtime.evaluate', {
    expression: captureOwnTab,
    ...options,
  })
  expect(exceptionDetails).toBeUndefined()
  const file = join(folder, 'tab.mkv')
  await writeFile(file, Buffer.from(String(result.value), 'base64'))
  const report = await readPattern(file)
  expect(report.participants.map(one => one.participant)).toEqual([1, 2, 3, 4])
  for (const one of report.participants) {
    expect(one.stepsBack).toBe(0)
    const heard = `sound from ${report.audio?.firstPtsMs} ms, beeps at ${one.beeps.map(beep => beep.ptsMs)}`
    expect(one.missingBeeps.length, heard).toBeLessThanOrEqual(1)
    expect(one.beeps.length, heard).toBeGreaterThanOrEqual(3)
    // A busy machine loses frames; with the machine to itself the longest gap is about 80 ms, the offset 70 to 90.
    expect(one.largestGapMs).toBeLessThan(1500)
    expect(one.offset?.pairs).toBeGreaterThanOrEqual(2)
    expect(Math.abs(one.offset?.medianMs ?? Number.NaN)).toBeLessThan(300)
  }
}, 40_000)

it('refuses a participant whose number does not fit into the code', async () => {
  // The page keeps its module to itself, so it is loaded once more.
  const module = `data:text/javascript,${encodeURIComponent(patternSource())}`
  const settings = JSON.stringify({ participant: 16, name: 'Sixteen', width: 640, height: 360, fps: 15 })
  const start = page.evaluate(
    `import(${JSON.stringify(module)}).then(pattern => { pattern.startPattern(${settings}) })`,
  )
  await expect(start).rejects.toThrow('participant must be a whole number from 1 to 15, not 16')
})
