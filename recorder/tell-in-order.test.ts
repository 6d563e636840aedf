import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { createLog } from '../log.ts'
import { jumpingClock } from './meet-page/scripted-page.ts'
import { tellInOrder } from './tell-in-order.ts'

const log = createLog('silent')

test('what fails is told again with growing pauses, and what comes after it waits', async () => {
  const clock = jumpingClock()
  const from = clock.now()
  const told: string[] = []
  const telling = tellInOrder({ clock, log })
  let away = 4
  telling.tell('first', async () => {
    if (away-- > 0) throw new Error('the database is away')
    told.push(`first after ${clock.now() - from} ms`)
  })
  telling.tell('second', async () => {
    told.push('second')
  })
  await telling.done(5_000)
  expect(told).toEqual(['first after 7500 ms', 'second'])
})

test('what nobody wants to hear is dropped in the end, and the next is told', async () => {
  const clock = jumpingClock()
  const told: string[] = []
  const telling = tellInOrder({ clock, log })
  telling.tell('refused', async () => {
    throw new Error('never')
  })
  telling.tell('next', async () => {
    told.push('next')
  })
  await telling.done(5_000)
  expect(told).toEqual(['next'])
})

test.each([
  ['is away', () => Promise.reject(new Error('away'))],
  ['never answers', () => new Promise<void>(() => undefined)],
])('the end does not wait longer than its limit for a listener that %s', async (_, work) => {
  const telling = tellInOrder({ clock: systemClock, log })
  telling.tell('one', work)
  telling.tell('two', work)
  const from = performance.now()
  await telling.done(200)
  expect(performance.now() - from).toBeLessThan(2_000)
})
