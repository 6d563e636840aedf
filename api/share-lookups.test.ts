import { expect, test } from 'vitest'
import { shareLookups } from './share-lookups.ts'

/** Look-ups that answer when told to. */
function openLookups() {
  const running: { key: string; answer: (word: string) => void; fail: (error: Error) => void }[] = []
  const look = shareLookups(
    (key: string) =>
      new Promise<string>((resolve, reject) => running.push({ key, answer: resolve, fail: reject })),
  )
  return { look, running }
}

const settle = () => new Promise(resolve => setImmediate(resolve))

test('an answer that was asked for before a request came is not given to it', async () => {
  const { look, running } = openLookups()
  const first = look('a')
  const later = [look('a'), look('a'), look('a')]
  expect(running.length).toBe(1)
  running[0]?.answer('before')
  expect(await first).toBe('before')
  await settle()
  expect(running.length).toBe(2)
  running[1]?.answer('after')
  expect(await Promise.all(later)).toEqual(['after', 'after', 'after'])
  await settle()
  void look('a')
  expect(running.length).toBe(3)
})

test('different things are looked up beside each other', () => {
  const { look, running } = openLookups()
  void look('a')
  void look('b')
  expect(running.map(({ key }) => key)).toEqual(['a', 'b'])
})

test('a look-up that fails fails for those who share it, and the next one is made', async () => {
  const { look, running } = openLookups()
  const first = look('a')
  const next = look('a')
  running[0]?.fail(new Error('no answer'))
  await expect(first).rejects.toThrow('no answer')
  await settle()
  running[1]?.answer('there')
  expect(await next).toBe('there')
})
