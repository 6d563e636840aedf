import { expect, test } from 'vitest'
import { aloneInCall, snapshot, threeInCall, tile } from './captured-screens.ts'
import { everybodyLeaves, type PeopleReading, type Presence, readPeople, trackPeople } from './people.ts'

test('the captured calls show the others and not the bot itself', () => {
  expect(readPeople(aloneInCall, null)).toEqual({ seen: [], chipOthers: 0 })
  const reading = readPeople(threeInCall, null)
  expect(reading.seen?.map(person => person.name)).toEqual(['Ana Torres', 'Luis Gómez'])
  expect(reading.chipOthers).toBe(2)
})

test('a page without tiles or chip says nothing', () => {
  expect(readPeople(snapshot(), 'Testigo bot')).toEqual({ seen: null, chipOthers: null })
})

test('a presentation is not another person', () => {
  const presentation = { ...tile(7, 'Ana Torres (Presentation)'), mediaId: 'spaces/AbCdEf/devices/77' }
  expect(readPeople({ ...threeInCall, tiles: [...threeInCall.tiles, presentation] }, null).seen).toHaveLength(
    2,
  )
})

test('the count written in the chip wins over fewer avatars', () => {
  expect(readPeople({ ...threeInCall, avatarCount: 3, chipCount: 14 }, null).chipOthers).toBe(13)
})

test('without its marks the own tile is known by the name of the bot, once: a second one is a ghost seat', () => {
  const tiles = [tile(1, 'Testigo bot'), tile(2, 'Testigo bot'), tile(3, 'Ana Torres')]
  expect(readPeople({ ...threeInCall, tiles }, 'Testigo bot').seen).toMatchObject([
    { name: 'Testigo bot', bot: true },
    { name: 'Ana Torres', bot: false },
  ])
})

test.each(['Fireflies.ai Notetaker', 'Read.ai meeting notes', 'Otter', 'Grabación Testigo', 'tl;dv'])(
  '%s is a bot',
  name => {
    expect(readPeople({ ...threeInCall, tiles: [tile(3, name)] }, null).seen).toMatchObject([{ bot: true }])
  },
)

test.each(['Talbot Ruiz', 'Fathima', 'Reader Díaz'])('%s is a person', name => {
  expect(readPeople({ ...threeInCall, tiles: [tile(3, name)] }, null).seen).toMatchObject([{ bot: false }])
})

const ana = { personKey: 'a', name: 'Ana', bot: false }
const luis = { personKey: 'l', name: 'Luis', bot: false }

function play(readings: [number, PeopleReading][]): string[] {
  let present: Presence = new Map()
  return readings.flatMap(([at, reading]) => {
    const tracked = trackPeople(present, reading, at)
    present = tracked.present
    return tracked.changes.map(change => `${change.name} ${change.change} ${change.at.getTime()}`)
  })
}

test('coming is told once; leaving after some seconds, with the time it was first missed', () => {
  expect(
    play([
      [0, { seen: [ana, luis], chipOthers: 2 }],
      [2_000, { seen: [ana], chipOthers: 1 }],
      [4_000, { seen: [ana], chipOthers: 1 }],
      [6_000, { seen: [ana], chipOthers: 1 }],
    ]),
  ).toEqual(['Ana joined 0', 'Luis joined 0', 'Luis left 2000'])
})

test('a tile that comes back at once, or is only hidden by a full stage, is nobody leaving', () => {
  expect(
    play([
      [0, { seen: [ana, luis], chipOthers: 2 }],
      [2_000, { seen: [ana], chipOthers: 2 }],
      [20_000, { seen: [ana], chipOthers: 2 }],
      [22_000, { seen: [ana, luis], chipOthers: 2 }],
      [24_000, { seen: null, chipOthers: null }],
      [40_000, { seen: null, chipOthers: null }],
    ]),
  ).toEqual(['Ana joined 0', 'Luis joined 0'])
})

test('whoever is present leaves with the end of the call', () => {
  const present = trackPeople(new Map(), { seen: [ana], chipOthers: 1 }, 5).present
  expect(everybodyLeaves(present, 90)).toMatchObject([{ name: 'Ana', change: 'left', at: new Date(90) }])
})
