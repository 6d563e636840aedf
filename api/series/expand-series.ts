import type { Transaction } from '../../db/connect.ts'
import {
  insertOccurrences,
  lockSeriesToExpand,
  noteExpanded,
  placesTaken,
  type SeriesRow,
} from '../../db/series.ts'
import { announceMeetings } from '../../db/webhooks.ts'
import type { ProvisionDeps } from '../provision-deps.ts'
import { sendBots } from '../send-bot.ts'
import { horizonAt, occurrencesUntil, recurrenceOf } from './occurrences.ts'

type ExpandDeps = Pick<ProvisionDeps, 'db' | 'jobs' | 'settings' | 'clock'>

const SERIES_AT_ONCE = 20
const DAY_MS = 86_400_000
const ACTOR = 'job:expand-series'

/**
 * Makes the meetings of series that have come within reach since the last time: with their bots, and told to whoever
 * listens. Any number of processes may do it at once.
 * @returns how many meetings were made
 */
export async function expandAllSeries(deps: ExpandDeps): Promise<number> {
  const now = deps.clock.now()
  const until = horizonAt(now)
  // A day of slack, so that a series is not looked at every hour.
  const shortOf = new Date(until.getTime() - DAY_MS)
  let made = 0
  for (let more = true; more; )
    more = await deps.db.transaction(async tx => {
      const rows = await lockSeriesToExpand(tx, shortOf, SERIES_AT_ONCE)
      for (const row of rows) made += await expand(deps, tx, row, until)
      return rows.length === SERIES_AT_ONCE
    })
  return made
}

async function expand(deps: ExpandDeps, tx: Transaction, row: SeriesRow, until: Date): Promise<number> {
  const now = deps.clock.now()
  const from = new Date(Math.max(row.expandedUntil.getTime(), now))
  const { occurrences, expandedUntil } = occurrencesUntil(recurrenceOf(row), row.eventId, from, until)
  // One that somebody changed in the calendar ahead of its time has been made already.
  const taken = new Set((await placesTaken(tx, row.id)).map(at => at.getTime()))
  const free = occurrences.filter(({ originalStart }) => !taken.has(originalStart.getTime()))
  const made = await insertOccurrences(tx, { ...row, expandedUntil }, free, ACTOR)
  await noteExpanded(tx, row.id, expandedUntil)
  // Without a link there is nothing to join yet: telling Google of the series sends the bots.
  if (row.joinUrl === null) return made.length
  await sendBots(deps, tx, made, now)
  await announceMeetings(tx, 'meeting.created', made, { at: new Date(now) })
  return made.length
}
