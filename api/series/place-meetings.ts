import type { Recurrence } from '../../calendar/recurrence.ts'
import {
  cancelMeeting,
  changeMeeting,
  listInvited,
  type MeetingChange,
  type MeetingRow,
} from '../../db/meetings.ts'
import {
  insertOccurrences,
  type Occurrence,
  placeInSeries,
  placesTaken,
  type SeriesRow,
  toldBySeries,
} from '../../db/series.ts'
import { sendBots, withdrawBot } from '../send-bot.ts'
import type { PeopleChange, SeriesWish, SeriesWork } from './change-series.ts'
import { horizonAt, occurrencesUntil } from './occurrences.ts'

/** Gives each meeting its place in the series, cancels those that have none, and makes those that are missing. */
export async function placeAll(
  work: SeriesWork,
  target: SeriesRow,
  recurrence: Recurrence,
  plan: {
    upcoming: MeetingRow[]
    startOf: (old: Date) => Date | undefined
    fields: SeriesWish['fields']
    people: PeopleChange | undefined
  },
): Promise<string[]> {
  const { tx, actor } = work
  const now = new Date(work.now)
  const { occurrences: ahead } = occurrencesUntil(recurrence, target.eventId, now, horizonAt(work.now))
  const wanted = new Map(
    plan.upcoming.flatMap(({ id, originalStart }) => {
      const start = originalStart && plan.startOf(originalStart)
      return start ? [[id, start] as const] : []
    }),
  )
  const free = new Map([...ahead, ...placesOf(recurrence, target, [...wanted.values()])].map(keyed))
  // One that was moved ahead of its time and is over has had its place.
  for (const start of await placesTaken(tx, target.id)) free.delete(start.getTime())
  const different: string[] = []
  const earlier: MeetingRow[] = []
  for (const row of plan.upcoming) {
    const place = free.get(wanted.get(row.id)?.getTime() ?? Number.NaN)
    // What is over by the rule is to come only where it was moved by itself.
    const isToCome = place && (hasOwnTimes(row) || place.originalStart.getTime() + target.lengthMs > work.now)
    if (!isToCome) {
      await cancelOne(work, row)
      continue
    }
    free.delete(place.originalStart.getTime())
    const change = changeOf(row, place.originalStart, target, plan.fields)
    if (plan.people && row.ownFields.includes('participants'))
      change.participants = plan.people(await listInvited(tx, row.id))
    if (Object.keys(change).length > 0) {
      const changed = await changeMeeting(tx, row, change, { actor, now })
      if (changed.startsAt < row.startsAt && row.joinUrl !== null) earlier.push(changed)
    }
    const told = row.ownFields.length === 0
    await placeInSeries(tx, row.id, { ...place, seriesId: target.id }, { told })
    if (!told) different.push(row.id)
  }
  const missing = ahead.filter(({ originalStart }) => free.has(originalStart.getTime()))
  await insertOccurrences(tx, target, missing, actor)
  // Before the provider knows of it: people may be told by others than the provider.
  await sendBots(work, tx, earlier, work.now)
  return different
}

/** Places by the rule from the first to the last of these starts: one that was moved may have its place in the past. */
function placesOf(recurrence: Recurrence, { eventId }: SeriesRow, starts: readonly Date[]): Occurrence[] {
  if (starts.length === 0) return []
  const times = starts.map(start => start.getTime())
  const [from, to] = [new Date(Math.min(...times)), new Date(Math.max(...times) + 1)]
  return occurrencesUntil(recurrence, eventId, from, to).occurrences
}

const keyed = (one: Occurrence) => [one.originalStart.getTime(), one] as const

const hasOwnTimes = ({ ownFields }: MeetingRow) =>
  ownFields.some(name => name === 'startsAt' || name === 'endsAt')

/** What is new for one meeting: not what it had of its own. */
function changeOf(
  row: MeetingRow,
  start: Date,
  target: SeriesRow,
  fields: SeriesWish['fields'],
): MeetingChange {
  const end = new Date(start.getTime() + target.lengthMs)
  const times = {
    ...(start.getTime() !== row.startsAt.getTime() && { startsAt: start }),
    ...(end.getTime() !== row.endsAt.getTime() && { endsAt: end }),
    ...(target.timeZone !== row.timeZone && { timeZone: target.timeZone }),
  }
  const wanted = { ...(hasOwnTimes(row) ? {} : times), ...fields }
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => !row.ownFields.includes(name)))
}

/** Cancels one of them; the calendar learns it by the series. */
export async function cancelOne({ tx, jobs, actor, now }: SeriesWork, row: MeetingRow): Promise<void> {
  const { recordingCancelled } = await cancelMeeting(tx, row, { actor, now: new Date(now) })
  if (recordingCancelled) await withdrawBot(jobs, tx, row)
  await jobs.withdraw(tx, 'provision-meeting', row.id)
  await toldBySeries(tx, row.id)
}
