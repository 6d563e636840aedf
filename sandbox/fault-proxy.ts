// A wire to a TCP server of any kind that can be made to fail while it is in use.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * How the wire behaves.
 * `pass`: as if it were not there. `refuse`: nobody listens (ECONNREFUSED). `hang`: connections are accepted, what comes
 * is swallowed and nothing is ever answered. `http-503`: every HTTP request is answered 503 at once, its body unread.
 * `cutAfterBytes`: every connection is reset when so many bytes have come from its client.
 */
export type FaultMode = 'pass' | 'refuse' | 'hang' | 'http-503' | { cutAfterBytes: number }

export interface FaultProxy extends AsyncDisposable {
  /** On 127.0.0.1; stays the same through refusals. */
  port: number
  /** `http://127.0.0.1:<port>` */
  url: string
  /**
   * Changes the behaviour; resolves when it is in force. Connections do not outlive the behaviour they were opened under,
   * except that `hang` lets those that are open hang too: they are closed when it ends.
   */
  set(mode: FaultMode): Promise<void>
  /** Connections accepted since the last change of behaviour; always 0 while refusing. */
  connections(): number
  stop(): Promise<void>
}

// Below the ports that Linux gives to clients and to servers that ask for any: nobody takes one while it is refused, and
// no client happens to be given the very port it connects to, which would connect it to itself.
const FIRST_PORT = 20_000
const PORTS = 12_000
const MOST_TRIES = 50
const LINGER_MS = 3000

/** Puts a wire before `target`, passing. */
export async function startFaultProxy({
  target,
}: {
  target: { host: string; port: number }
}): Promise<FaultProxy> {
  const open = new Set<Socket>()
  const upstreams = new Set<Socket>()
  let mode: FaultMode = 'pass'
  let accepted = 0

  const serve = (client: Socket) => {
    accepted++
    keep(open, client)
    if (mode === 'hang') client.resume()
    else if (mode === 'http-503') answer503(client)
    else if (mode === 'refuse') client.resetAndDestroy()
    else forward(client, mode === 'pass' ? undefined : mode.cutAfterBytes)
  }
  const forward = (client: Socket, cutAfterBytes: number | undefined) => {
    const upstream = keep(upstreams, connect(target))
    client.pipe(upstream).pipe(client)
    client.on('close', () => upstream.destroy())
    // While the wire hangs the client must not learn that the server is gone.
    upstream.on('close', () => (mode === 'hang' ? client.resume() : client.destroy()))
    if (cutAfterBytes === undefined) return
    let bytes = 0
    client.on('data', (data: Buffer) => {
      bytes += data.length
      if (bytes >= cutAfterBytes) client.resetAndDestroy()
    })
  }

  let { server, port } = await listenSomewhere(serve)
  const close = async () => {
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    for (const socket of [...open, ...upstreams]) socket.destroy()
    await closed
  }
  const set = async (next: FaultMode) => {
    const before = mode
    mode = next
    accepted = 0
    if (next === 'refuse') {
      if (before !== 'refuse') await close()
      return
    }
    if (next === 'hang') for (const client of open) client.unpipe()
    else for (const client of open) client.destroy()
    for (const upstream of upstreams) upstream.destroy()
    if (before === 'refuse') server = await listen(serve, port)
  }
  const stop = async () => {
    mode = 'refuse'
    await close()
  }
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    set,
    connections: () => accepted,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function keep(sockets: Set<Socket>, socket: Socket): Socket {
  sockets.add(socket)
  socket.on('error', () => socket.destroy())
  socket.on('close', () => sockets.delete(socket))
  return socket
}

/** Answers when the head of a request is there, as a busy server does, and closes the connection in order. */
function answer503(client: Socket): void {
  let head = ''
  client.on('data', (data: Buffer) => {
    if (client.writableEnded) return
    head += data.toString('latin1')
    if (!head.includes('\r\n\r\n')) return
    const body = '<Error><Code>ServiceUnavailable</Code><Message>out of order</Message></Error>'
    client.end(
      `HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/xml\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${head.startsWith('HEAD') ? '' : body}`,
    )
    // The body that is still coming is read and dropped: closing on unread bytes would take the answer back.
    setTimeout(() => client.destroy(), LINGER_MS).unref()
  })
}

async function listenSomewhere(serve: (client: Socket) => void): Promise<{ server: Server; port: number }> {
  for (let tries = 1; ; tries++) {
    try {
      const server = await listen(serve, FIRST_PORT + Math.floor(Math.random() * PORTS))
      return { server, port: (server.address() as AddressInfo).port }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === MOST_TRIES) throw error
    }
  }
}

function listen(serve: (client: Socket) => void, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(serve)
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
