import { describe, expect, test } from 'vitest'
import type { PeopleReading } from './people.ts'
import { type CallFacts, judge, remember, startMemory, whenToLeave } from './when-to-leave.ts'

const limits = { nobodyCameMs: 900_000, everyoneLeftMs: 180_000, onlyBotsMs: 120_000 }
const START = 1_000_000
const FAR = START + 100_000_000

const person = { personKey: 'a', name: 'Ana', bot: false }
const bot = { personKey: 'b', name: 'Notetaker', bot: true }
const nobody: PeopleReading = { seen: [], chipOthers: 0 }
const ana: PeopleReading = { seen: [person], chipOthers: 1 }
const onlyBot: PeopleReading = { seen: [bot], chipOthers: 1 }

const facts = (more: Partial<CallFacts>): CallFacts => ({
  at: START,
  people: 'unknown',
  onlyOneHere: false,
  sound: 'unknown',
  googleSaysSomebody: 'unknown',
  ...more,
})

/** Plays facts every 10 s from `fromMs` to `toMs` after the start; gives the first ending and when it came. */
function play(
  parts: { untilMs: number; facts: Partial<CallFacts> }[],
  fromMs = 0,
  options = { sawPeople: false, hardStopAt: FAR },
) {
  let memory = startMemory(START + fromMs, START, options.sawPeople)
  let at = fromMs
  for (const part of parts) {
    for (; at <= part.untilMs; at += 10_000) {
      memory = remember(memory, facts({ ...part.facts, at: START + at }))
      const verdict = whenToLeave(memory, limits, options.hardStopAt, START + at)
      if (verdict !== 'stay') return { ending: verdict, atMs: at }
    }
  }
  return 'stay'
}

describe('judging who is there', () => {
  test.each([
    ['a person with a tile', { people: ana }, 'company'],
    ['tiles gone but the chip still counts somebody', { people: { seen: [], chipOthers: 4 } }, 'company'],
    ['a tile that the chip does not count', { people: { seen: [person], chipOthers: 0 } }, 'company'],
    ['no tile and a chip of one', { people: nobody }, 'alone'],
    ['no tile, no chip', { people: { seen: [], chipOthers: null } }, 'unsure'],
    ['no tile, no chip, no sound', { people: { seen: [], chipOthers: null }, sound: 'no' }, 'alone'],
    [
      'no tile, no chip, Meet says so',
      { people: { seen: [], chipOthers: null }, onlyOneHere: true },
      'alone',
    ],
    ['an unreadable page', { people: 'unknown' }, 'unsure'],
    ['an unreadable page and silence', { people: 'unknown', sound: 'no' }, 'unsure'],
    [
      'an unreadable page, silence and Google says nobody',
      { people: 'unknown', sound: 'no', googleSaysSomebody: false },
      'alone',
    ],
    ['nobody in sight but sound', { people: nobody, sound: 'yes' }, 'unsure'],
    ['nobody in sight but Google says somebody', { people: nobody, googleSaysSomebody: true }, 'unsure'],
    ['a bot and nobody else', { people: onlyBot }, 'only_bots'],
    ['a bot and somebody without a tile', { people: { seen: [bot], chipOthers: 2 } }, 'company'],
  ] as const)('%s', (_, given, verdict) => {
    expect(judge(facts(given as Partial<CallFacts>))).toBe(verdict)
  })
})

test('nothing known never makes the bot leave before the longest time', () => {
  expect(play([{ untilMs: 5_000_000, facts: {} }])).toBe('stay')
  expect(play([{ untilMs: 5_000_000, facts: { people: { seen: [], chipOthers: null } } }])).toBe('stay')
  expect(
    play([{ untilMs: 5_000_000, facts: {} }], 0, { sawPeople: false, hardStopAt: START + 60_000 }),
  ).toEqual({
    ending: 'longest_call_reached',
    atMs: 60_000,
  })
})

test('nobody came counts from the scheduled start, however early the bot is', () => {
  expect(play([{ untilMs: 2_000_000, facts: { people: nobody } }], -600_000)).toEqual({
    ending: 'nobody_came',
    atMs: 900_000,
  })
  expect(play([{ untilMs: 2_000_000, facts: { people: onlyBot } }], -60_000)).toEqual({
    ending: 'nobody_came',
    atMs: 900_000,
  })
})

test('a bot that comes after that patience still looks around for a while', () => {
  expect(play([{ untilMs: 5_000_000, facts: { people: nobody } }], 3_600_000)).toEqual({
    ending: 'nobody_came',
    atMs: 3_780_000,
  })
})

test('everyone left after three minutes alone, counted anew when somebody comes back', () => {
  const left = { facts: { people: nobody } }
  const there = { facts: { people: ana } }
  expect(
    play([
      { untilMs: 100_000, ...there },
      { untilMs: 1_000_000, ...left },
    ]),
  ).toEqual({ ending: 'everyone_left', atMs: 290_000 })
  expect(
    play([
      { untilMs: 100_000, ...there },
      { untilMs: 250_000, ...left },
      { untilMs: 260_000, ...there },
      { untilMs: 1_000_000, ...left },
    ]),
  ).toEqual({ ending: 'everyone_left', atMs: 450_000 })
})

test('unsure moments neither count as alone nor undo what was counted', () => {
  expect(
    play([
      { untilMs: 100_000, facts: { people: ana } },
      { untilMs: 200_000, facts: { people: nobody } },
      { untilMs: 1_000_000, facts: {} },
      { untilMs: 2_000_000, facts: { people: nobody } },
    ]),
  ).toEqual({ ending: 'everyone_left', atMs: 1_100_000 })
})

test('only bots left has its own patience and name', () => {
  expect(
    play([
      { untilMs: 100_000, facts: { people: ana } },
      { untilMs: 1_000_000, facts: { people: onlyBot } },
    ]),
  ).toEqual({
    ending: 'only_bots_left',
    atMs: 230_000,
  })
})

test('people who looked in before the start are expected back', () => {
  expect(
    play(
      [
        { untilMs: -40_000, facts: { people: ana } },
        { untilMs: 2_000_000, facts: { people: nobody } },
      ],
      -60_000,
    ),
  ).toEqual({ ending: 'everyone_left', atMs: 900_000 })
})

test('an attempt after one that met people does not say that nobody came', () => {
  expect(
    play([{ untilMs: 5_000_000, facts: { people: nobody } }], 600_000, { sawPeople: true, hardStopAt: FAR }),
  ).toEqual({
    ending: 'everyone_left',
    atMs: 780_000,
  })
})
