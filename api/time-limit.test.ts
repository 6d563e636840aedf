import { expect, it } from 'vitest'
import { Problem } from './problem.ts'
import { recurrenceProblem } from './series/create-series.ts'
import { TookTooLong, withinTime } from './time-limit.ts'

const forever = () => {
  for (;;);
}

it('work is cut off after its time, and throws what it throws', () => {
  expect(withinTime(50, () => 7)).toBe(7)
  expect(() => withinTime(20, forever)).toThrow(TookTooLong)
  expect(() =>
    withinTime(50, () => {
      throw new TypeError('mine')
    }),
  ).toThrow(TypeError)
})

it('a limit may lie within another, and each cuts off what is its own', () => {
  expect(withinTime(5000, () => withinTime(1000, () => 7))).toBe(7)
  let inner: unknown
  const outer = withinTime(10_000, () => {
    try {
      return withinTime(20, forever)
    } catch (error) {
      inner = error
      return 'went on'
    }
  })
  expect(outer).toBe('went on')
  expect(inner).toBeInstanceOf(TookTooLong)
  expect(() => withinTime(20, () => withinTime(10_000, forever))).toThrow(TookTooLong)
})

it('a recurrence that takes too long is told to whoever sent it', () => {
  const problem = recurrenceProblem(new TookTooLong('It took longer than 500 ms'))
  expect(problem).toBeInstanceOf(Problem)
  expect(problem).toMatchObject({ code: 'bad_recurrence', status: 422 })
})
