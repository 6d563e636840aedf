import ICAL from 'ical.js'
import { expect, it } from 'vitest'
import { timeZoneComponent } from './time-zone-component.ts'
import { offsetMsAt, wallTimeAt } from './wall-time.ts'

const FROM = new Date('2026-11-23T15:00:00Z')

it.each([
  'America/Bogota',
  'Europe/Madrid',
  'America/New_York',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'Europe/Dublin',
  'UTC',
])('the VTIMEZONE of %s has the offsets that the zone has, for years', name => {
  const text = timeZoneComponent(name, FROM, FROM)
  const zone = new ICAL.Timezone(new ICAL.Component(ICAL.parse(text)))
  for (let day = 0; day < 4 * 365; day++) {
    const at = new Date(FROM.getTime() + day * 86_400_000)
    const wall = wallTimeAt(at, name)
    const offsetMs = zone.utcOffset(ICAL.Time.fromData({ ...wall, isDate: false }, zone)) * 1000
    expect(offsetMs, at.toISOString()).toBe(offsetMsAt(at, name))
  }
})

it('a zone that changes its clocks by a rule has the rule, one that does not has a single entry', () => {
  expect(timeZoneComponent('Europe/Madrid', FROM, FROM)).toContain('RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU')
  expect(timeZoneComponent('America/New_York', FROM, FROM)).toContain(
    'RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU',
  )
  expect(timeZoneComponent('America/Bogota', FROM, FROM).match(/BEGIN:STANDARD/g)).toHaveLength(1)
  // Morocco changes with the moon.
  expect(timeZoneComponent('Africa/Casablanca', FROM, FROM)).toContain('RDATE:')
})

it('looks no further than half a century, however far apart two meetings are', () => {
  const farAway = new Date('9999-01-01T00:00:00Z')
  const began = performance.now()
  const text = timeZoneComponent('Africa/Casablanca', FROM, farAway)
  expect(performance.now() - began).toBeLessThan(5000)
  expect(text).toBe(timeZoneComponent('Africa/Casablanca', FROM, new Date('2200-01-01T00:00:00Z')))
  expect(timeZoneComponent('Europe/Madrid', FROM, farAway)).toContain(
    'RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU',
  )
})
