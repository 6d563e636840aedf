import { describe, expect, it } from 'vitest'
import {
  countBefore,
  instanceIdFor,
  isOccurrence,
  lastOccurrence,
  nextOccurrence,
  occurrencesBetween,
  parseRecurrence,
  type Recurrence,
  storedRecurrence,
  writeRecurrence,
} from './recurrence.ts'
import { RecurrenceRefused, writeRule } from './recurrence-rule.ts'
import { instantAt, readWallTime, wallTimeAt, writeUtc, writeWallTime } from './wall-time.ts'

const BOGOTA = 'America/Bogota'
const MADRID = 'Europe/Madrid'

/** A series that starts first at a wall time such as 20261123T100000. */
function series(rule: string | string[], wall: string, timeZone = BOGOTA): Recurrence {
  return parseRecurrence([rule].flat(), { start: at(wall, timeZone), timeZone })
}

function at(wall: string, timeZone = BOGOTA): Date {
  const read = readWallTime(wall)
  if (!read) throw new Error(`${wall} is no wall time`)
  return instantAt(read.wall, timeZone)
}

function starts(recurrence: Recurrence, years = 30): string[] {
  const to = new Date(recurrence.start.getTime() + years * 366 * 86_400_000)
  return occurrencesBetween(recurrence, recurrence.start, to).map(start => start.toISOString())
}

function wallTimes(recurrence: Recurrence, years?: number): string[] {
  return starts(recurrence, years).map(start =>
    writeWallTime(wallTimeAt(new Date(start), recurrence.timeZone)),
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

describe('occurrences', () => {
  it('keep the wall-clock time when daylight saving ends and begins', () => {
    const madrid = series('RRULE:FREQ=WEEKLY;COUNT=3', '20261018T100000', MADRID)
    expect(starts(madrid)).toEqual([
      '2026-10-18T08:00:00.000Z',
      '2026-10-25T09:00:00.000Z',
      '2026-11-01T09:00:00.000Z',
    ])
    const newYork = series('FREQ=DAILY;COUNT=3', '20270313T100000', 'America/New_York')
    expect(starts(newYork)).toEqual([
      '2027-03-13T15:00:00.000Z',
      '2027-03-14T14:00:00.000Z',
      '2027-03-15T14:00:00.000Z',
    ])
  })

  it('are always five hours behind UTC in Bogotá', () => {
    const all = starts(series('FREQ=WEEKLY;BYDAY=MO,TH', '20261123T100000'), 2)
    expect(all).toHaveLength(210)
    expect(all.every(start => start.endsWith('T15:00:00.000Z'))).toBe(true)
  })

  it('leave out a time that daylight saving skips, and do not count it', () => {
    const early = series('FREQ=WEEKLY;BYDAY=SU;COUNT=3', '20270321T023000', MADRID)
    expect(wallTimes(early)).toEqual(['20270321T023000', '20270404T023000', '20270411T023000'])
  })

  it('take the first of two equal times in the night in which daylight saving ends', () => {
    const early = series('FREQ=WEEKLY;BYDAY=SU;COUNT=2', '20261018T023000', MADRID)
    expect(starts(early)[1]).toBe('2026-10-25T00:30:00.000Z')
  })

  it('skip months without a 31st and years without a 29 February', () => {
    expect(wallTimes(series('FREQ=MONTHLY;COUNT=4', '20270131T090000'))).toEqual([
      '20270131T090000',
      '20270331T090000',
      '20270531T090000',
      '20270731T090000',
    ])
    expect(wallTimes(series('FREQ=YEARLY;COUNT=3', '20280229T090000'))).toEqual([
      '20280229T090000',
      '20320229T090000',
      '20360229T090000',
    ])
  })

  it('find the last day, the last Friday and the last working day of a month', () => {
    expect(wallTimes(series('FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3', '20270131T090000'))).toEqual([
      '20270131T090000',
      '20270228T090000',
      '20270331T090000',
    ])
    expect(wallTimes(series('FREQ=MONTHLY;BYDAY=-1FR;COUNT=2', '20270129T090000'))[1]).toBe('20270226T090000')
    const workday = 'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=4'
    expect(wallTimes(series(workday, '20270129T090000'))).toEqual([
      '20270129T090000',
      '20270226T090000',
      '20270331T090000',
      '20270430T090000',
    ])
  })

  it('follow the week start in rules of every second week (the example of RFC 5545)', () => {
    const rule = (weekStart: string) => `FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=${weekStart}`
    const days = (weekStart: string) =>
      wallTimes(series(rule(weekStart), '19970805T090000', 'America/New_York')).map(time => time.slice(4, 8))
    expect(days('MO')).toEqual(['0805', '0810', '0819', '0824'])
    expect(days('SU')).toEqual(['0805', '0817', '0819', '0831'])
  })

  it('leave out exceptions, which still count', () => {
    const recurrence = series(
      ['RRULE:FREQ=DAILY;COUNT=4', 'EXDATE;TZID=America/Bogota:20270102T090000', 'EXDATE:20270103T140000Z'],
      '20270101T090000',
    )
    expect(wallTimes(recurrence)).toEqual(['20270101T090000', '20270104T090000'])
    expect(countBefore(recurrence, at('20270104T090000'))).toBe(3)
    expect(nextOccurrence(recurrence, at('20270101T090001'))).toEqual(at('20270104T090000'))
    expect(isOccurrence(recurrence, at('20270102T090000'))).toBe(false)
  })

  it('are cut off at the limit, and at the end of the range, which is left out', () => {
    const daily = series('FREQ=DAILY', '20270101T090000')
    expect(occurrencesBetween(daily, daily.start, new Date('2099-01-01T00:00:00Z'), 5)).toHaveLength(5)
    expect(occurrencesBetween(daily, daily.start, at('20270103T090000'))).toHaveLength(2)
    expect(occurrencesBetween(daily, at('20270103T090000'), at('20270103T090000'))).toEqual([])
  })

  it('of a series without end are found quickly many years after its start', () => {
    const daily = series('FREQ=DAILY', '20000101T090000', MADRID)
    const found = occurrencesBetween(daily, at('20400101T000000', MADRID), at('20400108T000000', MADRID))
    expect(found).toHaveLength(7)
  })

  it('have a last one where the rule ends', () => {
    expect(lastOccurrence(series('FREQ=DAILY', '20270101T090000'))).toBeUndefined()
    expect(lastOccurrence(series('FREQ=DAILY;COUNT=3', '20270101T090000'))).toEqual(at('20270103T090000'))
    const until = series(['FREQ=DAILY;UNTIL=20270105', 'EXDATE;VALUE=DATE:20270105'], '20270101T090000')
    expect(lastOccurrence(until)).toEqual(at('20270104T090000'))
  })

  it('have the ids that Google gives to instances', () => {
    expect(instanceIdFor('testigoabc', at('20261123T100000'))).toBe('testigoabc_20261123T150000Z')
  })
})

describe('UNTIL', () => {
  it.each([
    ['a UTC time, taken in', 'UNTIL=20270103T140000Z', 3],
    ['one second less', 'UNTIL=20270103T135959Z', 2],
    ['a date, to its end in the time zone', 'UNTIL=20270103', 3],
    ['a local time of the zone', 'UNTIL=20270103T090000', 3],
  ])('may be %s', (_, until, count) => {
    expect(starts(series(`FREQ=DAILY;${until}`, '20270101T090000'))).toHaveLength(count)
  })

  it('of a far future is no end', () => {
    expect(series('FREQ=DAILY;UNTIL=45000829T000000Z', '20270101T090000').rule.until).toBeUndefined()
  })
})

describe('the normal form', () => {
  it.each([
    ['FREQ=WEEKLY', 'FREQ=WEEKLY;BYDAY=MO'],
    ['freq=weekly;byday=th,mo,mo;interval=1;wkst=mo', 'FREQ=WEEKLY;BYDAY=MO,TH'],
    ['RRULE:FREQ=MONTHLY', 'FREQ=MONTHLY;BYMONTHDAY=23'],
    ['FREQ=YEARLY;INTERVAL=2', 'FREQ=YEARLY;INTERVAL=2;BYMONTH=11;BYMONTHDAY=23'],
    ['FREQ=MONTHLY;BYDAY=+4MO', 'FREQ=MONTHLY;BYDAY=4MO'],
    ['FREQ=DAILY;UNTIL=20261231', 'FREQ=DAILY;UNTIL=20270101T045959Z'],
  ])('of %s is %s', (given, normal) => {
    const recurrence = series(given, '20261123T100000')
    expect(writeRule(recurrence.rule)).toBe(normal)
    expect(series(writeRule(recurrence.rule), '20261123T100000')).toEqual(recurrence)
  })

  it('is read back from what was stored and written', () => {
    const recurrence = series(['FREQ=DAILY;COUNT=4', 'EXDATE;VALUE=DATE:20270102'], '20270101T090000', MADRID)
    const { start, timeZone, rule, exceptions } = recurrence
    expect(storedRecurrence({ start, timeZone, rule: writeRule(rule), exceptions })).toEqual(recurrence)
    expect(writeRecurrence(recurrence)).toEqual([
      'RRULE:FREQ=DAILY;COUNT=4',
      'EXDATE;TZID=Europe/Madrid:20270102T090000',
    ])
    expect(parseRecurrence(writeRecurrence(recurrence), { start, timeZone })).toEqual(recurrence)
  })
})

describe('refused is', () => {
  it.each([
    ['hourly', 'FREQ=HOURLY', 'unsupported_frequency'],
    ['a rule by second', 'FREQ=SECONDLY;INTERVAL=5', 'unsupported_frequency'],
    ['no frequency', 'RRULE:INTERVAL=2', 'malformed'],
    ['words', 'every Monday', 'malformed'],
    ['a part without value', 'FREQ=DAILY;COUNT=', 'malformed'],
    ['a part twice', 'FREQ=DAILY;COUNT=2;COUNT=3', 'malformed'],
    ['an hour', 'FREQ=DAILY;BYHOUR=9,17', 'unsupported_part'],
    ['a week number', 'FREQ=YEARLY;BYWEEKNO=20', 'unsupported_part'],
    ['a part of ours', 'FREQ=DAILY;X-TEST=1', 'unsupported_part'],
    ['a weekday of the year', 'FREQ=YEARLY;BYDAY=20MO', 'bad_value'],
    ['a weekday of the whole year', 'FREQ=YEARLY;BYDAY=1MO', 'unsupported_part'],
    ['an ordinal in a week', 'FREQ=WEEKLY;BYDAY=1MO', 'unsupported_part'],
    ['interval 0', 'FREQ=DAILY;INTERVAL=0', 'bad_value'],
    ['an interval with a fraction', 'FREQ=DAILY;INTERVAL=1.5', 'bad_value'],
    ['count 0', 'FREQ=DAILY;COUNT=0', 'bad_value'],
    ['too many', 'FREQ=DAILY;COUNT=1001', 'too_many'],
    ['month 13', 'FREQ=YEARLY;BYMONTH=13', 'bad_value'],
    ['day 0', 'FREQ=MONTHLY;BYMONTHDAY=0', 'bad_value'],
    ['day 32', 'FREQ=MONTHLY;BYMONTHDAY=32', 'bad_value'],
    ['a sixth Monday', 'FREQ=MONTHLY;BYDAY=6MO', 'bad_value'],
    ['a weekday that is none', 'FREQ=WEEKLY;BYDAY=XX', 'bad_value'],
    ['a position of nothing', 'FREQ=MONTHLY;BYSETPOS=1', 'malformed'],
    ['an end that is no time', 'FREQ=DAILY;UNTIL=20261399', 'bad_value'],
    ['two ends', 'FREQ=DAILY;COUNT=2;UNTIL=20270101T000000Z', 'count_and_until'],
    ['an end before the start', 'FREQ=DAILY;UNTIL=20261122T000000Z', 'until_before_start'],
    ['a rule that leaves out the start', 'FREQ=WEEKLY;BYDAY=TU', 'start_not_in_rule'],
    ['a 30 February', 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30', 'start_not_in_rule'],
    [
      'a rule that finds nothing for thousands of years',
      'FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31',
      'start_not_in_rule',
    ],
  ])('%s', (_, rule, reason) => {
    expect(reasonOf(() => series(rule, '20261123T100000'))).toBe(reason)
  })

  it.each([
    ['extra dates', ['RRULE:FREQ=DAILY', 'RDATE:20270101T140000Z'], 'unsupported_line'],
    ['a rule of exceptions', ['RRULE:FREQ=DAILY', 'EXRULE:FREQ=WEEKLY'], 'unsupported_line'],
    ['a start of its own', ['DTSTART:20270101T140000Z', 'RRULE:FREQ=DAILY'], 'unsupported_line'],
    ['two rules', ['RRULE:FREQ=DAILY', 'RRULE:FREQ=WEEKLY'], 'several_rules'],
    ['no rule', ['EXDATE:20270101T140000Z'], 'no_rule'],
    ['nothing', [], 'no_rule'],
    ['an exception beside the rule', ['FREQ=DAILY', 'EXDATE:20261124T150001Z'], 'exception_not_in_rule'],
    ['an exception that is no time', ['FREQ=DAILY', 'EXDATE:tomorrow'], 'bad_value'],
    [
      'an exception of an unknown zone',
      ['FREQ=DAILY', 'EXDATE;TZID=Nowhere:20261124T100000'],
      'unknown_time_zone',
    ],
    ['an exception from everything', ['FREQ=DAILY;COUNT=1', 'EXDATE:20261123T150000Z'], 'nothing_left'],
  ])('%s', (_, lines, reason) => {
    expect(reasonOf(() => series(lines, '20261123T100000'))).toBe(reason)
  })

  it('a start with a fraction of a second, and a zone that is none', () => {
    const start = new Date('2027-01-01T14:00:00.500Z')
    expect(reasonOf(() => parseRecurrence(['FREQ=DAILY'], { start, timeZone: BOGOTA }))).toBe(
      'start_not_whole_seconds',
    )
    expect(reasonOf(() => parseRecurrence(['FREQ=DAILY'], { start, timeZone: '+05:00' }))).toBe(
      'unknown_time_zone',
    )
  })
})

describe('exceptions are counted before any is looked at', () => {
  const ofMinutes = (count: number) =>
    Array.from({ length: count }, (_, minute) =>
      writeUtc(new Date(Date.UTC(2026, 10, 24) + minute * 60_000)),
    ).join(',')

  it.each([
    ['strays', `EXDATE:${ofMinutes(1001)}`],
    ['repeats', `EXDATE:${'20261124T150000Z,'.repeat(1000)}20261124T150000Z`],
    ['lines', 'EXDATE:20261124T150000Z\n'.repeat(1001)],
    ['what is no time', `EXDATE:${'x,'.repeat(1000)}x`],
  ])('also %s', (_, exceptions) => {
    const lines = ['FREQ=DAILY', exceptions]
    const start = at('20261123T100000')
    for (const strayExceptions of ['refuse', 'drop'] as const)
      expect(reasonOf(() => parseRecurrence(lines, { start, timeZone: BOGOTA }, { strayExceptions }))).toBe(
        'too_many',
      )
  })

  it('a thousand are fine, and each is given once', () => {
    const repeated = ['20261124T150000Z', '20261125T150000Z'].flatMap(text => Array(500).fill(text))
    expect(series(['FREQ=DAILY', `EXDATE:${repeated.join(',')}`], '20261123T100000').exceptions).toEqual([
      at('20261124T100000'),
      at('20261125T100000'),
    ])
  })

  it.each(['FREQ=DAILY;COUNT=1000', 'FREQ=DAILY;UNTIL=20290818T150000Z', 'FREQ=DAILY'])(
    'all but the last of %s may be taken out, without taking long',
    rule => {
      const days = Array.from({ length: 999 }, (_, day) =>
        writeUtc(new Date(Date.UTC(2026, 10, 23, 15) + day * 86_400_000)),
      )
      const began = performance.now()
      const recurrence = series([rule, `EXDATE:${days.join(',')}`], '20261123T100000')
      expect(recurrence.exceptions).toHaveLength(999)
      expect(nextOccurrence(recurrence, recurrence.start)).toEqual(new Date('2029-08-18T15:00:00Z'))
      expect(performance.now() - began).toBeLessThan(5000)
    },
  )

  it('outside of the series they are strays, whatever they are written as', () => {
    const start = at('20261123T100000')
    const exceptions =
      'EXDATE:20261122T150000Z,20261202T150000Z\nEXDATE;VALUE=DATE:20261122,20261203,20261125'
    for (const rule of ['FREQ=DAILY;UNTIL=20261201T150000Z', 'FREQ=DAILY;COUNT=9']) {
      const lines = [rule, exceptions]
      expect(
        parseRecurrence(lines, { start, timeZone: BOGOTA }, { strayExceptions: 'drop' }).exceptions,
      ).toEqual([at('20261125T100000')])
      expect(reasonOf(() => series(lines, '20261123T100000'))).toBe('exception_not_in_rule')
    }
  })

  it('of a rule whose end lies beyond every calendar too', () => {
    const rule = 'FREQ=YEARLY;INTERVAL=999;COUNT=1000'
    const recurrence = series([rule, 'EXDATE:20261123T150000Z'], '20261123T100000')
    expect(recurrence.exceptions).toEqual([at('20261123T100000')])
  })
})

it('an exception that fits nothing is dropped where another program wrote it', () => {
  const start = at('20261123T100000')
  const lines = ['FREQ=WEEKLY', 'EXDATE:20261124T150000Z,20261130T150000Z']
  const { exceptions } = parseRecurrence(lines, { start, timeZone: BOGOTA }, { strayExceptions: 'drop' })
  expect(exceptions).toEqual([at('20261130T100000')])
})
