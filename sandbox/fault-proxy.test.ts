import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

let server: Server
let proxy: FaultProxy
let arrived: number

beforeEach(async () => {
  arrived = 0
  server = createServer((request, response) => {
    let bytes = 0
    request.on('data', (piece: Buffer) => {
      bytes += piece.length
    })
    request.on('end', () => {
      arrived++
      response.end(`got ${bytes}`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await startFaultProxy({
    target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
  })
})
afterEach(async () => {
  await proxy.stop()
  server.closeAllConnections()
  server.close()
})

const ask = async (body = 'x') => {
  const answer = await fetch(proxy.url, { method: 'PUT', body, signal: AbortSignal.timeout(10_000) })
  return `${answer.status} ${await answer.text()}`
}
const failure = (work: Promise<unknown>) =>
  work.then(
    () => 'worked',
    (error: Error & { cause?: { code?: string } }) => error.cause?.code ?? error.name,
  )

test('passing, it is as if the wire were not there', async () => {
  expect(await ask('x'.repeat(3_000_000))).toBe('200 got 3000000')
  expect(proxy.connections()).toBe(1)
})

test('refusing, nobody listens; afterwards the same port passes again', async () => {
  await ask()
  await proxy.set('refuse')
  expect(await failure(ask())).toBe('ECONNREFUSED')
  await proxy.set('pass')
  expect(await ask()).toBe('200 got 1')
  expect(arrived).toBe(2)
})

test('hanging, a connection is accepted and nothing comes back, also on one that was open; it ends with the hanging', async () => {
  const open: Socket = connect(proxy.port, '127.0.0.1')
  await once(open, 'connect')
  const heard: string[] = []
  open.on('data', data => heard.push(String(data)))
  open.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(open, 'data')
  await proxy.set('hang')
  open.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  const late = failure(fetch(proxy.url, { signal: AbortSignal.timeout(500) }))
  expect(await late).toBe('TimeoutError')
  expect(proxy.connections()).toBe(1)
  expect([arrived, heard.length, open.destroyed]).toEqual([1, 1, false])
  const closed = once(open, 'close')
  await proxy.set('pass')
  await closed
  expect(await ask()).toBe('200 got 1')
})

test('answering 503, the request never reaches the server, however large its body is', async () => {
  await proxy.set('http-503')
  expect(await ask('x'.repeat(3_000_000))).toMatch(/^503 <Error><Code>ServiceUnavailable/)
  expect(await ask()).toMatch(/^503 /)
  expect(arrived).toBe(0)
  await proxy.set('pass')
  expect(await ask()).toBe('200 got 1')
})

test('cutting, what is longer than the limit does not get through and what is shorter does', async () => {
  await proxy.set({ cutAfterBytes: 100_000 })
  expect(await failure(ask('x'.repeat(3_000_000)))).not.toBe('worked')
  expect(arrived).toBe(0)
  expect(await ask()).toBe('200 got 1')
})
