import { moveRecurrence } from '../../calendar/change-recurrence.ts'
import { isOccurrence, parseRecurrence, type Recurrence } from '../../calendar/recurrence.ts'
import { RecurrenceRefused, writeRule } from '../../calendar/recurrence-rule.ts'
import { instantAt, isTimeZone, wallTimeAt } from '../../calendar/wall-time.ts'
import { noteAudit } from '../../db/audit-notes.ts'
import type { Transaction } from '../../db/connect.ts'
import { findOccurrence, noteFollowed, noteSeriesFollowed } from '../../db/meeting-following.ts'
import type { MeetingChange, MeetingRow } from '../../db/meetings.ts'
import type { SeriesTemplate } from '../../db/schema.ts'
import {
  changeSeries,
  detach,
  insertSeries,
  lockSeries,
  lockUpcoming,
  type SeriesRow,
} from '../../db/series.ts'
import { answerSeries, linkUpcoming } from '../../db/series-following.ts'
import { announceMeetings } from '../../db/webhooks.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { sendBots } from '../send-bot.ts'
import { cancelOne, placeAll } from '../series/change-series.ts'
import { newSeriesRow } from '../series/create-series.ts'
import { horizonAt, occurrencesUntil, recurrenceOf } from '../series/occurrences.ts'
import { descriptionOf, guestsOf, peopleOf, topicOf } from './compare-event.ts'
import { ACTOR, BusyMeeting, followMeeting, readAgain } from './follow-meeting.ts'
import type { FollowingDeps } from './following-deps.ts'

const WAIT_FOR_LOCK_MS = 5000
const BEGINNING = new Date(0)

/**
 * Follows what happened to the recurring event of a series: other times, another rule, other people or words, its end.
 * What has begun stays as it was; meetings to come keep their ids where they keep their day. Repeating it changes nothing.
 * @throws {BusyMeeting}; {GoogleFault}
 */
export async function followSeries(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  known: SeriesRow,
  signal: AbortSignal,
): Promise<void> {
  if (known.status === 'cancelled') return
  if (event.status !== 'cancelled') await followAnswers(deps, known, event)
  if (!differs(deps, known, event)) return
  const done = await deps.locks.alone(known.id, WAIT_FOR_LOCK_MS, async () => {
    const fresh = await readAgain(deps, calendar, event, signal)
    const instances = await readInstances(deps, calendar, fresh, signal)
    await deps.db.transaction(async tx => {
      const row = await lockSeries(tx, known.id)
      if (row?.status === 'active' && differs(deps, row, fresh))
        await applyToSeries(deps, tx, row, fresh, instances)
    })
    return instances
  })
  if (done === 'busy') throw new BusyMeeting(`Somebody else works on the series ${known.id}`)
  await followExceptions(deps, calendar, known.id, done, signal)
}

/**
 * Follows a recurring event that somebody split off a series in the calendar ("this and following events"): it becomes a
 * series that goes on where the other one ends, and takes over its meetings from there on.
 */
export async function followSplit(
  deps: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  from: SeriesRow,
  signal: AbortSignal,
): Promise<void> {
  const instances = await readInstances(deps, calendar, event, signal)
  const made = await deps.db.transaction(async tx => {
    const row = await lockSeries(tx, from.id)
    const wanted = row && readSeries(deps, row, event, instances)
    if (!row || !wanted) return undefined
    const now = new Date(deps.clock.now())
    const { recurrence, lengthMs, template } = wanted
    const { organizationId, organizer, createdBy } = row
    const fresh = newSeriesRow(deps.provider, recurrence, {
      ...{ organizationId, organizer, createdBy, lengthMs, template },
      externalId: null,
      continues: row.id,
    })
    const link = linkOf(event, row)
    const { expandedUntil } = occurrencesUntil(recurrence, event.eventId, now, horizonAt(now.getTime()))
    const target = await insertSeries(
      tx,
      { ...fresh, ...link, eventId: event.eventId, space: row.space, expandedUntil, syncedRevision: 1 },
      ACTOR,
    )
    if (!target) throw new Error('a series without external id met another one')
    const upcoming = await lockUpcoming(tx, row.id, { from: event.start ?? now, now })
    await place(deps, tx, row, target, recurrence, upcoming, changedFields(row, template))
    await linkUpcoming(tx, target.id, { ...link, now })
    return target
  })
  if (made) await followExceptions(deps, calendar, made.id, instances, signal)
}

interface Wanted {
  recurrence: Recurrence
  lengthMs: number
  template: SeriesTemplate
}

/** The series that an event describes; undefined where it is none that can be followed. */
function readSeries(
  { settings, log }: FollowingDeps,
  row: SeriesRow,
  event: CalendarEvent,
  instances: readonly CalendarEvent[] = [],
): Wanted | undefined {
  const { start, end } = event
  if (!start || !end || end <= start) return undefined
  const timeZone = event.timeZone && isTimeZone(event.timeZone) ? event.timeZone : row.timeZone
  try {
    const read = parseRecurrence(event.recurrence, { start, timeZone }, { strayExceptions: 'drop' })
    const bare = { ...read, exceptions: [] }
    const cancelled = instances.filter(({ status }) => status === 'cancelled')
    const gone = [
      ...read.exceptions,
      ...cancelled.flatMap(one => one.originalStart ?? []),
      ...row.exceptions.map(at => new Date(at)),
    ]
    const living = new Set(
      instances.flatMap(one => (one.status === 'cancelled' ? [] : (one.originalStart?.getTime() ?? []))),
    )
    const times = new Set(gone.map(at => at.getTime()).filter(at => !living.has(at)))
    const exceptions = [...times]
      .sort((a, b) => a - b)
      .map(at => new Date(at))
      .filter(at => isOccurrence(bare, at))
    const people = peopleOf(
      guestsOf(event, {
        bots: settings.bots,
        known: new Set(row.template.participants.map(({ email }) => email)),
      }),
      row.template.participants as Parameters<typeof peopleOf>[1],
    )
    return {
      recurrence: { ...bare, exceptions },
      lengthMs: end.getTime() - start.getTime(),
      template: {
        ...row.template,
        topic: topicOf(event) || row.template.topic,
        description: descriptionOf(event),
        participants: event.attendeesComplete ? people : row.template.participants,
      },
    }
  } catch (error) {
    if (!(error instanceof RecurrenceRefused)) throw error
    const { reason, message } = error
    log.error(
      { series: row.id, reason, message },
      'a series was given a rule in the calendar that cannot be followed',
    )
    return undefined
  }
}

function differs(deps: FollowingDeps, row: SeriesRow, event: CalendarEvent): boolean {
  if (event.status === 'cancelled') return true
  const wanted = readSeries(deps, row, event)
  if (!wanted) return false
  const { recurrence, lengthMs, template } = wanted
  const known = recurrenceOf(row)
  return (
    recurrence.start.getTime() !== known.start.getTime() ||
    recurrence.timeZone !== known.timeZone ||
    writeRule(recurrence.rule) !== writeRule(known.rule) ||
    lengthMs !== row.lengthMs ||
    recurrence.exceptions.some(at => !row.exceptions.includes(at.toISOString())) ||
    Object.keys(changedFields(row, template)).length > 0
  )
}

/** What of the template is different, as a change of each meeting. */
function changedFields(
  row: SeriesRow,
  template: SeriesTemplate,
): Pick<MeetingChange, 'topic' | 'description' | 'participants'> {
  const before = row.template
  const emails = ({ participants }: SeriesTemplate) =>
    participants
      .map(({ email }) => email)
      .sort()
      .join(' ')
  return {
    ...(template.topic.trim() !== before.topic.trim() && { topic: template.topic }),
    ...((template.description?.trim() ?? '') !== (before.description?.trim() ?? '') && {
      description: template.description,
    }),
    ...(emails(template) !== emails(before) && { participants: template.participants }),
  }
}

async function readInstances(
  { google, clock }: FollowingDeps,
  calendar: string,
  event: CalendarEvent,
  signal: AbortSignal,
): Promise<CalendarEvent[]> {
  if (event.status === 'cancelled') return []
  const now = clock.now()
  const query = { from: new Date(now), to: horizonAt(now), withCancelled: true }
  return google.events.listInstances({ subject: calendar }, event.eventId, query, signal)
}

async function applyToSeries(
  deps: FollowingDeps,
  tx: Transaction,
  row: SeriesRow,
  event: CalendarEvent,
  instances: readonly CalendarEvent[],
): Promise<void> {
  const now = new Date(deps.clock.now())
  if (row.syncedRevision < row.revision) {
    const winner = event.updatedAt && event.updatedAt <= row.updatedAt ? 'caller' : 'calendar'
    await auditConflict(tx, row, event, winner)
    // Google is told of the caller's change, which then is what both say.
    if (winner === 'caller') return
  }
  const upcoming = await lockUpcoming(tx, row.id, { from: BEGINNING, now })
  if (event.status === 'cancelled') {
    const work = { tx, jobs: deps.jobs, provider: deps.provider, actor: ACTOR, now: now.getTime() }
    for (const meeting of upcoming) await cancelOne(work, meeting)
    await changeSeries(tx, row, { status: 'cancelled', cancelledAt: now }, { actor: ACTOR, now })
  } else {
    const wanted = readSeries(deps, row, event, instances)
    if (!wanted) return
    const { recurrence, lengthMs, template } = wanted
    const { expandedUntil } = occurrencesUntil(recurrence, row.eventId, now, horizonAt(now.getTime()))
    const change = {
      rule: writeRule(recurrence.rule),
      startsAt: recurrence.start,
      timeZone: recurrence.timeZone,
      exceptions: recurrence.exceptions.map(at => at.toISOString()),
      ...{ lengthMs, template, expandedUntil },
    }
    const target = await changeSeries(tx, row, change, { actor: ACTOR, now })
    await place(deps, tx, row, target, recurrence, upcoming, changedFields(row, template))
  }
  await noteSeriesFollowed(tx, row.id)
  await deps.jobs.withdraw(tx, 'provision-series', row.id)
}

/** Gives the meetings to come their places in what the series is now, and has bots woken for them. */
async function place(
  deps: FollowingDeps,
  tx: Transaction,
  before: SeriesRow,
  target: SeriesRow,
  recurrence: Recurrence,
  upcoming: MeetingRow[],
  fields: ReturnType<typeof changedFields>,
): Promise<void> {
  const now = deps.clock.now()
  const work = { tx, jobs: deps.jobs, provider: deps.provider, actor: ACTOR, now }
  await detach(
    tx,
    upcoming.map(({ id }) => id),
  )
  const startOf = mapping(recurrenceOf(before), recurrence)
  const different = await placeAll(work, target, recurrence, {
    ...{ upcoming, startOf, fields },
    people: undefined,
  })
  for (const id of different) await noteFollowed(tx, id)
  const present = await lockUpcoming(tx, target.id, { from: BEGINNING, now: new Date(now) })
  if (target.joinUrl === null) return
  await sendBots(deps, tx, present, now)
  const known = new Set(upcoming.map(({ id }) => id))
  await announceMeetings(
    tx,
    'meeting.created',
    present.filter(({ id }) => !known.has(id)),
    { at: new Date(now) },
  )
}

/** Where the meetings of a series went: all by as much as the first one, or else to the same day. */
function mapping(before: Recurrence, after: Recurrence): (old: Date) => Date | undefined {
  const sameStart = before.start.getTime() === after.start.getTime() && before.timeZone === after.timeZone
  if (!sameStart) {
    try {
      const moved = moveRecurrence(before, after.start, after.timeZone)
      if (writeRule(moved.recurrence.rule) === writeRule(after.rule)) return moved.startOf
    } catch (error) {
      if (!(error instanceof RecurrenceRefused)) throw error
    }
  }
  const { hour, minute, second } = wallTimeAt(after.start, after.timeZone)
  return old => instantAt({ ...wallTimeAt(old, before.timeZone), hour, minute, second }, after.timeZone)
}

/** Instances that say something else than their series. */
async function followExceptions(
  deps: FollowingDeps,
  calendar: string,
  seriesId: string,
  instances: readonly CalendarEvent[],
  signal: AbortSignal,
): Promise<void> {
  const [usual] = mostCommon(instances)
  for (const instance of instances) {
    const { originalStart, start } = instance
    if (instance.status === 'cancelled' || !originalStart) continue
    if (start?.getTime() === originalStart.getTime() && wordsOf(instance) === usual) continue
    const meeting = await findOccurrence(deps.db, seriesId, originalStart)
    if (meeting) await followMeeting(deps, calendar, instance, meeting, signal)
  }
}

function wordsOf({ topic, description, attendees, start, end }: CalendarEvent): string {
  const lengthMs = start && end ? end.getTime() - start.getTime() : 0
  return JSON.stringify([topic, description, attendees.map(({ email }) => email).sort(), lengthMs])
}

function mostCommon(instances: readonly CalendarEvent[]): string[] {
  const counts = Map.groupBy(
    instances.filter(({ status }) => status !== 'cancelled'),
    wordsOf,
  )
  return [...counts].sort((a, b) => b[1].length - a[1].length).map(([words]) => words)
}

/** Who answered to the whole series has answered to each meeting of it, those apart that have answers of their own. */
async function followAnswers(deps: FollowingDeps, row: SeriesRow, event: CalendarEvent): Promise<void> {
  const answers = event.attendees.map(({ email, response }) => ({ email: email.toLowerCase(), response }))
  const now = new Date(deps.clock.now())
  await deps.db.transaction(tx => answerSeries(tx, row, answers, { actor: ACTOR, now }))
}

function linkOf({ conference }: CalendarEvent, row: SeriesRow) {
  const { joinUrl, meetingCode, spaceName } = row
  if (conference.status !== 'success' || conference.meetingCode === meetingCode)
    return { joinUrl, meetingCode, spaceName }
  return { joinUrl: conference.joinUrl, meetingCode: conference.meetingCode, spaceName: null }
}

function auditConflict(
  tx: Transaction,
  { id, organizationId, updatedAt }: SeriesRow,
  event: CalendarEvent,
  winner: 'calendar' | 'caller',
): Promise<void> {
  const detail = {
    winner,
    changedByCallerAt: updatedAt.toISOString(),
    changedInCalendarAt: event.updatedAt?.toISOString() ?? null,
    calendar: {
      status: event.status,
      start: event.start?.toISOString() ?? null,
      recurrence: event.recurrence,
    },
  }
  return noteAudit(tx, {
    organizationId,
    actor: ACTOR,
    action: 'series.conflict',
    subject: `series:${id}`,
    detail,
  })
}
