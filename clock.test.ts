import { expect, test } from 'vitest'
import { repeat } from './clock.ts'

test('what is repeated goes on at once while there is more, tells what fails, and ends its pause when it is closed', async () => {
  const failed: unknown[] = []
  const broken = new Error('once')
  const { promise: pausing, resolve } = Promise.withResolvers<void>()
  let times = 0
  const repeated = repeat(
    1,
    async () => {
      times += 1
      if (times === 2) throw broken
      if (times < 5) return 'at_once'
      resolve()
      return 'pause'
    },
    error => failed.push(error),
  )
  await pausing
  await repeated.close()
  const atItsEnd = times
  expect(atItsEnd).toBeGreaterThanOrEqual(5)
  expect(failed).toEqual([broken])
  await repeated.close()
  expect(times).toBe(atItsEnd)
})

test('closing waits for what is being done, and no longer than it is given', async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  const { promise: done, resolve: finish } = Promise.withResolvers<void>()
  let isDone = false
  const repeated = repeat(
    60_000,
    async () => {
      begin()
      await done
      isDone = true
      return 'pause'
    },
    error => {
      throw error
    },
  )
  await begun
  await repeated.close(20)
  expect(isDone).toBe(false)
  finish()
  await repeated.close()
  expect(isDone).toBe(true)
})
