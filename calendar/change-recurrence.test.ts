import { describe, expect, it } from 'vitest'
import { moveRecurrence, splitRecurrence, withException } from './change-recurrence.ts'
import { occurrencesBetween, parseRecurrence, type Recurrence } from './recurrence.ts'
import { RecurrenceRefused, writeRule } from './recurrence-rule.ts'
import { instantAt, readWallTime, wallTimeAt, writeWallTime } from './wall-time.ts'

const BOGOTA = 'America/Bogota'
const MADRID = 'Europe/Madrid'

function at(wall: string, timeZone = BOGOTA): Date {
  const read = readWallTime(wall)
  if (!read) throw new Error(`${wall} is no wall time`)
  return instantAt(read.wall, timeZone)
}

function series(lines: string | string[], wall: string, timeZone = BOGOTA): Recurrence {
  return parseRecurrence([lines].flat(), { start: at(wall, timeZone), timeZone })
}

function times(recurrence: Recurrence, years = 5): string[] {
  const to = new Date(recurrence.start.getTime() + years * 366 * 86_400_000)
  return occurrencesBetween(recurrence, recurrence.start, to).map(start =>
    writeWallTime(wallTimeAt(start, recurrence.timeZone)),
  )
}

function reasonOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof RecurrenceRefused) return error.reason
    throw error
  }
  throw new Error('nothing was refused')
}

describe('an exception', () => {
  it('takes one meeting out, the others stay', () => {
    const changed = withException(series('FREQ=DAILY;COUNT=3', '20270101T090000'), at('20270102T090000'))
    expect(times(changed)).toEqual(['20270101T090000', '20270103T090000'])
  })

  it('is refused where there is no meeting, where it is taken out already, and for the last one left', () => {
    const two = series('FREQ=DAILY;COUNT=2', '20270101T090000')
    const one = withException(two, at('20270102T090000'))
    expect(reasonOf(() => withException(two, at('20270102T090001')))).toBe('not_an_occurrence')
    expect(reasonOf(() => withException(one, at('20270102T090000')))).toBe('not_an_occurrence')
    expect(reasonOf(() => withException(one, at('20270101T090000')))).toBe('nothing_left')
  })
})

describe('splitting', () => {
  const RULES: [string, string][] = [
    ['FREQ=DAILY;COUNT=9', '20270101T090000'],
    ['FREQ=DAILY;INTERVAL=3;UNTIL=20270301', '20270101T090000'],
    ['FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH,SU;COUNT=12', '20270104T090000'],
    ['FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU;COUNT=9', '20270105T090000'],
    ['FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=31;COUNT=6', '20270131T090000'],
    ['FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1;COUNT=9', '20270101T090000'],
    ['FREQ=MONTHLY;BYDAY=1MO,-1FR;UNTIL=20280101', '20270104T090000'],
    ['FREQ=YEARLY;BYMONTH=1,3;BYMONTHDAY=4,31;UNTIL=20300101', '20270104T090000'],
  ]

  it.each(RULES)('%s anywhere loses and adds no meeting', (rule, wall) => {
    const whole = series(rule, wall, MADRID)
    const all = times(whole)
    expect(all.length).toBeGreaterThan(3)
    for (const [index, time] of all.entries()) {
      if (index === 0) continue
      const { before, following } = splitRecurrence(whole, at(time, MADRID))
      expect(times(before), time).toEqual(all.slice(0, index))
      expect(times(following), time).toEqual(all.slice(index))
    }
  })

  it('a series without end leaves the second part without end', () => {
    const { before, following } = splitRecurrence(
      series('FREQ=WEEKLY', '20270104T090000'),
      at('20270118T090000'),
    )
    expect(times(before)).toEqual(['20270104T090000', '20270111T090000'])
    expect(writeRule(following.rule)).toBe('FREQ=WEEKLY;BYDAY=MO')
  })

  it('gives each part its exceptions, and counts them where they were', () => {
    const whole = series(['FREQ=DAILY;COUNT=6', 'EXDATE;VALUE=DATE:20270102,20270105'], '20270101T090000')
    const { before, following } = splitRecurrence(whole, at('20270104T090000'))
    expect([times(before), times(following)]).toEqual([
      ['20270101T090000', '20270103T090000'],
      ['20270104T090000', '20270106T090000'],
    ])
  })

  it('is refused at the first meeting that takes place, and where there is none', () => {
    const whole = series(['FREQ=DAILY;COUNT=6', 'EXDATE;VALUE=DATE:20270101'], '20270101T090000')
    expect(reasonOf(() => splitRecurrence(whole, at('20270102T090000')))).toBe('nothing_before')
    expect(reasonOf(() => splitRecurrence(whole, at('20270101T090000')))).toBe('not_an_occurrence')
  })
})

describe('moving a whole series', () => {
  it('to another time of day keeps the days, the exceptions and the end, over daylight saving', () => {
    const whole = series(
      ['FREQ=WEEKLY;UNTIL=20261115', 'EXDATE;VALUE=DATE:20261101'],
      '20261018T100000',
      MADRID,
    )
    const { recurrence, startOf } = moveRecurrence(whole, at('20261018T233000', MADRID))
    expect(times(recurrence)).toEqual([
      '20261018T233000',
      '20261025T233000',
      '20261108T233000',
      '20261115T233000',
    ])
    expect(startOf(at('20261108T100000', MADRID))).toEqual(at('20261108T233000', MADRID))
    expect(startOf(at('20261101T100000', MADRID))).toEqual(at('20261101T233000', MADRID))
  })

  it('to an earlier time keeps the last meeting, and lets none in behind it', () => {
    const whole = series('FREQ=DAILY;UNTIL=20270103T140000Z', '20270101T090000')
    const { recurrence } = moveRecurrence(whole, at('20270101T073000'))
    expect(times(recurrence)).toEqual(['20270101T073000', '20270102T073000', '20270103T073000'])
  })

  it('to another weekday turns all weekdays, and the week with them', () => {
    const whole = series(
      ['FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;COUNT=5', 'EXDATE;VALUE=DATE:20270118'],
      '20270104T090000',
    )
    const { recurrence, startOf } = moveRecurrence(whole, at('20270106T093000'))
    expect(times(whole)).toEqual(['20270104T090000', '20270110T090000', '20270124T090000', '20270201T090000'])
    expect(times(recurrence)).toEqual([
      '20270106T093000',
      '20270112T093000',
      '20270126T093000',
      '20270203T093000',
    ])
    expect(startOf(at('20270124T090000'))).toEqual(at('20270126T093000'))
  })

  it('within a month moves the day of the month, or the nth weekday', () => {
    const date = moveRecurrence(series('FREQ=MONTHLY;COUNT=4', '20270131T090000'), at('20270130T090000'))
    expect(times(date.recurrence)).toEqual([
      '20270130T090000',
      '20270330T090000',
      '20270430T090000',
      '20270530T090000',
    ])
    const nth = moveRecurrence(
      series('FREQ=MONTHLY;BYDAY=1MO;COUNT=3', '20270104T090000'),
      at('20270112T090000'),
    )
    expect(writeRule(nth.recurrence.rule)).toBe('FREQ=MONTHLY;COUNT=3;BYDAY=2TU')
    const last = moveRecurrence(
      series('FREQ=MONTHLY;BYDAY=-1FR;COUNT=3', '20270129T090000'),
      at('20270128T090000'),
    )
    expect(writeRule(last.recurrence.rule)).toBe('FREQ=MONTHLY;COUNT=3;BYDAY=-1TH')
    expect(nth.startOf(at('20270301T090000'))).toEqual(at('20270309T090000'))
  })

  it('says which meetings have no place in the new series', () => {
    const { startOf } = moveRecurrence(series('FREQ=MONTHLY', '20270115T090000'), at('20270131T090000'))
    expect(startOf(at('20270215T090000'))).toBeUndefined()
    expect(startOf(at('20270315T090000'))).toEqual(at('20270331T090000'))
  })

  it('to another time zone keeps what the clock shows there', () => {
    const whole = series('FREQ=WEEKLY;COUNT=2', '20261022T100000')
    const { recurrence } = moveRecurrence(whole, at('20261022T160000', MADRID), MADRID)
    expect(times(recurrence)).toEqual(['20261022T160000', '20261029T160000'])
    expect(recurrence.timeZone).toBe(MADRID)
  })

  it.each([
    ['into another month', 'FREQ=MONTHLY', '20270131T090000', '20270201T090000'],
    ['with several days of the month', 'FREQ=MONTHLY;BYMONTHDAY=4,20', '20270104T090000', '20270105T090000'],
    ['with positions', 'FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1', '20270104T090000', '20270105T090000'],
    ['with days of certain months', 'FREQ=DAILY;BYMONTH=1', '20270104T090000', '20270105T090000'],
  ])('%s is refused: nobody can tell the other meetings', (_, rule, from, to) => {
    expect(reasonOf(() => moveRecurrence(series(rule, from), at(to)))).toBe('cannot_move_day')
  })
})
