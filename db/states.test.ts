import { expect, test } from 'vitest'
import { ENDING_WORDS, ENDINGS } from './endings.ts'
import { canMoveRecording, isFinal, RECORDING_STATUSES } from './states.ts'

test('from every status a recording can reach an outcome', () => {
  for (const start of RECORDING_STATUSES) {
    const reached = new Set([start])
    for (const from of reached) {
      for (const to of RECORDING_STATUSES) if (canMoveRecording(from, to)) reached.add(to)
    }
    expect([...reached].some(isFinal), start).toBe(true)
  }
})

test('what is available is only ever finished anew, and what was not held is never recorded afterwards', () => {
  for (const to of RECORDING_STATUSES) {
    expect(canMoveRecording('available', to)).toBe(['available', 'finishing'].includes(to))
    expect(canMoveRecording('not_held', to)).toBe(to === 'not_held')
  }
})

test('a recording cannot become available without having been finished', () => {
  for (const from of RECORDING_STATUSES) {
    const allowed = ['finishing', 'partial', 'available'].includes(from)
    expect(canMoveRecording(from, 'available'), from).toBe(allowed)
  }
})

test('every ending has a sentence in English and Spanish', () => {
  for (const word of ENDING_WORDS) {
    expect(ENDINGS[word].en, word).toMatch(/^[A-Z].*\.$/)
    expect(ENDINGS[word].es, word).toMatch(/^[A-Z].*\.$/)
    expect(word).toMatch(/^[a-z_]+$/)
  }
})
