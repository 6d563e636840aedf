import { once } from 'node:events'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { openCaptureLink } from './capture-link.ts'

const ignored = { onMessage: () => undefined, onBytes: () => true, onGone: () => undefined }

async function connect(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url)
  await once(socket, 'open')
  return socket
}

test('a client without the token is turned away', async () => {
  const link = await openCaptureLink(ignored)
  const port = new URL(link.url).port
  await expect(connect(`ws://127.0.0.1:${port}/`)).rejects.toThrow('401')
  await expect(connect(`ws://127.0.0.1:${port}/${'x'.repeat(43)}`)).rejects.toThrow('401')
  await link.close()
})

test('a second client is turned away, token or not', async () => {
  const link = await openCaptureLink(ignored)
  const first = await connect(link.url)
  await expect(connect(link.url)).rejects.toThrow('401')
  first.terminate()
  await link.close()
})

test('the link listens on loopback only', async () => {
  const link = await openCaptureLink(ignored)
  expect(new URL(link.url).hostname).toBe('127.0.0.1')
  await link.close()
})

test('a chunk is acknowledged when the reader asks for the next one, not before', async () => {
  const link = await openCaptureLink(ignored)
  const client = await connect(link.url)
  let acknowledged = 0
  client.on('message', () => acknowledged++)
  const chunks = link.chunks[Symbol.asyncIterator]()
  for (const letter of 'ab') client.send(Buffer.from(letter))
  expect(String((await chunks.next()).value)).toBe('a')
  expect(acknowledged).toBe(0)
  const heard = once(client, 'message')
  expect(String((await chunks.next()).value)).toBe('b')
  await heard
  expect(acknowledged).toBe(1)
  client.terminate()
  await link.close()
})

test('what has come can still be read after the client is gone', async () => {
  const gone = Promise.withResolvers<void>()
  const link = await openCaptureLink({ ...ignored, onGone: gone.resolve })
  const client = await connect(link.url)
  for (const letter of 'abc') client.send(Buffer.from(letter))
  client.close()
  await gone.promise
  const read: string[] = []
  for await (const chunk of link.chunks) read.push(String(chunk))
  expect(read).toEqual(['a', 'b', 'c'])
  await link.close()
})

test('a chunk that is not taken is not handed out', async () => {
  const gone = Promise.withResolvers<void>()
  const link = await openCaptureLink({ ...ignored, onGone: gone.resolve, onBytes: bytes => bytes === 1 })
  const client = await connect(link.url)
  for (const letters of ['a', 'bb', 'c']) client.send(Buffer.from(letters))
  client.close()
  await gone.promise
  const read: string[] = []
  for await (const chunk of link.chunks) read.push(String(chunk))
  expect(read).toEqual(['a', 'c'])
  await link.close()
})
