import { describe, expect, it } from 'vitest'
import {
  calendarReminders,
  dueReminders,
  nextReminder,
  type ReminderRule,
  reminderFaults,
  reminderTime,
} from './reminders.ts'

const email = (amount: number, unit: ReminderRule['unit']): ReminderRule => ({
  channel: 'email',
  amount,
  unit,
})
const popup = (amount: number, unit: ReminderRule['unit']): ReminderRule => ({
  channel: 'popup',
  amount,
  unit,
})
const MADRID = 'Europe/Madrid'

describe('the time of a reminder', () => {
  // Clocks go forward on 28 March 2027 and back on 31 October 2027, both at night.
  it.each([
    [
      'a day before, over a night of 23 hours',
      '2027-03-28T07:00:00Z',
      email(1, 'days'),
      '2027-03-27T08:00:00.000Z',
    ],
    [
      '24 hours before, over that night',
      '2027-03-28T07:00:00Z',
      email(24, 'hours'),
      '2027-03-27T07:00:00.000Z',
    ],
    [
      'a day before, over a night of 25 hours',
      '2027-10-31T08:00:00Z',
      email(1, 'days'),
      '2027-10-30T07:00:00.000Z',
    ],
    [
      'two weeks before, over a change',
      '2027-04-05T07:00:00Z',
      popup(2, 'weeks'),
      '2027-03-22T08:00:00.000Z',
    ],
    [
      'a day before, at an hour skipped that day',
      '2027-03-29T00:30:00Z',
      email(1, 'days'),
      '2027-03-28T01:30:00.000Z',
    ],
    ['ten minutes before', '2027-03-28T07:00:00Z', popup(10, 'minutes'), '2027-03-28T06:50:00.000Z'],
    ['at the start', '2027-03-28T07:00:00Z', popup(0, 'days'), '2027-03-28T07:00:00.000Z'],
  ])('%s', (_, start, rule, due) => {
    expect(reminderTime(rule, { start: new Date(start), timeZone: MADRID }).toISOString()).toBe(due)
  })

  it('in Bogotá is always the same hour', () => {
    const meeting = { start: new Date('2027-03-15T14:00:00Z'), timeZone: 'America/Bogota' }
    expect(reminderTime(email(3, 'days'), meeting).toISOString()).toBe('2027-03-12T14:00:00.000Z')
  })
})

describe('what is due', () => {
  const meeting = { start: new Date('2027-01-15T14:00:00Z'), timeZone: 'America/Bogota' }
  const rules = [popup(10, 'minutes'), email(1, 'days'), email(1, 'hours')]
  const dueBetween = (after: string, now: string) =>
    dueReminders(rules, meeting, { after: new Date(after), now: new Date(now) }).map(({ key }) => key)

  it('is what fell due since the last look, each once', () => {
    const start = '2027-01-15T14:00:00.000Z'
    expect(dueBetween('2027-01-14T13:59:59Z', '2027-01-14T14:00:00Z')).toEqual([`email:1:days@${start}`])
    expect(dueBetween('2027-01-14T14:00:00Z', '2027-01-15T12:59:59Z')).toEqual([])
    expect(dueBetween('2027-01-14T00:00:00Z', '2027-01-15T13:55:00Z')).toEqual([
      `email:1:days@${start}`,
      `email:1:hours@${start}`,
      `popup:10:minutes@${start}`,
    ])
  })

  it('is nothing after the meeting has begun, unless it belongs to the very start', () => {
    expect(dueBetween('2027-01-14T00:00:00Z', '2027-01-15T14:00:01Z')).toEqual([])
    const atStart = dueReminders([email(0, 'minutes')], meeting, {
      after: new Date('2027-01-15T13:59:00Z'),
      now: new Date('2027-01-15T14:00:20Z'),
    })
    expect(atStart).toHaveLength(1)
  })

  it('comes next in the order of time', () => {
    const next = (now: string) => nextReminder(rules, meeting, new Date(now))?.dueAt.toISOString()
    expect(next('2027-01-01T00:00:00Z')).toBe('2027-01-14T14:00:00.000Z')
    expect(next('2027-01-14T14:00:00Z')).toBe('2027-01-15T13:00:00.000Z')
    expect(next('2027-01-15T13:50:00Z')).toBeUndefined()
  })
})

it('Google gets the popups, in minutes', () => {
  expect(calendarReminders([email(1, 'days'), popup(2, 'weeks'), popup(0, 'minutes')])).toEqual([
    { method: 'popup', minutes: 20_160 },
    { method: 'popup', minutes: 0 },
  ])
})

it('bad rules are named by their place', () => {
  expect(reminderFaults([email(1, 'days'), popup(10, 'minutes')])).toEqual([])
  expect(reminderFaults([email(-1, 'days'), email(1.5, 'hours'), email(5, 'weeks')])).toEqual([
    { index: 0, code: 'bad_amount' },
    { index: 1, code: 'bad_amount' },
    { index: 2, code: 'too_early' },
  ])
  expect(reminderFaults([email(1, 'days'), email(1, 'days')])).toEqual([{ index: 1, code: 'twice' }])
  expect(reminderFaults([1, 2, 3, 4, 5, 6].map(days => email(days, 'days')))).toEqual([
    { index: 5, code: 'too_many' },
  ])
})
