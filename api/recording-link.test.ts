import { expect, test } from 'vitest'
import { videoFileName } from './recording-link.ts'

const named = (topic: string, timeZone = 'UTC') =>
  videoFileName({ topic, timeZone, startsAt: new Date('2031-03-05T02:00:00Z') })

test('a video is named by day and topic in plain letters', () => {
  expect(named('Comité: «Señal» 17/B')).toBe('2031-03-05-comite-senal-17-b.mp4')
})

test('the day is that of the meeting in its own time zone', () => {
  expect(named('x', 'America/Bogota')).toBe('2031-03-04-x.mp4')
})

test('a topic without plain letters leaves the day', () => {
  expect(named('会議 ☎')).toBe('2031-03-05.mp4')
})
