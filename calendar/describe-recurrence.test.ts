import { expect, it } from 'vitest'
import { describeRecurrence } from './describe-recurrence.ts'
import { parseRecurrence } from './recurrence.ts'

// Monday 4 January 2027, ten o'clock in Bogotá: also the first Monday and the first working day of the month.
const START = new Date('2027-01-04T15:00:00Z')

it.each([
  ['FREQ=DAILY', 'every day', 'cada día'],
  ['FREQ=DAILY;INTERVAL=3', 'every 3 days', 'cada 3 días'],
  ['FREQ=WEEKLY;BYDAY=MO', 'every week on Monday', 'cada semana los lunes'],
  [
    'FREQ=WEEKLY;INTERVAL=2;BYDAY=SA,MO,WE',
    'every 2 weeks on Monday, Wednesday and Saturday',
    'cada 2 semanas los lunes, miércoles y sábados',
  ],
  ['FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR', 'every week from Monday to Friday', 'cada semana de lunes a viernes'],
  ['FREQ=MONTHLY', 'every month on day 4', 'cada mes el día 4'],
  [
    'FREQ=MONTHLY;BYMONTHDAY=4,-1',
    'every month on the last day and on day 4',
    'cada mes el último día y el día 4',
  ],
  ['FREQ=MONTHLY;BYDAY=1MO', 'every month on the first Monday', 'cada mes el primer lunes'],
  [
    'FREQ=MONTHLY;BYDAY=1MO,-1FR',
    'every month on the last Friday and on the first Monday',
    'cada mes el último viernes y el primer lunes',
  ],
  [
    'FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1',
    'every month on the first of these days: Monday and Tuesday',
    'cada mes el primer de estos días: lunes y martes',
  ],
  ['FREQ=YEARLY', 'every year on day 4 of January', 'cada año el día 4 de enero'],
  [
    'FREQ=YEARLY;BYMONTH=1,7;BYDAY=1MO',
    'every year on the first Monday of January and July',
    'cada año el primer lunes de enero y julio',
  ],
])('%s is said in two languages', (rule, en, es) => {
  const recurrence = parseRecurrence([rule], { start: START, timeZone: 'America/Bogota' })
  expect(describeRecurrence(recurrence, 'en')).toBe(`${en}, at 10:00 (America/Bogota)`)
  expect(describeRecurrence(recurrence, 'es')).toBe(`${es}, a las 10:00 (America/Bogota)`)
})

it('the end and the exceptions are said too', () => {
  const counted = parseRecurrence(['FREQ=DAILY;COUNT=10', 'EXDATE:20270105T150000Z,20270106T150000Z'], {
    start: START,
    timeZone: 'America/Bogota',
  })
  expect(describeRecurrence(counted, 'en')).toBe(
    'every day, at 10:00 (America/Bogota), 10 times, except 2 dates',
  )
  const until = parseRecurrence(['FREQ=DAILY;UNTIL=20270331'], { start: START, timeZone: 'America/Bogota' })
  expect(describeRecurrence(until, 'es')).toBe(
    'cada día, a las 10:00 (America/Bogota), hasta el 31 de marzo de 2027',
  )
})
