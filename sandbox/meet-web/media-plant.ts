import { once } from 'node:events'
import { type Browser, launch } from 'puppeteer-core'
import type { WebSocket } from 'ws'
import { findChromium, rootFlags } from './chromium.ts'
import type { Participant } from './participants.ts'

export type MediaPlantOptions = {
  chromiumPath?: string | undefined
  fps: number
  tileSize: { width: number; height: number }
  /** Address of the page that plays the participants; asked for when the browser starts. */
  pageUrl: () => string
  onFault: (message: string) => void
}

type Peer = { meeting: string; toPage: (signal: unknown) => void; session: number }

const startTimeoutMs = 30_000

/**
 * The SFU and all simulated participants: one page in a headless Chromium of our own, started when first needed
 * and stopped with us. It holds what should be playing and tells it anew to a page that had to be started again.
 */
export class MediaPlant {
  readonly #options: MediaPlantOptions
  readonly #participants = new Map<string, readonly Participant[]>()
  readonly #peers = new Map<string, Peer>()
  #browser: Promise<Browser> | null = null
  #socket: WebSocket | null = null
  #sessions = 0
  #stopped = false

  constructor(options: MediaPlantOptions) {
    this.#options = options
  }

  /** Process id of the Chromium that plays the participants, once it runs. */
  async processId(): Promise<number | null> {
    return (await this.#browser)?.process()?.pid ?? null
  }

  /** Starts the browser ahead of need. A failure is reported through `onFault`. */
  warmUp(): void {
    if (this.#stopped || this.#browser !== null) return
    this.#browser = this.#launch()
    this.#browser.catch((error: Error) => {
      this.#browser = null
      this.#options.onFault(`the participants' browser did not start: ${error.message}`)
    })
  }

  setParticipants(meeting: string, participants: readonly Participant[]): void {
    this.#participants.set(meeting, [...participants])
    if (participants.length > 0) this.warmUp()
    this.#tell({ type: 'participants', meeting, participants })
  }

  openPeer(peerId: string, meeting: string, toPage: (signal: unknown) => void): void {
    this.#sessions += 1
    this.#peers.set(peerId, { meeting, toPage, session: this.#sessions })
    this.warmUp()
    this.#tell({ type: 'peer-open', peerId, meeting, session: this.#sessions })
  }

  closePeer(peerId: string): void {
    if (this.#peers.delete(peerId)) this.#tell({ type: 'peer-close', peerId })
  }

  signal(peerId: string, signal: unknown): void {
    this.#tell({ type: 'signal', peerId, signal })
  }

  /** The page that plays the participants is there. */
  connected(socket: WebSocket): void {
    this.#socket = socket
    socket.on('message', data => this.#received(JSON.parse(String(data))))
    socket.on('error', error => this.#options.onFault(`participants' page: ${error.message}`))
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null
    })
    const { fps, tileSize } = this.#options
    this.#tell({ type: 'settings', fps, ...tileSize })
    for (const [meeting, participants] of this.#participants) {
      this.#tell({ type: 'participants', meeting, participants })
    }
    for (const [peerId, peer] of this.#peers) {
      this.#sessions += 1
      peer.session = this.#sessions
      this.#tell({ type: 'peer-open', peerId, meeting: peer.meeting, session: peer.session })
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const browser = await this.#browser?.catch(() => null)
    if (browser) await close(browser)
  }

  #tell(message: unknown): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message))
  }

  #received(message: {
    type: string
    peerId?: string
    session?: number
    signal?: unknown
    message?: string
  }): void {
    if (message.type === 'fault') this.#options.onFault(`participants' page: ${message.message}`)
    const peer = this.#peers.get(message.peerId ?? '')
    if (message.type === 'signal' && peer?.session === message.session) peer?.toPage(message.signal)
  }

  async #launch(): Promise<Browser> {
    const browser = await launch({
      executablePath: findChromium(this.#options.chromiumPath),
      headless: true,
      pipe: true,
      timeout: startTimeoutMs,
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      args: [...rootFlags, ...playerFlags],
    })
    // A browser that is killed with commands unread resets its pipes after puppeteer has stopped listening to them.
    for (const stream of browser.process()?.stdio ?? []) stream?.on('error', () => undefined)
    browser.once('disconnected', () => {
      this.#browser = null
      this.#socket = null
      if (this.#stopped) return
      this.#options.onFault("the participants' browser died; starting another one")
      if (this.#peers.size > 0) this.warmUp()
    })
    const [page = await browser.newPage()] = await browser.pages()
    page.on('pageerror', error => this.#options.onFault(`participants' page: ${String(error)}`))
    await page.goto(this.#options.pageUrl(), { timeout: startTimeoutMs })
    return browser
  }
}

/** The page must play on though nobody looks at it, and offer addresses that a browser on this machine reaches. */
const playerFlags = [
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
  '--autoplay-policy=no-user-gesture-required',
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--use-fake-ui-for-media-stream',
  '--mute-audio',
  '--disable-dev-shm-usage',
]

const closeTimeoutMs = 5_000

/** Closes the browser; kills it when it does not answer. */
async function close(browser: Browser): Promise<void> {
  const child = browser.process()
  const gone = child !== null && child.exitCode === null ? once(child, 'exit') : Promise.resolve()
  const late = setTimeout(() => child?.kill('SIGKILL'), closeTimeoutMs)
  try {
    await Promise.all([browser.close(), gone])
  } catch (error) {
    child?.kill('SIGKILL')
    if (child?.exitCode === null && child.signalCode === null) throw error
  } finally {
    clearTimeout(late)
  }
}
