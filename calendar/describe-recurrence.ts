import type { Recurrence } from './recurrence.ts'
import {
  type DayOfRule,
  type Frequency,
  type RecurrenceRule,
  WEEKDAYS,
  type Weekday,
} from './recurrence-rule.ts'

export type Language = 'es' | 'en'

interface Grammar {
  locale: string
  and: string
  every: Record<Frequency, [one: string, several: (interval: number) => string]>
  /** Monday first, as they stand behind "every week on". */
  weekdays: readonly string[]
  onWeekdays: (list: string) => string
  workdays: string
  /** One weekday, behind an ordinal. */
  weekday: readonly string[]
  ordinals: readonly string[]
  ordinalsFromEnd: readonly string[]
  nth: (ordinal: string, of: string) => string
  monthDay: (day: number) => string
  amongDays: (list: string) => string
  ofMonths: (list: string) => string
  at: (time: string) => string
  times: (count: number) => string
  until: (date: string) => string
  except: (dates: number) => string
}

const EN: Grammar = {
  locale: 'en-GB',
  and: 'and',
  every: {
    DAILY: ['every day', n => `every ${n} days`],
    WEEKLY: ['every week', n => `every ${n} weeks`],
    MONTHLY: ['every month', n => `every ${n} months`],
    YEARLY: ['every year', n => `every ${n} years`],
  },
  weekdays: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
  onWeekdays: list => `on ${list}`,
  workdays: 'from Monday to Friday',
  weekday: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
  ordinals: ['first', 'second', 'third', 'fourth', 'fifth'],
  ordinalsFromEnd: ['last', 'second to last', 'third to last', 'fourth to last', 'fifth to last'],
  nth: (ordinal, of) => `on the ${ordinal} ${of}`,
  monthDay: day =>
    day > 0 ? `on day ${day}` : day === -1 ? 'on the last day' : `on day ${-day} from the end of the month`,
  amongDays: list => `of these days: ${list}`,
  ofMonths: list => `of ${list}`,
  at: time => `at ${time}`,
  times: count => (count === 1 ? 'once' : `${count} times`),
  until: date => `until ${date}`,
  except: dates => (dates === 1 ? 'except one date' : `except ${dates} dates`),
}

const ES: Grammar = {
  locale: 'es-CO',
  and: 'y',
  every: {
    DAILY: ['cada día', n => `cada ${n} días`],
    WEEKLY: ['cada semana', n => `cada ${n} semanas`],
    MONTHLY: ['cada mes', n => `cada ${n} meses`],
    YEARLY: ['cada año', n => `cada ${n} años`],
  },
  weekdays: ['lunes', 'martes', 'miércoles', 'jueves', 'viernes', 'sábados', 'domingos'],
  onWeekdays: list => `los ${list}`,
  workdays: 'de lunes a viernes',
  weekday: ['lunes', 'martes', 'miércoles', 'jueves', 'viernes', 'sábado', 'domingo'],
  ordinals: ['primer', 'segundo', 'tercer', 'cuarto', 'quinto'],
  ordinalsFromEnd: ['último', 'penúltimo', 'antepenúltimo', 'cuarto último', 'quinto último'],
  nth: (ordinal, of) => `el ${ordinal} ${of}`,
  monthDay: day =>
    day > 0 ? `el día ${day}` : day === -1 ? 'el último día' : `el día ${-day} desde el final del mes`,
  amongDays: list => `de estos días: ${list}`,
  ofMonths: list => `de ${list}`,
  at: time => `a las ${time}`,
  times: count => (count === 1 ? 'una vez' : `${count} veces`),
  until: date => `hasta el ${date}`,
  except: dates => (dates === 1 ? 'excepto una fecha' : `excepto ${dates} fechas`),
}

const WORKDAYS: readonly Weekday[] = ['MO', 'TU', 'WE', 'TH', 'FR']

/** A recurrence in words, such as "every 2 weeks on Monday and Friday, at 10:00 (America/Bogota), 10 times". */
export function describeRecurrence(recurrence: Recurrence, language: Language): string {
  const grammar = language === 'es' ? ES : EN
  const { rule, timeZone, start, exceptions } = recurrence
  const time = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(
    start,
  )
  const date = new Intl.DateTimeFormat(grammar.locale, { timeZone, dateStyle: 'long' })
  const [one, several] = grammar.every[rule.frequency]
  const pattern = [
    rule.interval === 1 ? one : several(rule.interval),
    daysInWords(rule, grammar),
    monthsInWords(rule, grammar),
  ]
  const sentence = [
    pattern.filter(part => part !== '').join(' '),
    `${grammar.at(time)} (${timeZone})`,
    ...(rule.count === undefined ? [] : [grammar.times(rule.count)]),
    ...(rule.until ? [grammar.until(date.format(rule.until))] : []),
    ...(exceptions.length > 0 ? [grammar.except(exceptions.length)] : []),
  ]
  return sentence.join(', ')
}

function daysInWords({ days, monthDays, positions }: RecurrenceRule, grammar: Grammar): string {
  const ofMonth = list(monthDays.map(grammar.monthDay), grammar)
  if (positions.length > 0) {
    const among = [...days.map(day => dayName(day, grammar)), ...(ofMonth === '' ? [] : [ofMonth])]
    const ordinals = positions.map(position => ordinalInWords(position, grammar))
    return grammar.nth(list(ordinals, grammar), grammar.amongDays(list(among, grammar)))
  }
  const weekdays = weekdaysInWords(days, grammar)
  if (ofMonth !== '' && weekdays !== '') return `${ofMonth} (${weekdays})`
  return ofMonth || weekdays
}

function weekdaysInWords(days: readonly DayOfRule[], grammar: Grammar): string {
  if (days.length === 0) return ''
  if (days.some(({ ordinal }) => ordinal !== 0))
    return list(
      days.map(day => nthInWords(day, grammar)),
      grammar,
    )
  if (days.length === WORKDAYS.length && days.every(({ day }) => WORKDAYS.includes(day)))
    return grammar.workdays
  const names = days.map(({ day }) => grammar.weekdays[WEEKDAYS.indexOf(day)] ?? day)
  return grammar.onWeekdays(list(names, grammar))
}

function nthInWords(day: DayOfRule, grammar: Grammar): string {
  const { ordinal } = day
  const name = dayName(day, grammar)
  if (ordinal === 0) return grammar.onWeekdays(name)
  return grammar.nth(ordinalInWords(ordinal, grammar), name)
}

function dayName({ day }: DayOfRule, grammar: Grammar): string {
  return grammar.weekday[WEEKDAYS.indexOf(day)] ?? day
}

function ordinalInWords(ordinal: number, { ordinals, ordinalsFromEnd }: Grammar): string {
  return (ordinal > 0 ? ordinals[ordinal - 1] : ordinalsFromEnd[-ordinal - 1]) ?? String(ordinal)
}

function monthsInWords({ months }: RecurrenceRule, grammar: Grammar): string {
  if (months.length === 0) return ''
  const month = new Intl.DateTimeFormat(grammar.locale, { month: 'long', timeZone: 'UTC' })
  const names = months.map(number => month.format(new Date(Date.UTC(2026, number - 1, 1))))
  return grammar.ofMonths(list(names, grammar))
}

function list(items: readonly string[], { and }: Grammar): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} ${and} ${items.at(-1)}`
}
