import { expect, test } from 'vitest'
import { plainName } from './recording-link.ts'

const named = (topic: string, timeZone = 'UTC') =>
  plainName({ topic, timeZone, startsAt: new Date('2031-03-05T02:00:00Z') })

test('a download is named by day and topic in plain letters', () => {
  expect(named('Comité: «Señal» 17/B')).toBe('2031-03-05-comite-senal-17-b')
})

test('the day is that of the meeting in its own time zone', () => {
  expect(named('x', 'America/Bogota')).toBe('2031-03-04-x')
})

test('a topic without plain letters leaves the day', () => {
  expect(named('会議 ☎')).toBe('2031-03-05')
})
