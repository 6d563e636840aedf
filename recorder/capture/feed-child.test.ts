import { PassThrough, Writable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { feedChild } from './feed-child.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const never = new Promise<never>(() => undefined)

test('chunks that were written are not kept, however long the program runs', async () => {
  const written: WeakRef<Uint8Array>[] = []
  const stdin = new Writable({ write: (_chunk, _encoding, done) => setImmediate(done), highWaterMark: 1 })
  async function* source() {
    for (let count = 0; count < 50; count++) {
      const chunk = Buffer.alloc(100_000)
      written.push(new WeakRef(chunk))
      yield chunk
    }
  }
  // A program that runs on: its end has not come when the source ends.
  await feedChild(source(), stdin, never)
  await new Promise(setImmediate)
  collectGarbage()
  expect(written.filter(chunk => chunk.deref() !== undefined).length).toBeLessThan(5)
})

test('a program that ends stops the feeding although the source gives nothing', async () => {
  const hanging = { [Symbol.asyncIterator]: () => ({ next: () => never }) }
  const over = Promise.withResolvers<void>()
  const fed = feedChild(hanging, new PassThrough(), over.promise)
  over.resolve()
  await expect(fed).resolves.toBeUndefined()
})

test('what the source throws is thrown, and the input is closed', async () => {
  const stdin = new PassThrough()
  async function* source() {
    yield Buffer.from('a')
    throw new Error('the source broke')
  }
  await expect(feedChild(source(), stdin, never)).rejects.toThrow('the source broke')
  expect(stdin.writableEnded).toBe(true)
})
