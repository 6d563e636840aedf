import { moveRecurrence } from '../../calendar/change-recurrence.ts'
import type { Recurrence } from '../../calendar/recurrence.ts'
import { RecurrenceRefused, writeRule } from '../../calendar/recurrence-rule.ts'
import { instantAt, wallTimeAt } from '../../calendar/wall-time.ts'
import type { Transaction } from '../../db/connect.ts'
import { noteFollowed } from '../../db/meeting-following.ts'
import type { MeetingRow } from '../../db/meetings.ts'
import { detach, type SeriesRow } from '../../db/series.ts'
import { listAhead } from '../../db/series-following.ts'
import { announceMeetings } from '../../db/webhooks.ts'
import { sendBots } from '../send-bot.ts'
import { recurrenceOf } from '../series/occurrences.ts'
import { placeAll } from '../series/place-meetings.ts'
import { ACTOR, type FollowingDeps } from './following-deps.ts'
import type { changedFields } from './read-series.ts'

/** Gives the meetings to come their places in what the series is now, and has bots woken for them. */
export async function placeFollowed(
  deps: FollowingDeps,
  tx: Transaction,
  before: SeriesRow,
  target: SeriesRow,
  recurrence: Recurrence,
  upcoming: MeetingRow[],
  fields: ReturnType<typeof changedFields>,
): Promise<void> {
  const now = deps.clock.now()
  const work = { tx, jobs: deps.jobs, provider: deps.provider, settings: deps.settings, actor: ACTOR, now }
  await detach(
    tx,
    upcoming.map(({ id }) => id),
  )
  const startOf = mapping(recurrenceOf(before), recurrence)
  const different = await placeAll(work, target, recurrence, {
    ...{ upcoming, startOf, fields },
    people: undefined,
  })
  // What a caller made of one of them by itself Google is still to be told.
  const untold = new Set(upcoming.flatMap(one => (one.syncedRevision < one.revision ? [one.id] : [])))
  for (const id of different) if (!untold.has(id)) await noteFollowed(tx, id)
  const present = await listAhead(tx, target.id, new Date(now))
  if (target.joinUrl === null) return
  await sendBots(deps, tx, present, now)
  const known = new Set(upcoming.map(({ id }) => id))
  await announceMeetings(
    tx,
    'meeting.created',
    present.filter(({ id, startsAt }) => startsAt.getTime() > now && !known.has(id)),
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
