import { expect, test } from 'vitest'
import { BadShellWords, mergeListSwitches, splitShellWords } from './chromium-args.ts'

test('words are split as a shell splits them, quotes and backslashes honoured', () => {
  expect(splitShellWords(`--a --b="two words" '--c=x y' --d=one\\ two`)).toEqual([
    '--a',
    '--b=two words',
    '--c=x y',
    '--d=one two',
  ])
})

test('an empty text gives no words', () => {
  expect(splitShellWords('  ')).toEqual([])
})

test('the host rules of a test set-up pass unharmed in quotes', () => {
  expect(splitShellWords('"--host-resolver-rules=MAP * 127.0.0.1:8443"')).toEqual([
    '--host-resolver-rules=MAP * 127.0.0.1:8443',
  ])
})

test('variables are left as they are written', () => {
  expect(splitShellWords('--user-data-dir=$HOME/x')).toEqual(['--user-data-dir=$HOME/x'])
})

test.each([
  ['--a && rm -rf x', 'operator'],
  ['--a | cat', 'operator'],
  ['--load=*.crx', 'glob'],
  ['--a # later', 'comment'],
  ['--a="open', 'unclosed-quote'],
])('%s is refused with a reason and a hint', (text, reason) => {
  expect(() => splitShellWords(text)).toThrow(BadShellWords)
  expect(() => splitShellWords(text)).toThrow(expect.objectContaining({ reason }))
})

test('repeated feature lists become one switch and other switches keep their order', () => {
  expect(
    mergeListSwitches([
      '--x',
      '--disable-features=A,B',
      '--enable-features=C',
      '--disable-features=B,D',
      '--y=1',
    ]),
  ).toEqual(['--x', '--y=1', '--disable-features=A,B,D', '--enable-features=C'])
})
