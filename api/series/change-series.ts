import { moveRecurrence, splitRecurrence } from '../../calendar/change-recurrence.ts'
import { nextOccurrence, type Recurrence } from '../../calendar/recurrence.ts'
import { writeRule } from '../../calendar/recurrence-rule.ts'
import { addDays, daysBetween, instantAt, wallTimeAt } from '../../calendar/wall-time.ts'
import type { Transaction } from '../../db/connect.ts'
import type { OpenJobs } from '../../db/jobs.ts'
import type { Invited, MeetingChange, MeetingRow } from '../../db/meetings.ts'
import type { SeriesTemplate } from '../../db/schema.ts'
import {
  changeSeries,
  detach,
  hasBegun,
  insertSeries,
  lockUpcoming,
  type SeriesRow,
} from '../../db/series.ts'
import { Problem } from '../problem.ts'
import type { MeetingProvider } from '../providers/meeting-provider.ts'
import type { BotDeps } from '../send-bot.ts'
import type { Touched } from '../tell-provider.ts'
import { newSeriesRow, readRecurrence, recurrenceProblem } from './create-series.ts'
import { horizonAt, occurrencesUntil, recurrenceOf } from './occurrences.ts'
import { cancelOne, placeAll } from './place-meetings.ts'

export interface SeriesWork {
  tx: Transaction
  jobs: Pick<OpenJobs, 'withdraw' | 'sendMany'>
  provider: MeetingProvider
  settings: BotDeps['settings']
  actor: string
  /** Milliseconds since 1970. */
  now: number
}

/** Another list of people in the place of the one there is. */
export type PeopleChange = (present: readonly Invited[]) => Invited[]

/** What a caller wants of one meeting of a series and of others with it. */
export interface SeriesWish {
  /** `following`: the meeting and all after it; `all`: all that have not begun. */
  scope: 'following' | 'all'
  start?: Date | undefined
  end?: Date | undefined
  timeZone?: string | undefined
  recurrence?: readonly string[] | undefined
  /** Changes each list of people, also those of meetings that had their own; excludes `fields.participants`. */
  people?: PeopleChange | undefined
  /** What goes into each meeting, times apart. */
  fields: Omit<MeetingChange, 'startsAt' | 'endsAt' | 'timeZone'>
}

/**
 * Changes many meetings of a series at once, each of which keeps its id. Where earlier meetings stay as they are, the
 * series is split: the later ones go on as a series of their own, with a link of its own. What has begun never changes;
 * fields in which a meeting already differed from its series stay different.
 * @param series locked, as is the meeting
 * @throws {Problem} `bad_recurrence`
 */
export async function changeManyMeetings(
  work: SeriesWork,
  series: SeriesRow,
  meeting: MeetingRow,
  wish: SeriesWish,
): Promise<Touched> {
  const { tx, actor } = work
  const now = new Date(work.now)
  const whole = recurrenceOf(series)
  const pivot = await pivotOf(tx, series, whole, meeting, wish, now)
  const { before, following } = split(whole, pivot)
  const { recurrence, startOf } = newTimes(following, meeting, wish)
  const lengthMs = lengthOf(series, meeting, wish)
  const fields = {
    ...wish.fields,
    ...(wish.people && { participants: wish.people(series.template.participants) }),
  }
  const template = { ...series.template, ...templateChange(fields) }
  const upcoming = await lockUpcoming(tx, series.id, { from: pivot, now })
  await detach(tx, ids(upcoming))
  let target: SeriesRow
  const until = horizonAt(work.now)
  if (before) {
    const { organizationId, organizer, createdBy } = series
    await changeSeries(
      tx,
      series,
      { rule: writeRule(before.rule), exceptions: written(before) },
      { actor, now },
    )
    const rest = {
      organizationId,
      organizer,
      createdBy,
      externalId: null,
      lengthMs,
      template,
      continues: series.id,
    }
    const row = newSeriesRow(work.provider, recurrence, rest)
    const { expandedUntil } = occurrencesUntil(recurrence, row.eventId, now, until)
    const made = await insertSeries(tx, { ...row, expandedUntil }, actor)
    if (!made) throw new Error('a series without external id met another one')
    target = made
  } else {
    const { expandedUntil } = occurrencesUntil(recurrence, series.eventId, now, until)
    const change = {
      rule: writeRule(recurrence.rule),
      startsAt: recurrence.start,
      timeZone: recurrence.timeZone,
      exceptions: written(recurrence),
      lengthMs,
      template,
      expandedUntil,
    }
    target = await changeSeries(tx, series, change, { actor, now })
  }
  const meetingIds = await placeAll(work, target, recurrence, {
    upcoming,
    startOf,
    fields,
    people: wish.people,
  })
  return { seriesIds: before ? [series.id, target.id] : [target.id], meetingIds }
}

/**
 * Cancels a meeting of a series and all after it, or all that have not begun.
 * @returns the series whose event changes
 */
export async function cancelManyMeetings(
  work: SeriesWork,
  series: SeriesRow,
  meeting: MeetingRow,
  scope: 'following' | 'all',
): Promise<Touched> {
  const { tx, actor } = work
  const now = new Date(work.now)
  const whole = recurrenceOf(series)
  const pivot =
    scope === 'all' && !(await hasBegun(tx, series.id, now))
      ? series.startsAt
      : upcomingFrom(whole, meeting, scope, now)
  const upcoming = await lockUpcoming(tx, series.id, { from: pivot, now })
  for (const one of upcoming) await cancelOne(work, one)
  const { before } = split(whole, pivot)
  const by = { actor, now }
  if (before)
    await changeSeries(tx, series, { rule: writeRule(before.rule), exceptions: written(before) }, by)
  else await changeSeries(tx, series, { status: 'cancelled', cancelledAt: now }, by)
  return { seriesIds: [series.id], meetingIds: [] }
}

/** Where the part of the series begins that changes. */
async function pivotOf(
  tx: Transaction,
  series: SeriesRow,
  whole: Recurrence,
  meeting: MeetingRow,
  wish: SeriesWish,
  now: Date,
): Promise<Date> {
  const { scope, start, end, timeZone, recurrence } = wish
  const changesTimes = Boolean(start || end || timeZone || recurrence)
  // Other times for all would be other times for those that took place.
  const wholeSeries = scope === 'all' && !(changesTimes && (await hasBegun(tx, series.id, now)))
  return wholeSeries ? series.startsAt : upcomingFrom(whole, meeting, scope, now)
}

/** The first meeting to come that is meant. @throws {Problem} `meeting_in_progress` where none comes any more */
function upcomingFrom(whole: Recurrence, meeting: MeetingRow, scope: SeriesWish['scope'], now: Date): Date {
  if (scope === 'following' && meeting.startsAt > now) return originalOf(meeting)
  const next = nextOccurrence(whole, now)
  if (next) return next
  throw new Problem(
    'meeting_in_progress',
    'The last meeting of the series has begun: there is none left to change.',
    {
      meetingId: meeting.id,
    },
  )
}

function split(whole: Recurrence, pivot: Date): { before: Recurrence | undefined; following: Recurrence } {
  const first = nextOccurrence(whole, whole.start)
  if (!first || pivot <= first) return { before: undefined, following: whole }
  // A meeting that does not take place divides as well as any other.
  const exceptions = whole.exceptions.filter(at => at.getTime() !== pivot.getTime())
  return splitRecurrence({ ...whole, exceptions }, pivot)
}

/** When the meetings take place from now on, and which start of before becomes which one. */
function newTimes(
  base: Recurrence,
  meeting: MeetingRow,
  { start, timeZone, recurrence: lines }: SeriesWish,
): { recurrence: Recurrence; startOf: (old: Date) => Date | undefined } {
  try {
    const zone = timeZone ?? base.timeZone
    const first = start ? movedLike(base, meeting.startsAt, start, zone) : base.start
    if (!lines) {
      if (!start && timeZone === undefined) return { recurrence: base, startOf: old => old }
      return moveRecurrence(base, first, zone)
    }
    const recurrence = readRecurrence(lines, { start: first, timeZone: zone })
    // Another rule: who keeps their day keeps their meeting.
    const { hour, minute, second } = wallTimeAt(first, zone)
    return {
      recurrence,
      startOf: old => instantAt({ ...wallTimeAt(old, base.timeZone), hour, minute, second }, zone),
    }
  } catch (error) {
    throw recurrenceProblem(error)
  }
}

/** The first start of a series one of whose meetings moves from `from` to `to`: so many days, and to its time of day. */
function movedLike(base: Recurrence, from: Date, to: Date, zone: string): Date {
  const wall = wallTimeAt(to, zone)
  const days = daysBetween(wallTimeAt(from, base.timeZone), wall)
  const { hour, minute, second } = wall
  return instantAt({ ...addDays(wallTimeAt(base.start, base.timeZone), days), hour, minute, second }, zone)
}

function lengthOf(series: SeriesRow, meeting: MeetingRow, { start, end }: SeriesWish): number {
  if (!start && !end) return series.lengthMs
  return (end ?? meeting.endsAt).getTime() - (start ?? meeting.startsAt).getTime()
}

function templateChange(fields: SeriesWish['fields']): Partial<SeriesTemplate> {
  const names = [
    'topic',
    'description',
    'relatedType',
    'relatedId',
    'customFields',
    'patience',
    'reminders',
    'participants',
  ] as const
  return Object.fromEntries(
    names.filter(name => fields[name] !== undefined).map(name => [name, fields[name]]),
  )
}

function originalOf({ originalStart, id }: MeetingRow): Date {
  if (!originalStart) throw new Error(`The meeting ${id} is of no series`)
  return originalStart
}

const written = ({ exceptions }: Recurrence) => exceptions.map(at => at.toISOString())
const ids = (rows: readonly MeetingRow[]) => rows.map(({ id }) => id)
