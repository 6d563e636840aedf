import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'

/** What came to a receiver. */
export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface Receiver extends AsyncDisposable {
  url: string
  port: number
  /** Everything that came, in order. */
  received: Received[]
  /** How it answers from now on; at first with 204. */
  answer: (response: ServerResponse, received: Received) => void
}

/** A customer's server on loopback, which does what a test tells it to. @param tls makes it speak https */
export async function startReceiver(
  answer: Receiver['answer'] = response => response.writeHead(204).end(),
  { host = '127.0.0.1', port = 0, tls }: { host?: string; port?: number; tls?: ServerOptions } = {},
): Promise<Receiver> {
  const received: Received[] = []
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const one = {
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }
      received.push(one)
      receiver.answer(response, one)
    })
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  server.listen(port, host)
  await once(server, 'listening')
  const at = (server.address() as AddressInfo).port
  const receiver: Receiver = {
    url: `${tls ? 'https' : 'http'}://${host}:${at}/hook`,
    port: at,
    received,
    answer,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, 'close')
    },
  }
  return receiver
}
