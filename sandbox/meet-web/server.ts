import { randomInt } from 'node:crypto'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { Accounts } from './accounts.ts'
import { makeCertificate } from './certificate.ts'
import { answerControl } from './control.ts'
import { type CreateMeeting, meetingSettings } from './create-meeting.ts'
import { playersDocument } from './documents.ts'
import { MediaPlant } from './media-plant.ts'
import { Meeting } from './meeting.ts'
import { pageFile } from './page-files.ts'
import { Timers } from './timers.ts'
import { answerAccounts, answerMeet, sendNotFound } from './web-routes.ts'

export type { CreateMeeting } from './create-meeting.ts'

export type MeetWebOptions = {
  /** Address to listen on; '0.0.0.0' inside a container that others reach. */
  host?: string
  /** Port of the HTTPS server, 0 for any free one. */
  port?: number
  /** Port of the plain HTTP control server, 0 for any free one. */
  controlPort?: number
  chromiumPath?: string
  /** Frames per second and size of each participant's picture. */
  fps?: number
  tileSize?: { width: number; height: number }
}

const hostNames = ['meet.google.com', 'accounts.google.com']

/** Google Meet's web app as a local server, with real media, told what to do by scenarios and by its methods. */
export class MeetWeb {
  readonly accounts = new Accounts()
  readonly #meetings = new Map<string, Meeting>()
  readonly #media: MediaPlant
  readonly #sockets = new WebSocketServer({ noServer: true })
  readonly #network = new Timers()
  #webServer: HttpsServer | null = null
  #spkiSha256 = ''
  #close: (() => Promise<void>) | null = null
  host = ''
  port = 0
  controlUrl = ''

  constructor(options: MeetWebOptions) {
    this.#media = new MediaPlant({
      chromiumPath: options.chromiumPath,
      fps: options.fps ?? 15,
      tileSize: options.tileSize ?? { width: 640, height: 360 },
      pageUrl: () => `${this.controlUrl}/_sandbox/players`,
      onFault: message => {
        for (const meeting of this.#meetings.values()) meeting.mediaFault(message)
      },
    })
  }

  async start({ host = '127.0.0.1', port = 0, controlPort = 0 }: MeetWebOptions): Promise<void> {
    const certificate = await makeCertificate(hostNames)
    this.#spkiSha256 = certificate.spkiSha256
    const web = createHttpsServer({ key: certificate.keyPem, cert: certificate.certificatePem })
    const control = createHttpServer()
    for (const server of [web, control]) {
      server.on('request', (request: IncomingMessage, response: ServerResponse) => {
        this.#answer(request, response).catch((error: Error) => {
          if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' })
          response.end(`sandbox error: ${error.message}`)
        })
      })
      server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    }
    this.host = host
    this.#webServer = web
    this.port = await listen(web, host, port)
    const reachable = host === '0.0.0.0' ? '127.0.0.1' : host
    this.controlUrl = `http://${reachable}:${await listen(control, host, controlPort)}`
    this.#close = async () => {
      this.#network.clear()
      for (const meeting of this.#meetings.values()) meeting.stop()
      await this.#media.stop()
      for (const client of this.#sockets.clients) client.terminate()
      await Promise.all([web, control].filter(server => server.listening).map(server => closeServer(server)))
    }
  }

  /** Flags a browser on this machine needs to reach the sandbox as https://meet.google.com. */
  get chromiumArgs(): string[] {
    return this.chromiumArgsFor(this.host === '0.0.0.0' ? '127.0.0.1' : this.host)
  }

  /** The same for a browser that reaches this server under another name, such as a container's. */
  chromiumArgsFor(hostName: string): string[] {
    const rules = hostNames.map(name => `MAP ${name}:443 ${hostName}:${this.port}`)
    return [
      `--host-resolver-rules=${rules.join(',')}`,
      `--ignore-certificate-errors-spki-list=${this.#spkiSha256}`,
      '--allow-loopback-in-peer-connection',
      ...(hasNetwork() ? [] : ['--use-fake-ui-for-media-stream']),
    ]
  }

  /**
   * Makes a meeting: the scenario's settings (default `open`) with whatever is given here on top. A meeting of the
   * same code is replaced. Throws `UnknownWishError` for an unknown scenario or setting.
   */
  createMeeting(wanted: CreateMeeting = {}): Meeting {
    const { code = this.#freeCode() } = wanted
    const settings = meetingSettings(wanted)
    this.#meetings.get(code)?.stop()
    const meeting = new Meeting(code, settings, this.#media)
    this.#meetings.set(code, meeting)
    return meeting
  }

  meeting(code: string): Meeting | undefined {
    return this.#meetings.get(code)
  }

  /** Starts the browser of the simulated participants ahead of the first visitor, who then sees them at once. */
  warmUp(): void {
    this.#media.warmUp()
  }

  get meetings(): Meeting[] {
    return [...this.#meetings.values()]
  }

  /**
   * Cuts the network between all visitors and Meet and Google's sign-in: connections are destroyed, the port refuses,
   * media stops. Participants and the control server go on. `restoreNetwork` or `forMs` ends it.
   */
  async cutNetwork(forMs?: number): Promise<void> {
    for (const meeting of this.#meetings.values()) meeting.cutNetwork()
    this.#network.cancel('restore')
    if (this.#webServer?.listening) await closeServer(this.#webServer)
    if (forMs === undefined) return
    this.#network.after(
      forMs,
      () => {
        this.restoreNetwork().catch((error: Error) => {
          for (const meeting of this.#meetings.values()) meeting.mediaFault(`network: ${error.message}`)
        })
      },
      'restore',
    )
  }

  async restoreNetwork(): Promise<void> {
    this.#network.cancel('restore')
    if (this.#webServer !== null && !this.#webServer.listening)
      await listen(this.#webServer, this.host, this.port)
    for (const meeting of this.#meetings.values()) meeting.restoreNetwork()
  }

  /** Process id of the browser that plays the participants; `null` while none runs. */
  playersProcessId(): Promise<number | null> {
    return this.#media.processId()
  }

  /** Stops the servers and the participants' browser. May be called again. */
  async stop(): Promise<void> {
    const close = this.#close
    this.#close = null
    await close?.()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const hostName = (request.headers.host ?? '').split(':')[0]
    const url = new URL(request.url ?? '/', `https://${hostName}`)
    const state = { accounts: this.accounts, meeting: (code: string) => this.meeting(code) }
    const file = await pageFile(url.pathname)
    if (file !== null)
      response.writeHead(200, { 'content-type': `${file.type}; charset=utf-8` }).end(file.body)
    else if (url.pathname === '/_sandbox/players') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(playersDocument())
    } else if (hostName === 'accounts.google.com') answerAccounts(state, request, response, url)
    else if (url.pathname.startsWith('/_sandbox/')) await answerControl(this, request, response, url)
    else if (this.#meetings.get(url.pathname.slice(1))?.networkIsCut) request.socket.destroy()
    else if (hostName === 'meet.google.com') answerMeet(state, request, response, url)
    else sendNotFound(response)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '/', 'https://meet.google.com')
    const code = url.searchParams.get('code') ?? ''
    if (this.meeting(code)?.networkIsCut) {
      socket.destroy()
      return
    }
    this.#sockets.handleUpgrade(request, socket, head, webSocket => {
      if (url.pathname === '/_sandbox/players-socket') this.#media.connected(webSocket)
      else {
        const account = this.accounts.signedIn(request.headers.cookie)
        const meeting = this.meeting(code) ?? this.createMeeting({ code, scenario: 'not-found' })
        meeting.connect(webSocket, account, url.searchParams.get('hl') ?? '', url.searchParams.get('seat'))
      }
    })
  }

  #freeCode(): string {
    const letters = (count: number) =>
      Array.from({ length: count }, () => String.fromCharCode(97 + randomInt(26)))
    const code = [letters(3), letters(4), letters(3)].map(part => part.join('')).join('-')
    return this.#meetings.has(code) ? this.#freeCode() : code
  }
}

/** Starts the sandbox's Meet. Stop it with `stop()` or `await using`. */
export async function startMeetWeb(options: MeetWebOptions = {}): Promise<MeetWeb> {
  const meetWeb = new MeetWeb(options)
  await meetWeb.start(options)
  return meetWeb
}

/**
 * Without a route outwards Chromium offers no address at all to a page that may not use microphone and camera; then
 * the bot's browser must grant that permission.
 */
function hasNetwork(): boolean {
  return Object.values(networkInterfaces()).some(addresses => addresses?.some(address => !address.internal))
}

type AnyServer = ReturnType<typeof createHttpServer> | ReturnType<typeof createHttpsServer>

function listen(server: AnyServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function closeServer(server: AnyServer): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close(error => (error ? reject(error) : resolve()))
    server.closeAllConnections()
  })
}
