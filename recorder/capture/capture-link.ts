// The loopback WebSocket between the capture extension's page and the recorder: one token, one client,
// an acknowledgement per chunk, so that at most a handful of chunks is ever held here.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { PageMessage, RecorderMessage } from './tab-capture.in-page.ts'

const MAX_CHUNK_BYTES = 64 * 1024 * 1024

export interface CaptureLink {
  /** Where the page connects, with the token. Keep it out of the log. */
  url: string
  /** The chunks in order. Asking for the next one acknowledges the one before. Ends when the link is over. */
  chunks: AsyncIterable<Buffer>
  /** Chunks that have come and were not taken yet. */
  waitingChunks(): number
  tell(message: RecorderMessage): void
  /** Closes the server and the client; chunks that have come can still be read. */
  close(): Promise<void>
}

export interface CaptureLinkEvents {
  onMessage(message: PageMessage): void
  /** @returns whether the chunk is taken; one that is not is dropped */
  onBytes(sizeBytes: number): boolean
  /** The page's end of the link is gone, for whatever reason. */
  onGone(): void
}

/** Listens on 127.0.0.1 on a free port for exactly one client that knows the token. */
export async function openCaptureLink(events: CaptureLinkEvents): Promise<CaptureLink> {
  const token = randomBytes(32).toString('base64url')
  let client: WebSocket | undefined
  const arrived: Buffer[] = []
  let over = false
  let wake: (() => void) | undefined

  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    maxPayload: MAX_CHUNK_BYTES,
    perMessageDeflate: false,
    verifyClient: ({ req }: { req: IncomingMessage }) => client === undefined && hasToken(req.url, token),
  })
  await once(server, 'listening')

  const end = () => {
    over = true
    wake?.()
  }
  server.on('connection', socket => {
    if (client !== undefined) {
      socket.terminate()
      return
    }
    client = socket
    socket.on('message', (data, isBinary) => {
      if (!isBinary) {
        events.onMessage(JSON.parse(String(data)) as PageMessage)
        return
      }
      const chunk = data as Buffer
      if (!events.onBytes(chunk.length)) return
      arrived.push(chunk)
      wake?.()
    })
    // What went wrong on the socket shows as its close, which follows.
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      end()
      events.onGone()
    })
  })

  const tell = (message: RecorderMessage) => {
    if (client?.readyState === client?.OPEN) client?.send(JSON.stringify(message))
  }
  async function* readChunks(): AsyncGenerator<Buffer> {
    while (true) {
      const chunk = arrived.shift()
      if (chunk !== undefined) {
        yield chunk
        tell({ type: 'ack' })
      } else if (over) {
        return
      } else {
        await new Promise<void>(resolve => {
          wake = resolve
        })
        wake = undefined
      }
    }
  }

  const { port } = server.address() as AddressInfo
  return {
    url: `ws://127.0.0.1:${port}/${token}`,
    chunks: readChunks(),
    waitingChunks: () => arrived.length,
    tell,
    close: async () => {
      end()
      client?.terminate()
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}

function hasToken(path: string | undefined, token: string): boolean {
  const given = Buffer.from((path ?? '').slice(1))
  const wanted = Buffer.from(token)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}
