import { expect, test } from 'vitest'
import { addSpeech, type Speech } from './speech.ts'

const all = (moments: number[]) => moments.reduce<Speech[]>((speech, at) => addSpeech(speech, at), [])

test('moments close to each other are one stretch, others begin a new one', () => {
  expect(all([1_000, 1_300, 1_600, 5_000])).toEqual([
    { fromMs: 750, toMs: 1_850 },
    { fromMs: 4_750, toMs: 5_250 },
  ])
})

test('speech before the first picture is cut there, or left out', () => {
  expect(all([-1_000])).toEqual([])
  expect(all([100])).toEqual([{ fromMs: 0, toMs: 350 }])
})
