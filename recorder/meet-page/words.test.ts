import { expect, test } from 'vitest'
import { DIALOGS, HINT_BUTTONS, LEFT_ALONE } from './dialog-words.ts'
import { ENDED_AS_EMPTY, TERMINAL } from './end-words.ts'
import { hasAnyPhrase, hasPhrase, isAnyPhrase, normalise } from './match-text.ts'
import * as words from './words.ts'

const phrases = [
  ...Object.values(words)
    .flatMap(value => (Array.isArray(value) ? value : []))
    .flatMap(value => (typeof value === 'string' ? [value] : value.texts)),
  ...TERMINAL.flatMap(({ texts }) => texts),
  ...DIALOGS.flatMap(({ says, press }) => [...says, ...press.texts]),
  ...ENDED_AS_EMPTY,
  ...HINT_BUTTONS,
  ...LEFT_ALONE,
  ...words.JUST_LEAVE.texts,
]

test('every text is written as texts are compared', () => {
  expect(phrases.filter(phrase => normalise(phrase) !== phrase)).toEqual([])
  expect(phrases.length).toBeGreaterThan(200)
})

test('the same end words never name two screens', () => {
  const all = TERMINAL.flatMap(({ texts }) => texts)
  expect(new Set(all).size).toBe(all.length)
})

test('accents, typographic apostrophes and spaces do not matter', () => {
  expect(normalise('You’ll  join\u00a0the “call”… Ñandú')).toBe('you\'ll join the "call"... nandu')
  expect(isAnyPhrase('Join now!', ['join now'])).toBe(true)
})

test('a phrase is found whole or not at all', () => {
  expect(hasPhrase('Desactivar micrófono', 'activar microfono')).toBe(false)
  expect(hasPhrase('Activar micrófono (ctrl + d)', 'activar microfono')).toBe(true)
  expect(hasAnyPhrase('Talbot', ['bot'])).toBe(false)
  expect(hasAnyPhrase('Notes bot', ['bot'])).toBe(true)
  expect(hasPhrase('xjoin join', 'join')).toBe(true)
})
