import { expect, test } from 'vitest'
import { pageLanguage } from './language.ts'

const table = async (file: string, name: string): Promise<object> =>
  ((await import(new URL(`./page/${file}`, import.meta.url).href)) as Record<string, object>)[name] ?? {}

test.each([
  [null, 'en', undefined, 'en'],
  [null, 'en-GB', 'es', 'en-GB'],
  [null, 'es', undefined, 'es'],
  [null, 'es-CO', undefined, 'es-419'],
  [null, null, 'es-MX,es;q=0.9', 'es-419'],
  [null, 'hu', undefined, 'en'],
  ['es-419', 'en', 'en', 'es-419'],
])('account %s, hl %s, header %s: %s', (forced, hl, header, language) => {
  expect(pageLanguage(forced, hl, header)).toBe(language)
})

test.each([
  ['texts.es.js', 'es'],
  ['texts.es.js', 'es419'],
  ['texts.changed.js', 'changed'],
])('%s: table %s has a text for everything the English one has', async (file, name) => {
  const english = Object.keys(await table('texts.en.js', 'en')).sort()
  expect(english.length).toBeGreaterThan(100)
  expect(Object.keys(await table(file, name)).sort()).toEqual(english)
})
