import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { makeCertificate } from '../../sandbox/meet-web/certificate.ts'
import { createResolve, type Resolve } from './destination.ts'
import { type PostOptions, post } from './post.ts'
import { type Receiver, startReceiver } from './receiver-for-tests.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]()
})
async function receiver(...options: Parameters<typeof startReceiver>): Promise<Receiver> {
  const started = await startReceiver(...options)
  open.push(started)
  return started
}

const BODY = JSON.stringify({ topic: 'Comité clínico ✓' })
const send = (url: string, changes: Partial<PostOptions> = {}) =>
  post(
    { url, headers: { 'content-type': 'application/json', 'webhook-id': 'evt_1' }, body: BODY },
    {
      timeoutMs: 5000,
      allowPrivate: true,
      resolve: createResolve(true),
      signal: new AbortController().signal,
      ...changes,
    },
  )
const to = (address: string): Awaited<ReturnType<Resolve>> => [{ address, family: 4 }]

describe('a post', () => {
  test('arrives with its body and headers, and an answer of 2xx is a success', async () => {
    const { url, received } = await receiver(response => response.writeHead(202).end('taken'))
    expect(await send(url)).toMatchObject({ status: 202, error: null, answer: 'taken' })
    expect(received).toHaveLength(1)
    expect(received[0]).toMatchObject({ path: '/hook', body: BODY })
    expect(received[0]?.headers).toMatchObject({ 'webhook-id': 'evt_1', connection: 'close' })
  })

  test.each([
    [400, 'not_accepted'],
    [404, 'not_accepted'],
    [410, 'gone'],
    [500, 'not_accepted'],
    [503, 'not_accepted'],
  ])('that is answered with %i fails as %s', async (status, error) => {
    const { url } = await receiver(response => response.writeHead(status).end('why'))
    expect(await send(url)).toMatchObject({ status, error, answer: 'why' })
  })

  test.each([301, 302, 307, 308])('does not follow a redirect with %i', async status => {
    const elsewhere = await receiver()
    const { url } = await receiver(response => response.writeHead(status, { location: elsewhere.url }).end())
    expect(await send(url)).toMatchObject({ status, error: 'redirected' })
    expect(elsewhere.received).toEqual([])
  })

  test('that is never answered fails after its limit', async () => {
    const { url } = await receiver(() => {})
    const posted = await send(url, { timeoutMs: 300 })
    expect(posted).toMatchObject({ status: null, error: 'timed_out', answer: null })
    expect(posted.durationMs).toBeGreaterThanOrEqual(290)
    expect(posted.durationMs).toBeLessThan(3000)
  })

  test('whose name is never looked up fails after its limit', async () => {
    const posted = await send('http://erp.example/', { timeoutMs: 300, resolve: () => new Promise(() => {}) })
    expect(posted).toMatchObject({ status: null, error: 'timed_out' })
  })

  test('that is answered slowly, drop by drop, is a success by its status and not waited for', async () => {
    const { url } = await receiver(response => {
      response.writeHead(200).write('a')
      const timer = setInterval(() => response.write('a'), 50)
      response.on('close', () => clearInterval(timer))
    })
    const posted = await send(url)
    expect(posted).toMatchObject({ status: 200, error: null, answer: expect.stringMatching(/^a+$/) })
    expect(posted.durationMs).toBeLessThan(4000)
  })

  test('whose answer is endless keeps 1,024 bytes of it', async () => {
    const { url } = await receiver(response => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      }
      response.writeHead(200).on('drain', more)
      more()
    })
    expect((await send(url)).answer).toBe('x'.repeat(1024))
  })

  test('whose answer holds bytes that are no text keeps what PostgreSQL can', async () => {
    const { url } = await receiver(response =>
      response.writeHead(200).end(Buffer.from([0x61, 0, 0xff, 0x62])),
    )
    expect((await send(url)).answer).toBe('a\uFFFD\uFFFDb')
  })

  test('to a server that hangs up fails', async () => {
    const { url } = await receiver(response => response.destroy())
    expect(await send(url)).toMatchObject({ status: null, error: 'connection_failed' })
  })

  test('to a port where nobody listens fails', async () => {
    const { url, [Symbol.asyncDispose]: stop } = await startReceiver()
    await stop()
    expect(await send(url)).toMatchObject({ status: null, error: 'connection_failed' })
  })

  test.each(['SSH-2.0-OpenSSH_9.2\r\n', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`])(
    'to a server that does not speak HTTP, or too much of it, fails',
    async words => {
      const server = createServer(socket => {
        socket.on('error', () => socket.destroy())
        socket.write(words)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      onTestFinished(() => void server.close())
      const { port } = server.address() as AddressInfo
      expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ status: null, error: 'bad_answer' })
    },
  )

  test('that is answered with another protocol fails', async () => {
    const server = createServer(socket => {
      socket.on('error', () => socket.destroy())
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const posted = await send(`http://127.0.0.1:${port}/`)
    expect(posted.error).toBe('connection_failed')
    expect(posted.durationMs).toBeLessThan(4000)
  })

  test('to a name that does not exist fails', async () => {
    const resolve = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' })
    }
    expect(await send('http://nowhere.invalid/', { resolve })).toMatchObject({ error: 'name_not_resolved' })
  })

  test('is given up when the process stops, and says so', async () => {
    const stop = new AbortController()
    const { url } = await receiver(() => stop.abort(new Error('stopping')))
    await expect(send(url, { signal: stop.signal })).rejects.toThrow('stopping')
  })
})

describe('a private address', () => {
  test('gets no post where it stands in the URL', async () => {
    const { url, received } = await receiver()
    const posted = await send(url.replace('http:', 'https:'), { allowPrivate: false })
    expect(posted).toMatchObject({ status: null, error: 'address_refused' })
    expect(received).toEqual([])
  })

  test('gets no post where a name points at it', async () => {
    const { port, received } = await receiver()
    const posted = await send(`https://erp.example:${port}/`, {
      allowPrivate: false,
      resolve: async () => to('127.0.0.1'),
    })
    expect(posted).toMatchObject({ status: null, error: 'address_refused' })
    expect(received).toEqual([])
  })

  test('gets no post over plain http either', async () => {
    expect(await send('http://8.8.8.8/', { allowPrivate: false })).toMatchObject({ error: 'address_refused' })
  })
})

test('a name that changes its address after it was checked is not looked up again', async () => {
  const checked = await receiver()
  const rebound = await receiver(undefined, { host: '127.0.0.2', port: checked.port })
  const answers = ['127.0.0.1', '127.0.0.2']
  const asked: string[] = []
  const resolve: Resolve = async name => {
    asked.push(name)
    return to(answers.shift() ?? '127.0.0.2')
  }
  expect(await send(`http://rebind.example:${checked.port}/hook`, { resolve })).toMatchObject({ status: 204 })
  expect(asked).toEqual(['rebind.example'])
  expect(checked.received).toHaveLength(1)
  expect(checked.received[0]?.headers.host).toBe(`rebind.example:${checked.port}`)
  expect(rebound.received).toEqual([])
})

describe('over https', () => {
  test('a certificate that nobody vouches for, or of another name, fails; a good one is posted to', async () => {
    const certificate = await makeCertificate(['erp.example'])
    const { port, received } = await receiver(undefined, {
      tls: { key: certificate.keyPem, cert: certificate.certificatePem },
    })
    const resolve = async () => to('127.0.0.1')
    const at = (name: string) => send(`https://${name}:${port}/hook`, { resolve })
    expect(await at('erp.example')).toMatchObject({ status: null, error: 'tls_failed' })
    const before = getCACertificates('default')
    onTestFinished(() => setDefaultCACertificates(before))
    setDefaultCACertificates([...before, certificate.certificatePem])
    expect(await at('other.example')).toMatchObject({ status: null, error: 'tls_failed' })
    expect(received).toEqual([])
    expect(await at('erp.example')).toMatchObject({ status: 204, error: null })
    expect(received).toHaveLength(1)
  })
})
