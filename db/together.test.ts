import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { together } from './together.ts'

test('gives everything that was asked, in its order', async () => {
  expect(await together([Promise.resolve('a'), 1, setImmediate('b')])).toEqual(['a', 1, 'b'])
})

test('fails with the first that failed, and not before all have ended', async () => {
  let ended = false
  const late = setImmediate().then(() => {
    ended = true
  })
  const failing = [late, Promise.reject(new Error('first')), Promise.reject(new Error('second'))]
  await expect(together(failing)).rejects.toThrow('first')
  expect(ended).toBe(true)
})
