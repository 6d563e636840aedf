import { addDays, instantAt, wallTimeAt } from './wall-time.ts'

export const REMINDER_UNITS = ['minutes', 'hours', 'days', 'weeks'] as const
export const REMINDER_CHANNELS = ['email', 'popup'] as const

/**
 * When people are reminded of a meeting. `email` is a mail, `popup` a note of their calendar. Days and weeks are those
 * of the calendar: one day before a meeting at nine is nine o'clock, also when the clocks change in between; minutes
 * and hours are exact.
 */
export interface ReminderRule {
  channel: (typeof REMINDER_CHANNELS)[number]
  amount: number
  unit: (typeof REMINDER_UNITS)[number]
}

/** What a reminder needs to know of a meeting. */
export interface RemindedMeeting {
  start: Date
  /** IANA name. */
  timeZone: string
}

export interface DueReminder {
  rule: ReminderRule
  dueAt: Date
  /** The same for the same rule and start only: a moved meeting is reminded of anew. */
  key: string
}

const MINUTES: Record<ReminderRule['unit'], number> = { minutes: 1, hours: 60, days: 1440, weeks: 10_080 }
/** What Google Calendar takes: four weeks before, five at an event (`reminders.overrides`). */
export const LONGEST_REMINDER_MINUTES = 40_320
export const MOST_REMINDERS = 5

export type ReminderFault = { index: number; code: 'bad_amount' | 'too_early' | 'too_many' | 'twice' }

/** What is wrong with a list of rules; empty for a good one. */
export function reminderFaults(rules: readonly ReminderRule[]): ReminderFault[] {
  const faults: ReminderFault[] = []
  const seen = new Set<string>()
  for (const [index, rule] of rules.entries()) {
    const name = writeReminder(rule)
    if (!Number.isSafeInteger(rule.amount) || rule.amount < 0) faults.push({ index, code: 'bad_amount' })
    else if (minutesBefore(rule) > LONGEST_REMINDER_MINUTES) faults.push({ index, code: 'too_early' })
    else if (seen.has(name)) faults.push({ index, code: 'twice' })
    else if (index >= MOST_REMINDERS) faults.push({ index, code: 'too_many' })
    seen.add(name)
  }
  return faults
}

/** A rule as a word, such as `email:2:days`: for keys of what was sent. */
function writeReminder({ channel, amount, unit }: ReminderRule): string {
  return `${channel}:${amount}:${unit}`
}

/** When a reminder is due. */
export function reminderTime(rule: ReminderRule, { start, timeZone }: RemindedMeeting): Date {
  const { amount, unit } = rule
  if (unit === 'minutes' || unit === 'hours') return new Date(start.getTime() - minutesBefore(rule) * 60_000)
  const days = unit === 'weeks' ? amount * 7 : amount
  if (days === 0) return start
  return instantAt(addDays(wallTimeAt(start, timeZone), -days), timeZone)
}

/**
 * What fell due after `after` and until `now`, the earliest first. Nothing once the meeting has begun, unless it is
 * due at the very start. Pass for `after` the later one of the last look and the meeting's last move, so that a
 * meeting made an hour ahead does not send its reminder of the day before.
 */
export function dueReminders(
  rules: readonly ReminderRule[],
  meeting: RemindedMeeting,
  { after, now }: { after: Date; now: Date },
): DueReminder[] {
  return timesOf(rules, meeting).filter(
    ({ dueAt }) => dueAt > after && dueAt <= now && (now <= meeting.start || dueAt >= meeting.start),
  )
}

/** The next time at which something falls due; undefined when nothing does any more. */
export function nextReminder(
  rules: readonly ReminderRule[],
  meeting: RemindedMeeting,
  now: Date,
): DueReminder | undefined {
  return timesOf(rules, meeting).find(({ dueAt }) => dueAt > now)
}

/** The popups as Google Calendar takes them (`reminders.overrides`), which knows minutes only. */
export function calendarReminders(rules: readonly ReminderRule[]): { method: 'popup'; minutes: number }[] {
  return rules
    .filter(({ channel }) => channel === 'popup')
    .map(rule => ({ method: 'popup', minutes: minutesBefore(rule) }))
}

/** Without regard to clocks that change: a day is 1,440 minutes. */
export function minutesBefore({ amount, unit }: ReminderRule): number {
  return amount * MINUTES[unit]
}

function timesOf(rules: readonly ReminderRule[], meeting: RemindedMeeting): DueReminder[] {
  return rules
    .map(rule => ({
      rule,
      dueAt: reminderTime(rule, meeting),
      key: `${writeReminder(rule)}@${meeting.start.toISOString()}`,
    }))
    .sort((a, b) => a.dueAt.getTime() - b.dueAt.getTime())
}
